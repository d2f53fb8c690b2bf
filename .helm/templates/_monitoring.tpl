{{/* What files/alerts.yaml and files/dashboard.json are filled with. */}}

{{/* The job that the PodMonitor's targets have. */}}
{{- define "visits.job" -}}
{{ .Release.Namespace }}/{{ include "visits.name" . }}
{{- end }}

{{/* (list . text): the text with the release's names and the values of monitoring.rules in place of <…>. */}}
{{- define "visits.filled" -}}
{{- $root := index . 0 }}
{{- $text := index . 1 }}
{{- $rules := $root.Values.monitoring.rules }}
{{- /* As prometheus_client writes a bucket's bound. */}}
{{- $le := toString $rules.latencySeconds }}
{{- $le = ternary $le (printf "%s.0" $le) (contains "." $le) }}
{{- $given := dict "job" (include "visits.job" $root) "namespace" $root.Release.Namespace "release" (include "visits.name" $root) "container" $root.Chart.Name "le" $le }}
{{- $_ := set $given "uid" (include "visits.job" $root | sha256sum | trunc 40) }}
{{- $_ := set $given "entranceRequests" $rules.entrance.requests }}
{{- $_ := set $given "entranceFailed" $rules.entrance.failed }}
{{- $_ := set $given "interval" $root.Values.monitoring.podMonitor.interval }}
{{- $_ := set $given "minimumRequests" (int64 $rules.minimumRequests) }}
{{- range $name := list "objective" "latencyObjective" "latencySeconds" "redisExporter" "certificateDays" "certificateNames" }}
{{- $_ := set $given $name (get $rules $name) }}
{{- end }}
{{- range $name, $value := merge (dict) $given $rules.windows }}
{{- $text = replace (printf "<%s>" $name) (toString $value) $text }}
{{- end }}
{{- $text }}
{{- end }}

{{/* An object's labels, and those of monitoring's own: (list . its-own). */}}
{{- define "visits.monitoringLabels" -}}
{{- toYaml (merge (dict) (index . 1) (include "visits.labels" (index . 0) | fromYaml)) }}
{{- end }}

{{/* The rules of files/alerts.yaml whose needs are met, as Prometheus reads them. */}}
{{- define "visits.alerts" -}}
{{- $rules := .Values.monitoring.rules }}
{{- $met := dict "kubelet" (eq .Values.redis.mode "bundled") "kubeStateMetrics" $rules.kubeStateMetrics "certManager" $rules.certManager }}
{{- /* The kubelet's are everywhere, if Prometheus reads them: else the alert stays quiet. */}}
{{- $_ := set $met "probes" true }}
{{- $_ := set $met "redisExporter" (ne $rules.redisExporter "") }}
{{- $_ := set $met "entrance" (ne $rules.entrance.requests "") }}
{{- $file := .Files.Get "files/alerts.yaml" | fromYaml }}
{{- $alerts := list }}
{{- range $rule := $file.rules }}
{{- if or (not $rule.needs) (get $met (default "" $rule.needs)) }}
{{- $labels := dict "severity" $rule.severity "namespace" $.Release.Namespace "service" (include "visits.name" $) }}
{{- with $rule.source }}
{{- $_ := set $labels "source" . }}
{{- end }}
{{- $url := printf "%s#%s" $rules.runbookUrl (lower $rule.alert) }}
{{- $annotations := dict "summary" $rule.summary "description" $rule.description "runbook_url" $url }}
{{- range $name, $text := $annotations }}
{{- $_ := set $annotations $name (include "visits.filled" (list $ $text)) }}
{{- end }}
{{- $alert := dict "alert" $rule.alert "labels" $labels "annotations" $annotations }}
{{- $_ := set $alert "expr" (include "visits.expression" (list $ (trim $rule.expr) $file.parts)) }}
{{- with get $rule "for" }}
{{- $_ := set $alert "for" (include "visits.filled" (list $ .)) }}
{{- end }}
{{- $alerts = append $alerts $alert }}
{{- end }}
{{- end }}
{{- toYaml $alerts }}
{{- end }}

{{/* (list . expression parts) */}}
{{- define "visits.expression" -}}
{{- $parts := index . 2 }}
{{- $expression := index . 1 }}
{{- /* Twice, as parts are made of parts. */}}
{{- range list 1 2 }}
{{- range $name, $part := $parts }}
{{- $expression = replace (printf "<%s>" $name) $part $expression }}
{{- end }}
{{- end }}
{{- include "visits.filled" (list (index . 0) $expression) }}
{{- end }}

{{/* A time as Prometheus writes it, in milliseconds. */}}
{{- define "visits.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 }}
{{- $total := 0 }}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $total = add $total (mul (trimSuffix $unit . | int64) (get $units $unit)) }}
{{- end }}
{{- $total }}
{{- end }}

{{- define "visits.monitoringChecks" -}}
{{- with .Values.monitoring }}
{{- if and .rules.enabled (not .podMonitor.enabled) (not .rules.scrapedElsewhere) }}
{{- fail (printf "monitoring.rules.enabled is true, but nothing scrapes the pods, so that NoPodSeen would ring for ever: set monitoring.podMonitor.enabled to true, or monitoring.rules.scrapedElsewhere, if something else scrapes them with the job %s" (include "visits.job" $)) }}
{{- end }}
{{- $interval := include "visits.milliseconds" .podMonitor.interval | int64 }}
{{- $recent := include "visits.milliseconds" .rules.windows.recent | int64 }}
{{- if and .rules.enabled .podMonitor.enabled (lt $recent (mul 4 $interval)) }}
{{- fail (printf "monitoring.rules.windows.recent is %s, but must hold four scrapes, and monitoring.podMonitor.interval is %s: one that was late would end an alert, or begin it anew; make the first at least four times as long as the second" .rules.windows.recent .podMonitor.interval) }}
{{- end }}
{{- if and .podMonitor.enabled $.Values.networkPolicy.enabled (not $.Values.networkPolicy.monitoringFrom) }}
{{- fail "monitoring.podMonitor.enabled is true, but networkPolicy.monitoringFrom is empty, so that Prometheus may not reach the metrics' port: name its namespace there, as in [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" }}
{{- end }}
{{- if ne (empty .rules.entrance.requests) (empty .rules.entrance.failed) }}
{{- fail "monitoring.rules.entrance has one of requests and failed, but the alert needs both: give the other, too, or leave both empty" }}
{{- end }}
{{- end }}
{{- end }}
