{{/* The one place for names, labels and selectors. */}}

{{- define "visits.name" -}}
{{ .Release.Name }}
{{- end }}

{{/* Empty when Sentinels say where Redis is. */}}
{{- define "visits.redisHost" -}}
{{ .Values.redis.host | default (ternary (printf "%s-redis" .Release.Name) "" (eq .Values.redis.mode "bundled")) }}
{{- end }}

{{- define "visits.secretName" -}}
{{ .Values.secret.name | default (printf "%s-redis-auth" .Release.Name) }}
{{- end }}

{{- define "visits.tlsSecretName" -}}
{{ .Values.ingress.tls.secretName | default (printf "%s-tls" .Release.Name) }}
{{- end }}

{{/* Immutable on a Deployment: never add to these. */}}
{{- define "visits.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Pods do without the chart's version: a new chart alone is no reason to roll them. */}}
{{- define "visits.podLabels" -}}
{{ include "visits.selectorLabels" . }}
app.kubernetes.io/version: {{ include "visits.version" . | quote }}
app.kubernetes.io/part-of: {{ .Release.Name }}
{{- end }}

{{- define "visits.labels" -}}
{{ include "visits.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{/* A tag may hold 128 characters and start or end with _ . -, a label may not. */}}
{{- define "visits.version" -}}
{{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "_.-" | default .Chart.AppVersion }}
{{- end }}

{{- define "visits.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}
