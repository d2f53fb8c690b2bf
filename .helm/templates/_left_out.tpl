{{/* The optional parts that were asked for, but whose kind this cluster does not have; empty when there are none. deploy.sh
reads it from a line of YAML, so it must need no quotes there. */}}
{{- define "visits.leftOut" -}}
{{- $parts := list }}
{{- if and .Values.httpRoute.enabled (not (include "visits.hasGatewayAPI" .)) }}
{{- $kinds := ternary "HTTPRoute and Gateway" "HTTPRoute" .Values.httpRoute.gateway.enabled }}
{{- $parts = append $parts (printf "%s, as the cluster does not have gateway.networking.k8s.io/v1" $kinds) }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.enabled (not (include "visits.hasPodMonitor" .)) }}
{{- $parts = append $parts "PodMonitor, as the cluster does not have monitoring.coreos.com/v1/PodMonitor" }}
{{- end }}
{{- if and .Values.monitoring.rules.enabled (not (include "visits.hasPrometheusRule" .)) }}
{{- $parts = append $parts "PrometheusRule, as the cluster does not have monitoring.coreos.com/v1/PrometheusRule" }}
{{- else if and .Values.monitoring.rules.enabled (not (include "visits.isScraped" .)) }}
{{- $parts = append $parts "PrometheusRule, as nothing would scrape the pods" }}
{{- end }}
{{- join "; " $parts }}
{{- end }}

{{- define "visits.hasGatewayAPI" -}}
{{- if .Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1" }}yes{{ end }}
{{- end }}

{{/* Each kind for itself: some agents bring one of them without the other. */}}
{{- define "visits.hasPodMonitor" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PodMonitor" }}yes{{ end }}
{{- end }}

{{- define "visits.hasPrometheusRule" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PrometheusRule" }}yes{{ end }}
{{- end }}

{{- define "visits.isScraped" -}}
{{- if or .Values.monitoring.rules.scrapedElsewhere (include "visits.hasPodMonitor" .) }}yes{{ end }}
{{- end }}
