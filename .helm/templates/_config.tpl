{{/* Where the Secret is mounted. */}}
{{- define "visits.secretsDir" -}}
/run/secrets/visits
{{- end }}

{{/* What the service reads from its environment, without secrets. The pods' checksum is taken of this. */}}
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
{{- with include "visits.redisHost" $ }}
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
