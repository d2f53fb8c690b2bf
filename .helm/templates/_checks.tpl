{{/* What the schema cannot see: relations between values, and values that only the deploy knows. */}}
{{- define "visits.checks" -}}
{{- if gt (len .Release.Name) 40 }}
{{- fail (printf "the release name %q has %d characters; names made from it must fit into 63: use at most 40" .Release.Name (len .Release.Name)) }}
{{- end }}
{{- if not .Values.image.repository }}
{{- fail "image.repository is empty: set it to the image's registry and name without a tag, as in registry.example.com/visits" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host is empty: set it to the host name that visitors use, or set ingress.enabled to false" }}
{{- end }}
{{- $drain := addf (default 0 .Values.settings.DRAIN_DELAY) (default 20 .Values.settings.DRAIN_TIMEOUT) }}
{{- if le (float64 .Values.terminationGracePeriodSeconds) $drain }}
{{- fail (printf "terminationGracePeriodSeconds is %v, but a pod drains for up to %v s (settings.DRAIN_DELAY + settings.DRAIN_TIMEOUT) and would be killed before it ends: raise it above that, or shorten the drain" .Values.terminationGracePeriodSeconds $drain) }}
{{- end }}
{{- include "visits.autoscalingChecks" . }}
{{- include "visits.redisChecks" . }}
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

{{- define "visits.redisChecks" -}}
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
