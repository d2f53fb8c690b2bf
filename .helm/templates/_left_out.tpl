{{/* The optional parts that were asked for, but whose kind this cluster does not have; empty when there are none. deploy.sh
reads it from a line of YAML, so it must need no quotes there. */}}
{{- define "visits.leftOut" -}}
{{- $parts := list }}
{{- if and .Values.httpRoute.enabled (not (include "visits.hasGatewayAPI" .)) }}
{{- $kinds := ternary "HTTPRoute and Gateway" "HTTPRoute" .Values.httpRoute.gateway.enabled }}
{{- $parts = append $parts (printf "%s, as the cluster does not have gateway.networking.k8s.io/v1" $kinds) }}
{{- end }}
{{- if not (include "visits.hasPrometheusOperator" .) }}
{{- $kinds := list }}
{{- if .Values.monitoring.podMonitor.enabled }}{{ $kinds = append $kinds "PodMonitor" }}{{ end }}
{{- if .Values.monitoring.rules.enabled }}{{ $kinds = append $kinds "PrometheusRule" }}{{ end }}
{{- if $kinds }}
{{- $parts = append $parts (printf "%s, as the cluster does not have monitoring.coreos.com/v1" (join " and " $kinds)) }}
{{- end }}
{{- end }}
{{- join "; " $parts }}
{{- end }}

{{- define "visits.hasGatewayAPI" -}}
{{- if .Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1" }}yes{{ end }}
{{- end }}

{{- define "visits.hasPrometheusOperator" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}yes{{ end }}
{{- end }}
