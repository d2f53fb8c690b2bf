{{/* What the schema cannot see: relations between values, and values that only the deploy knows. */}}
{{- define "visits.checks" -}}
{{- include "visits.nameChecks" . }}
{{- include "visits.entranceChecks" . }}
{{- include "visits.autoscalingChecks" . }}
{{- include "visits.workersCheck" . }}
{{- include "visits.timingChecks" . }}
{{- include "visits.redisChecks" . }}
{{- include "visits.secretChecks" . }}
{{- include "visits.extraChecks" . }}
{{- include "visits.monitoringChecks" . }}
{{- include "visits.prodChecks" . }}
{{- end }}

{{- define "visits.nameChecks" -}}
{{- if gt (len .Release.Name) 40 }}
{{- fail (printf "the release name %q has %d characters; names made from it must fit into 63: use at most 40" .Release.Name (len .Release.Name)) }}
{{- end }}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "the release name %q names a Service, too: use lower-case letters, digits and -, first a letter, last no -" .Release.Name) }}
{{- end }}
{{- if has .Release.Name (list "y" "n" "yes" "no" "on" "off" "true" "false" "null") }}
{{- fail (printf "the project name %q is no text in YAML, but a yes, a no or nothing: use another one" .Release.Name) }}
{{- end }}
{{- if not .Values.image.repository }}
{{- fail "image.repository is empty: set it to the image's registry and name without a tag, as in registry.example.com/visits" }}
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

{{- define "visits.workersCheck" -}}
{{- $workers := include "visits.setting" (list . "WORKERS" 1) }}
{{- if ne (int $workers) 1 }}
{{- fail (printf "settings.WORKERS is %v, but a pod has one process: the cluster can schedule, probe, scale and replace pods only as wholes, and the image has no Gunicorn; leave it off, and set autoscaling.maxReplicas or replicas instead" $workers) }}
{{- end }}
{{- end }}

{{/* A setting's value, or the service's own default (app/settings.py) where it is not given: (list . name default). */}}
{{- define "visits.setting" -}}
{{- $given := index (index . 0).Values.settings (index . 1) }}
{{- if kindIs "invalid" $given }}{{ index . 2 }}{{ else }}{{ $given }}{{ end }}
{{- end }}

{{- define "visits.timingChecks" -}}
{{- $ping := include "visits.setting" (list . "REDIS_TIMEOUT" 0.5) | float64 }}
{{- $request := include "visits.setting" (list . "REQUEST_TIMEOUT" 10) | float64 }}
{{- $body := include "visits.setting" (list . "BODY_TIMEOUT" 2) | float64 }}
{{- $idle := include "visits.setting" (list . "IDLE_TIMEOUT" 75) | float64 }}
{{- $drainTimeout := include "visits.setting" (list . "DRAIN_TIMEOUT" 20) | float64 }}
{{- $drain := addf (include "visits.setting" (list . "DRAIN_DELAY" 0)) $drainTimeout }}
{{- $absence := float64 .Values.redis.absenceSeconds }}
{{- $proxy := float64 .Values.ingress.proxySeconds }}
{{- if le (float64 .Values.terminationGracePeriodSeconds) $drain }}
{{- fail (printf "terminationGracePeriodSeconds is %v, but a pod drains for up to %v s (settings.DRAIN_DELAY + settings.DRAIN_TIMEOUT) and would be killed before it ends: raise it above that, or shorten the drain" .Values.terminationGracePeriodSeconds $drain) }}
{{- end }}
{{- if lt $drainTimeout $request }}
{{- fail (printf "settings.DRAIN_TIMEOUT is %v s, but one request may take %v s (settings.REQUEST_TIMEOUT) and would be cut off at a pod's end: raise the first, or lower the second" $drainTimeout $request) }}
{{- end }}
{{- if ge $ping $request }}
{{- fail (printf "settings.REDIS_TIMEOUT is %v s, not below settings.REQUEST_TIMEOUT (%v s), and the service would refuse to start: a visitor must still get the answer when Redis does not, so lower the first or raise the second" $ping $request) }}
{{- end }}
{{- if gt $body $request }}
{{- fail (printf "settings.BODY_TIMEOUT is %v s, above settings.REQUEST_TIMEOUT (%v s): who is slow to send would hold a place for longer than anybody who waits for an answer; lower the first, or raise the second" $body $request) }}
{{- end }}
{{- /* The batch that meets the absence, and the first one after it, may each take a whole REDIS_TIMEOUT. */}}
{{- $patience := addf $absence 1 (mulf $ping 2) }}
{{- if lt $request $patience }}
{{- fail (printf "settings.REQUEST_TIMEOUT is %v s, less than redis.absenceSeconds + 1 + 2 × settings.REDIS_TIMEOUT (%v s), so that visitors would get errors while Redis' pod is replaced: raise the first, or lower one of the others" $request $patience) }}
{{- end }}
{{- if ge $request $proxy }}
{{- fail (printf "settings.REQUEST_TIMEOUT is %v s, not below ingress.proxySeconds (%v s): the controller would give up first and answer 504; lower the first, or raise the controller's time and tell it in ingress.proxySeconds" $request $proxy) }}
{{- end }}
{{- if le $idle $proxy }}
{{- fail (printf "settings.IDLE_TIMEOUT is %v s, not above ingress.proxySeconds (%v s): the pod would close connections on which the controller is just sending a request; raise settings.IDLE_TIMEOUT" $idle $proxy) }}
{{- end }}
{{- include "visits.probeChecks" (list .Values.probes $ping $request $absence) }}
{{- end }}

{{/* (list probes ping request absence), the last three in seconds. */}}
{{- define "visits.probeChecks" -}}
{{- $probes := index . 0 }}
{{- $ping := index . 1 }}
{{- $request := index . 2 }}
{{- $absence := index . 3 }}
{{- range $name, $probe := $probes }}
{{- if le (float64 $probe.timeoutSeconds) (mulf 2 $ping) }}
{{- fail (printf "probes.%s.timeoutSeconds is %v, but the answer may wait %v s for Redis (twice settings.REDIS_TIMEOUT), so that an outage of Redis would count as a failure of the pod: raise the probe's timeout, or lower settings.REDIS_TIMEOUT" $name $probe.timeoutSeconds (mulf 2 $ping)) }}
{{- end }}
{{- end }}
{{- $patience := mul $probes.liveness.periodSeconds $probes.liveness.failureThreshold }}
{{- if le (float64 $patience) $request }}
{{- fail (printf "probes.liveness restarts a pod after %v s (periodSeconds × failureThreshold), but one request may take %v s (settings.REQUEST_TIMEOUT): raise probes.liveness.failureThreshold, or lower settings.REQUEST_TIMEOUT" $patience $request) }}
{{- end }}
{{- $ready := mul $probes.readiness.periodSeconds (sub $probes.readiness.failureThreshold 1) }}
{{- if le (float64 $ready) $absence }}
{{- fail (printf "probes.readiness takes a pod out after %v s (periodSeconds × (failureThreshold - 1)), not above redis.absenceSeconds (%v s), so that all pods at once would leave while Redis' pod is replaced: raise probes.readiness.failureThreshold" $ready $absence) }}
{{- end }}
{{- end }}

{{/* What the service would refuse to start with, and what Redis does not have. */}}
{{- define "visits.redisChecks" -}}
{{- $key := include "visits.setting" (list . "COUNTER_KEY" "counter") }}
{{- if and (contains "}" $key) (not (include "visits.hasHashTag" $key)) }}
{{- fail (printf "settings.COUNTER_KEY is %q, and the service would refuse to start: use a key with a {hash tag}, or without a brace" $key) }}
{{- end }}
{{- if and .Values.settings.REDIS_SENTINEL_USERNAME (not .Values.settings.REDIS_SENTINELS) }}
{{- fail "settings.REDIS_SENTINEL_USERNAME is set, but settings.REDIS_SENTINELS is not, and the service would refuse to start: set it, too, or leave the user off" }}
{{- end }}
{{- with .Values.redis }}
{{- if eq .mode "bundled" }}
{{- if or .urlFromSecret .tls.enabled $.Values.settings.REDIS_SENTINELS $.Values.settings.REDIS_CLUSTER }}
{{- fail "redis.mode is bundled, which is one plain Redis, but redis.urlFromSecret, redis.tls.enabled, settings.REDIS_SENTINELS or settings.REDIS_CLUSTER is set: set redis.mode to external, or leave them off" }}
{{- end }}
{{- if or (ne (int .port) 6379) (gt (int .db) 15) $.Values.settings.REDIS_USERNAME }}
{{- fail (printf "redis.mode is bundled, which listens on 6379, has the databases 0 to 15 and no user but default, but redis.port is %v, redis.db is %v or settings.REDIS_USERNAME is set (%q): leave them off, or set redis.mode to external" .port .db ($.Values.settings.REDIS_USERNAME | default "")) }}
{{- end }}
{{- else }}
{{- if eq $.Values.secret.mode "generated" }}
{{- fail "secret.mode is generated, but redis.mode is external, and that Redis knows nothing of a generated password: create the Secret and set secret.mode to existing, or have it made with externalSecret" }}
{{- end }}
{{- if and (not .host) (not .urlFromSecret) (not $.Values.settings.REDIS_SENTINELS) }}
{{- fail "redis.mode is external, but redis.host is empty: set it or settings.REDIS_SENTINELS, or set redis.urlFromSecret to true and put REDIS_URL into the Secret" }}
{{- end }}
{{- include "visits.externalRedisChecks" $ }}
{{- end }}
{{- end }}
{{- end }}

{{- define "visits.externalRedisChecks" -}}
{{- $settings := .Values.settings }}
{{- if ne (empty $settings.REDIS_SENTINELS) (empty $settings.REDIS_SENTINEL_MASTER) }}
{{- fail "only one of settings.REDIS_SENTINELS and settings.REDIS_SENTINEL_MASTER is set, and the service would refuse to start: set both or none" }}
{{- end }}
{{- $ways := list }}
{{- range $name, $given := dict "redis.urlFromSecret" .Values.redis.urlFromSecret "settings.REDIS_SENTINELS" $settings.REDIS_SENTINELS "settings.REDIS_CLUSTER" $settings.REDIS_CLUSTER }}
{{- if $given }}{{ $ways = append $ways $name }}{{ end }}
{{- end }}
{{- if gt (len $ways) 1 }}
{{- fail (printf "%s are both set, and the service would refuse to start, as each says where Redis is: leave one of them off" (join " and " $ways)) }}
{{- end }}
{{- if and $settings.REDIS_CLUSTER (int .Values.redis.db) }}
{{- fail (printf "redis.db is %v, but settings.REDIS_CLUSTER is on, and a cluster has no other than 0: set it to 0" .Values.redis.db) }}
{{- end }}
{{- with .Values.redis }}
{{- if and .tls.enabled (not .urlFromSecret) (ne (empty .tls.certFile) (empty .tls.keyFile)) }}
{{- fail "only one of redis.tls.certFile and redis.tls.keyFile is set, and the service would refuse to start: set both or none" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "visits.secretChecks" -}}
{{- if eq .Values.secret.mode "externalSecret" }}
{{- with .Values.secret.externalSecret }}
{{- if not ($.Capabilities.APIVersions.Has "external-secrets.io/v1") }}
{{- fail "secret.mode is externalSecret, but the cluster does not have external-secrets.io/v1: install External Secrets Operator 0.16 or newer (https://external-secrets.io), or create the Secret and set secret.mode to existing; `helm template` knows no cluster and wants --api-versions external-secrets.io/v1" }}
{{- end }}
{{- if not .store.name }}
{{- fail (printf "secret.mode is externalSecret, but secret.externalSecret.store.name is empty: set it to the name of the %s that holds the password" .store.kind) }}
{{- end }}
{{- $keys := list }}
{{- range .data }}
{{- if has .secretKey $keys }}
{{- fail (printf "secret.externalSecret.data has the secretKey %s twice: leave one of them out" .secretKey) }}
{{- end }}
{{- $keys = append $keys .secretKey }}
{{- end }}
{{- if not $keys }}
{{- fail "secret.mode is externalSecret, but secret.externalSecret.data is empty: name a key of the Secret and where it is in the store, as in [{secretKey: REDIS_PASSWORD, remoteRef: {key: shop/redis, property: password}}]" }}
{{- end }}
{{- range include "visits.secretKeys" $ | splitList " " | compact }}
{{- if not (has . $keys) }}
{{- fail (printf "the pods need the key %s in their Secret, but secret.externalSecret.data does not name it (it names %s): add it" . (join ", " $keys)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Every setting of the service (app/settings.py), separated by blanks. */}}
{{- define "visits.settingNames" -}}
ENVIRONMENT HOST PORT ADMIN_HOST ADMIN_PORT SECRETS_DIR COUNTER_KEY REDIS_HOST REDIS_PORT REDIS_DB REDIS_USERNAME
REDIS_PASSWORD REDIS_URL REDIS_CLUSTER REDIS_TIMEOUT REDIS_TLS REDIS_TLS_CA_FILE REDIS_TLS_CERT_FILE REDIS_TLS_KEY_FILE
REDIS_SENTINELS REDIS_SENTINEL_MASTER REDIS_SENTINEL_USERNAME REDIS_SENTINEL_PASSWORD
WORKERS HTTP_SERVER REQUEST_TIMEOUT BODY_TIMEOUT IDLE_TIMEOUT MAX_IN_FLIGHT MAX_CONNECTIONS MAX_BODY_SIZE MAX_HEADER_SIZE
ALLOWED_HOSTS TRUSTED_PROXIES HSTS_SECONDS HSTS_INCLUDE_SUBDOMAINS DRAIN_DELAY DRAIN_TIMEOUT LOG_LEVEL LOG_FORMAT
VERSION GIT_COMMIT COMMIT_TIME IMAGE_DIGEST
{{- end }}

{{- define "visits.extraChecks" -}}
{{- /* It would go round the checks, and win over the Secret's and the candidate's. The service reads names in any case. */}}
{{- $settings := include "visits.settingNames" . | replace "\n" " " | splitList " " }}
{{- range .Values.extraEnv }}
{{- if has (upper .name) $settings }}
{{- fail (printf "extraEnv names %s, which is a setting of the service, whose names hold in any case: give it by its value under settings, redis or image, a secret one as a key of the Secret; or use another name" .name) }}
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
