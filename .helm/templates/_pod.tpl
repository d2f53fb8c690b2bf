{{/* What the service's pods and the pod of `helm test` have in common. */}}

{{- define "visits.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
# Only so that the Secret's files, readable for their group alone, are this group's.
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "visits.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* How the images are pulled, and which nodes will do. */}}
{{- define "visits.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* matchLabelKeys: each version spreads for itself, so that a rollout does not end lopsided. */}}
{{- define "visits.topologySpread" -}}
{{- range .Values.topologySpread }}
- topologyKey: {{ .topologyKey | quote }}
  maxSkew: {{ .maxSkew }}
  whenUnsatisfiable: {{ .whenUnsatisfiable }}
  nodeTaintsPolicy: Honor
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "visits.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}

{{/* (list path probe) */}}
{{- define "visits.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: http
{{ toYaml (index . 1) }}
{{- end }}
