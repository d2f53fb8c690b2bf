{{/* The one place for names, labels, annotations and selectors. */}}

{{- define "visits.name" -}}
{{ .Release.Name }}
{{- end }}

{{- define "visits.testName" -}}
{{ .Release.Name }}-test
{{- end }}

{{/* Empty when Sentinels say where Redis is. */}}
{{- define "visits.redisHost" -}}
{{ .Values.redis.host | default (ternary (printf "%s-redis" .Release.Name) "" (eq .Values.redis.mode "bundled")) }}
{{- end }}

{{- define "visits.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (ternary .Release.Name "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "visits.secretName" -}}
{{ .Values.secret.name | default (printf "%s-redis-auth" .Release.Name) }}
{{- end }}

{{/* Immutable on a Deployment: never add to these. */}}
{{- define "visits.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the pod of `helm test`: another name, so that no selector of the service's pods finds it. */}}
{{- define "visits.testSelectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end }}

{{/* The Redis that `helm test` asks whether it wants its password: an external one need not have any. */}}
{{- define "visits.testRedisAddress" -}}
{{- if eq .Values.redis.mode "bundled" -}}
{{ include "visits.redisHost" . }}:{{ .Values.redis.port }}
{{- end }}
{{- end }}

{{- define "visits.candidateName" -}}
{{ .Release.Name }}-candidate
{{- end }}

{{/* Of the candidate: another name, too. Redis lets it in by the other two. */}}
{{- define "visits.candidateLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-candidate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: candidate
{{ include "visits.descriptiveLabels" . }}
{{- end }}

{{/* What a pod and the other objects tell beside their name. */}}
{{- define "visits.descriptiveLabels" -}}
app.kubernetes.io/version: {{ include "visits.version" . | quote }}
app.kubernetes.io/part-of: {{ .Release.Name }}
{{- end }}

{{/* Pods do without the chart's version: a new chart alone is no reason to roll them. */}}
{{- define "visits.podLabels" -}}
{{ include "visits.selectorLabels" . }}
{{ include "visits.descriptiveLabels" . }}
{{- end }}

{{/* Of every object, beside its name's. */}}
{{- define "visits.objectLabels" -}}
{{ include "visits.descriptiveLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "visits.labels" -}}
{{ include "visits.selectorLabels" . }}
{{ include "visits.objectLabels" . }}
{{- end }}

{{/* An object's metadata.annotations, if any: (list $ its-own …). The first to name one wins; what is given for every
object yields to all. A map with nothing in it may be null. */}}
{{- define "visits.annotations" -}}
{{- $merged := dict }}
{{- range append (rest .) (first .).Values.annotations }}
{{- $merged = merge $merged (. | default dict) }}
{{- end }}
{{- with $merged }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
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
