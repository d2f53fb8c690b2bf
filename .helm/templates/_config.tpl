{{/* Where the Secret is mounted. */}}
{{- define "visits.secretsDir" -}}
/run/secrets/visits
{{- end }}

{{/* What the service reads from its environment, without secrets, as a map. The pods' checksum is taken of this. */}}
{{- define "visits.config" -}}
ENVIRONMENT: {{ .Values.environment | quote }}
SECRETS_DIR: {{ include "visits.secretsDir" . | quote }}
{{- include "visits.redisConfig" . }}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ include "visits.plain" $value | quote }}
{{- end }}
{{- end }}

{{- define "visits.redisConfig" -}}
{{- with .Values.redis }}
{{- if not .urlFromSecret }}
{{- with ternary "" (include "visits.redisHost" $) (not (empty $.Values.settings.REDIS_SENTINELS)) }}
REDIS_HOST: {{ . | quote }}
REDIS_PORT: {{ include "visits.plain" $.Values.redis.port | quote }}
{{- end }}
REDIS_DB: {{ include "visits.plain" .db | quote }}
{{- if .tls.enabled }}
REDIS_TLS: "true"
{{- range $setting, $file := dict "REDIS_TLS_CA_FILE" .tls.caFile "REDIS_TLS_CERT_FILE" .tls.certFile "REDIS_TLS_KEY_FILE" .tls.keyFile }}
{{- if $file }}
{{ $setting }}: {{ printf "%s/%s" (include "visits.secretsDir" $) $file | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Helm reads 1000000 from a file as the float 1e+06. */}}
{{- define "visits.plain" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end }}
{{- end }}

{{/*
The container's env. The settings are in the pod's own template, not in a ConfigMap that pods refer to: a container
of the version before that restarts in the middle of a rollout must read the settings it was made for.
Kubernetes would expand $(NAME) in a value; $$( is a plain $(.
*/}}
{{- define "visits.env" -}}
{{- range $name, $value := include "visits.config" . | fromYaml }}
- name: {{ $name }}
  value: {{ $value | replace "$(" "$$(" | quote }}
{{- end }}
{{- with .Values.image.digest }}
- name: IMAGE_DIGEST
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the candidate counts, so that a bad version cannot touch the real counter: a name beside it, in its slot. */}}
{{- define "visits.candidateKey" -}}
{{- $key := include "visits.setting" (list . "COUNTER_KEY" "counter") }}
{{- if include "visits.hasHashTag" $key }}{{ $key }}{{ else }}{{ printf "{%s}" $key }}{{ end }}:candidate
{{- end }}

{{/* Whether a part of a key in braces names its slot (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */}}
{{- define "visits.hasHashTag" -}}
{{- if regexMatch "^[^{]*\\{[^}]+\\}" . }}yes{{ end }}
{{- end }}

{{/* The keys that the Secret must have for the pods to start and to reach Redis, separated by blanks. An external Redis
may do without a password. */}}
{{- define "visits.secretKeys" -}}
{{- $keys := list }}
{{- with .Values.redis }}
{{- if eq .mode "bundled" }}{{ $keys = append $keys "REDIS_PASSWORD" }}{{ end }}
{{- if .urlFromSecret }}{{ $keys = append $keys "REDIS_URL" }}{{ end }}
{{- if and .tls.enabled (not .urlFromSecret) }}{{ $keys = concat $keys (compact (list .tls.caFile .tls.certFile .tls.keyFile)) }}{{ end }}
{{- end }}
{{- join " " $keys }}
{{- end }}
