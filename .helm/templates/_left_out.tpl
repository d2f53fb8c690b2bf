{{/* The optional parts that were asked for, but whose kind this cluster does not have; empty when there are none. deploy.sh
reads it from a line of YAML, so it must need no quotes there. */}}
{{- define "visits.leftOut" -}}
{{- if and .Values.httpRoute.enabled (not (include "visits.hasGatewayAPI" .)) -}}
{{ ternary "HTTPRoute and Gateway" "HTTPRoute" .Values.httpRoute.gateway.enabled }}, as the cluster does not have gateway.networking.k8s.io/v1
{{- end }}
{{- end }}

{{- define "visits.hasGatewayAPI" -}}
{{- if .Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1" }}yes{{ end }}
{{- end }}
