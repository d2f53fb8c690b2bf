{{/* The one place for names, labels, annotations and selectors. */}}

{{- define "redis.name" -}}
{{ .Release.Name }}
{{- end }}

{{/* The release of the service that this Redis is for. */}}
{{- define "redis.project" -}}
{{ trimSuffix "-redis" .Release.Name }}
{{- end }}

{{- define "redis.secretName" -}}
{{ .Values.secret.name | default (printf "%s-auth" .Release.Name) }}
{{- end }}

{{/* Immutable on a StatefulSet and its claim: never add to these. */}}
{{- define "redis.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Pods do without the chart's version: a new chart alone is no reason to restart Redis. */}}
{{- define "redis.podLabels" -}}
{{ include "redis.selectorLabels" . }}
app.kubernetes.io/version: {{ include "redis.version" . | quote }}
app.kubernetes.io/part-of: {{ include "redis.project" . }}
{{- end }}

{{- define "redis.labels" -}}
{{ include "redis.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "redis.annotations" -}}
{{- with .Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A tag may hold 128 characters and start or end with _ . -, a label may not. */}}
{{- define "redis.version" -}}
{{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "_.-" | default .Chart.AppVersion }}
{{- end }}

{{- define "redis.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}
