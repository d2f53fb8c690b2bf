{{/* What Redis reads under /etc/redis at its start, as the ConfigMap's data. The pod's checksum is taken of this. */}}
{{- define "redis.config" -}}
redis.conf: |
  {{- tpl (.Files.Get "files/redis.conf") . | nindent 2 }}
start.sh: |
  {{- .Files.Get "files/start.sh" | nindent 2 }}
{{- end }}

{{/* What is run in the pod beside Redis: a change of it is no reason to restart. */}}
{{- define "redis.scripts" -}}
{{- range list "ready.sh" "backup.sh" "restore.sh" }}
{{ . }}: |
  {{- $.Files.Get (printf "files/%s" .) | nindent 2 }}
{{- end }}
{{- end }}

{{/* Bytes: maxmemoryPercent of the memory limit. */}}
{{- define "redis.maxmemory" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString }}
{{- if not (regexMatch "^[1-9][0-9]*(Mi|Gi)$" $limit) }}
{{- fail (printf "resources.limits.memory is %q, and Redis' maxmemory is computed from it: give it in Mi or Gi, as in 128Mi" $limit) }}
{{- end }}
{{- $bytes := mul (regexFind "^[0-9]+" $limit | int64) (ternary 1048576 1073741824 (hasSuffix "Mi" $limit)) }}
{{- if lt $bytes 67108864 }}
{{- fail (printf "resources.limits.memory is %q: Redis alone takes some 20Mi, so give it 64Mi or more" $limit) }}
{{- end }}
{{- div (mul $bytes (int64 .Values.maxmemoryPercent)) 100 }}
{{- end }}
