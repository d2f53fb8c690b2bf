{{/* Rules under `egress` of the NetworkPolicies. Ports are numbers: not every network knows names of ports here. */}}

{{- define "visits.dnsEgress" -}}
{{- /* A rule without peers would allow everybody. */}}
{{- with .Values.networkPolicy.dnsTo }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}
{{- end }}

{{- define "visits.redisEgress" -}}
{{- if eq .Values.redis.mode "bundled" }}
- to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: redis
          app.kubernetes.io/instance: {{ include "visits.redisHost" . | splitList "." | first }}
  ports:
    - port: {{ .Values.redis.port }}
      protocol: TCP
{{- else }}
{{- $untold := or .Values.redis.urlFromSecret .Values.settings.REDIS_SENTINELS .Values.settings.REDIS_CLUSTER }}
- ports:
    {{- range .Values.networkPolicy.redisPorts | default (ternary list (list .Values.redis.port) (not (empty $untold))) }}
    - port: {{ . }}
      protocol: TCP
    {{- else }}
    - protocol: TCP
    {{- end }}
  {{- with .Values.networkPolicy.redisTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of the service's pods and of the candidate alike. */}}
{{- define "visits.egress" -}}
{{- include "visits.dnsEgress" . }}
{{- include "visits.redisEgress" . }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
