{{/* What the schema cannot see: relations between values, and values that only the deploy knows. */}}
{{- define "visits.checks" -}}
{{- include "visits.nameChecks" . }}
{{- include "visits.entranceChecks" . }}
{{- include "visits.autoscalingChecks" . }}
{{- include "visits.timingChecks" . }}
{{- include "visits.redisChecks" . }}
{{- include "visits.extraChecks" . }}
{{- end }}

{{- define "visits.nameChecks" -}}
{{- if gt (len .Release.Name) 40 }}
{{- fail (printf "the release name %q has %d characters; names made from it must fit into 63: use at most 40" .Release.Name (len .Release.Name)) }}
{{- end }}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "the release name %q names a Service, too: use lower-case letters, digits and -, first a letter, last no -" .Release.Name) }}
{{- end }}
{{- if not .Values.image.repository }}
{{- fail "image.repository is empty: set it to the image's registry and name without a tag, as in registry.example.com/visits" }}
{{- end }}
{{- end }}

{{- define "visits.entranceChecks" -}}
{{- with .Values.ingress }}
{{- if and (not .host) (or .enabled $.Values.httpRoute.enabled) }}
{{- fail "ingress.host is empty: set it to the host name that visitors use, or set ingress.enabled and httpRoute.enabled to false" }}
{{- end }}
{{- if and .tls.clusterIssuer .tls.issuer }}
{{- fail (printf "ingress.tls.clusterIssuer is %q and ingress.tls.issuer is %q, and one of them fills the Secret: leave the other empty" .tls.clusterIssuer .tls.issuer) }}
{{- end }}
{{- if and (or .tls.clusterIssuer .tls.issuer) (not .tls.enabled) }}
{{- fail "ingress.tls names an issuer, but ingress.tls.enabled is false: set it to true, or leave the issuer empty" }}
{{- end }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled is true, but httpRoute.parentRefs is empty, and a route serves nothing without a Gateway: name one, as in [{name: public, namespace: gateways}]" }}
{{- end }}
{{- end }}

{{- define "visits.autoscalingChecks" -}}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %v, above autoscaling.maxReplicas %v: raise the maximum or lower the minimum" .minReplicas .maxReplicas) }}
{{- end }}
{{- if not (dig "requests" "cpu" "" $.Values.resources) }}
{{- fail "resources.requests.cpu is not set, and autoscaling measures per cent of it: set it, or set autoscaling.enabled to false" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where a setting is not given, the number here is the service's own default (app/settings.py). */}}
{{- define "visits.timingChecks" -}}
{{- $settings := .Values.settings }}
{{- $drain := addf (default 0 $settings.DRAIN_DELAY) (ternary $settings.DRAIN_TIMEOUT 20 (kindIs "invalid" $settings.DRAIN_TIMEOUT | not)) }}
{{- if le (float64 .Values.terminationGracePeriodSeconds) $drain }}
{{- fail (printf "terminationGracePeriodSeconds is %v, but a pod drains for up to %v s (settings.DRAIN_DELAY + settings.DRAIN_TIMEOUT) and would be killed before it ends: raise it above that, or shorten the drain" .Values.terminationGracePeriodSeconds $drain) }}
{{- end }}
{{- $ping := float64 (default 0.5 $settings.REDIS_TIMEOUT) }}
{{- $request := float64 (default 2 $settings.REQUEST_TIMEOUT) }}
{{- if ge $ping $request }}
{{- fail (printf "settings.REDIS_TIMEOUT is %v s, not below settings.REQUEST_TIMEOUT (%v s), and the service would refuse to start: a visitor must still get the answer when Redis does not, so lower the first or raise the second" $ping $request) }}
{{- end }}
{{- range $name, $probe := .Values.probes }}
{{- if le (float64 $probe.timeoutSeconds) (mulf 2 $ping) }}
{{- fail (printf "probes.%s.timeoutSeconds is %v, but the answer may wait %v s for Redis (twice settings.REDIS_TIMEOUT), so that an outage of Redis would count as a failure of the pod: raise the probe's timeout, or lower settings.REDIS_TIMEOUT" $name $probe.timeoutSeconds (mulf 2 $ping)) }}
{{- end }}
{{- end }}
{{- $patience := mul .Values.probes.liveness.periodSeconds .Values.probes.liveness.failureThreshold }}
{{- if le (float64 $patience) $request }}
{{- fail (printf "probes.liveness restarts a pod after %v s (periodSeconds × failureThreshold), but one request may take %v s (settings.REQUEST_TIMEOUT): raise probes.liveness.failureThreshold, or lower settings.REQUEST_TIMEOUT" $patience $request) }}
{{- end }}
{{- end }}

{{- define "visits.redisChecks" -}}
{{- if and .Values.settings.REDIS_SENTINEL_USERNAME (not .Values.settings.REDIS_SENTINELS) }}
{{- fail "settings.REDIS_SENTINEL_USERNAME is set, but settings.REDIS_SENTINELS is not, and the service would refuse to start: set it, too, or leave the user off" }}
{{- end }}
{{- with .Values.redis }}
{{- if eq .mode "bundled" }}
{{- if or .urlFromSecret .tls.enabled $.Values.settings.REDIS_SENTINELS $.Values.settings.REDIS_CLUSTER }}
{{- fail "redis.mode is bundled, which is one plain Redis, but redis.urlFromSecret, redis.tls.enabled, settings.REDIS_SENTINELS or settings.REDIS_CLUSTER is set: set redis.mode to external, or leave them off" }}
{{- end }}
{{- else }}
{{- if eq $.Values.secret.mode "generated" }}
{{- fail "secret.mode is generated, but redis.mode is external, and that Redis knows nothing of a generated password: create the Secret and set secret.mode to existing" }}
{{- end }}
{{- if and (not .host) (not .urlFromSecret) (not $.Values.settings.REDIS_SENTINELS) }}
{{- fail "redis.mode is external, but redis.host is empty: set it or settings.REDIS_SENTINELS, or set redis.urlFromSecret to true and put REDIS_URL into the Secret" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "visits.extraChecks" -}}
{{- $own := include "visits.config" . | fromYaml | keys }}
{{- $own = concat $own (list "HOST" "PORT" "ADMIN_HOST" "ADMIN_PORT" "IMAGE_DIGEST") }}
{{- range .Values.extraEnv }}
{{- if has .name $own }}
{{- fail (printf "extraEnv names %s, which the chart sets itself: use its value under settings, redis or image, or another name" .name) }}
{{- end }}
{{- end }}
{{- $volumes := list }}
{{- range .Values.extraVolumes }}
{{- if or (eq .name "secrets") (has .name $volumes) }}
{{- fail (printf "extraVolumes names %s, which is another volume's name: use one of its own" .name) }}
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- range .Values.extraVolumeMounts }}
{{- if not (has .name $volumes) }}
{{- fail (printf "extraVolumeMounts mounts %s, which is not under extraVolumes: add it there" .name) }}
{{- end }}
{{- if hasPrefix (include "visits.secretsDir" $) .mountPath }}
{{- fail (printf "extraVolumeMounts mounts %s at %s, where the Secret is: use another mountPath" .name .mountPath) }}
{{- end }}
{{- end }}
{{- end }}
