{{/*
PROD says what it is: what is fit for trying out only is refused there, unless the values say in so many words that it
is meant. All that is missing at once, each with the line to add.
*/}}
{{- define "visits.prodChecks" -}}
{{- if eq .Values.environment "PROD" }}
{{- $missing := list }}
{{- with include "visits.plainEntrances" . }}
{{- $ways := list "for plain HTTP: `ingress: {plainHTTP: allowed}`" }}
{{- if not (and (contains "HTTPRoute" .) (eq (include "visits.entrance" $) "both")) }}
{{- $ways = append $ways "where TLS ends before it, as at a load balancer: `ingress: {tlsEndsElsewhere: true}`" }}
{{- end }}
{{- if and (contains "HTTPRoute" .) (not $.Values.httpRoute.gateway.enabled) }}
{{- $ways = append $ways "where the Gateway's listener that httpRoute.parentRefs names has HTTPS: `httpRoute: {tls: true}`" }}
{{- end }}
{{- if ne $.Values.ingress.plainHTTP "allowed" }}
{{- $missing = append $missing (printf "visitors would come in by plain HTTP (%s). Give it a certificate (docs/charts.md, Entrances), or add the line that holds: %s" . (join "; " $ways)) }}
{{- end }}
{{- end }}
{{- if and (eq .Values.redis.mode "bundled") (ne .Values.redis.singlePod "allowed") }}
{{- $missing = append $missing "Redis would be the bundled one, a single pod with a single volume. Set redis.mode to external, or add the line: `redis: {singlePod: allowed}`" }}
{{- end }}
{{- if $missing }}
{{- fail (printf "the environment is PROD, and the values do not say that this is meant:\n- %s" (join "\n- " $missing)) }}
{{- end }}
{{- end }}
{{- end }}
