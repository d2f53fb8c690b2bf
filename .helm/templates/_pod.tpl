{{/* The service's pods; parts of them also make the pod of `helm test`. */}}

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

{{/* Of the Deployment's pods and of the candidate alike. */}}
{{- define "visits.podSpec" -}}
serviceAccountName: {{ include "visits.serviceAccountName" . }}
automountServiceAccountToken: false
# A Service named redis would inject REDIS_PORT=tcp://…
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- include "visits.placement" . | nindent 0 }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .Chart.Name }}
    image: {{ include "visits.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    env:
      {{- include "visits.env" . | nindent 6 }}
    ports:
      - name: http
        containerPort: 8000
        protocol: TCP
      - name: admin
        containerPort: 8001
        protocol: TCP
    startupProbe:
      {{- include "visits.probe" (list "/healthz" .Values.probes.startup) | nindent 6 }}
    livenessProbe:
      {{- include "visits.probe" (list "/healthz" .Values.probes.liveness) | nindent 6 }}
    readinessProbe:
      {{- include "visits.probe" (list "/readyz" .Values.probes.readiness) | nindent 6 }}
    {{- with .Values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    volumeMounts:
      - name: secrets
        mountPath: {{ include "visits.secretsDir" . }}
        readOnly: true
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: secrets
    secret:
      secretName: {{ include "visits.secretName" . }}
      defaultMode: 0440
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
