{{/* The ways in from outside the cluster, and what they say of each other. */}}

{{/* Those that are rendered: ingress, httproute, both or none. */}}
{{- define "visits.entrance" -}}
{{- $route := and .Values.httpRoute.enabled (include "visits.hasGatewayAPI" .) }}
{{- if and .Values.ingress.enabled $route -}}
both
{{- else if .Values.ingress.enabled -}}
ingress
{{- else if $route -}}
httproute
{{- else -}}
none
{{- end }}
{{- end }}

{{/* Those of them that visitors reach by plain HTTP, as kinds separated by commas; empty when all have HTTPS. */}}
{{- define "visits.plainEntrances" -}}
{{- $plain := list }}
{{- $entrance := include "visits.entrance" . }}
{{- $elsewhere := .Values.ingress.tlsEndsElsewhere }}
{{- if and (has $entrance (list "ingress" "both")) (not .Values.ingress.tls.enabled) (not $elsewhere) }}
{{- $plain = append $plain "Ingress" }}
{{- end }}
{{- /* A Gateway beside an Ingress has an address of its own: what stands before the Ingress does not stand before it. */}}
{{- $elsewhere = and $elsewhere (not (eq $entrance "both")) }}
{{- if and (has $entrance (list "httproute" "both")) (not (include "visits.routeHasTLS" .)) (not $elsewhere) }}
{{- $plain = append $plain "HTTPRoute" }}
{{- end }}
{{- join "," $plain }}
{{- end }}

{{/* What visitors speak: https when every entrance has it, wherever TLS ends; http inside the cluster. */}}
{{- define "visits.scheme" -}}
{{- if or (eq (include "visits.entrance" .) "none") (include "visits.plainEntrances" .) -}}
http
{{- else -}}
https
{{- end }}
{{- end }}

{{/* Of a Gateway of our own we know it; of another's we are told. */}}
{{- define "visits.routeHasTLS" -}}
{{- if .Values.httpRoute.gateway.enabled }}
{{- if .Values.httpRoute.gateway.tls.enabled }}yes{{ end }}
{{- else if .Values.httpRoute.tls }}yes{{ end }}
{{- end }}

{{/* cert-manager's annotations, as a map, from a tls of the values. The Ingress and the Gateway take the same ones. */}}
{{- define "visits.issuerAnnotations" -}}
{{- with .clusterIssuer }}
cert-manager.io/cluster-issuer: {{ . | quote }}
{{- end }}
{{- with .issuer }}
cert-manager.io/issuer: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "visits.tlsSecretName" -}}
{{ .Values.ingress.tls.secretName | default (printf "%s-tls" .Release.Name) }}
{{- end }}

{{/* Another name than the Ingress's, as each has a Certificate of its own where cert-manager fills it. */}}
{{- define "visits.gatewaySecretName" -}}
{{ .Values.httpRoute.gateway.tls.secretName | default (printf "%s-gateway-tls" .Release.Name) }}
{{- end }}

{{- define "visits.entranceChecks" -}}
{{- range .Values.settings.ALLOWED_HOSTS | default "" | splitList "," }}
{{- if not (regexMatch "^(([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]+[.]?|\\[[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\\])?$" (trim .)) }}
{{- fail (printf "settings.ALLOWED_HOSTS has %q, which no Host header can match, and the service would refuse to start: give names, IPv4 addresses or IPv6 addresses in brackets, without scheme, port, path or wildcard" (trim .)) }}
{{- end }}
{{- end }}
{{- with .Values.ingress }}
{{- if and (not .host) (or .enabled $.Values.httpRoute.enabled) }}
{{- fail "ingress.host is empty: set it to the host name that visitors use, or set ingress.enabled and httpRoute.enabled to false" }}
{{- end }}
{{- if or .enabled $.Values.httpRoute.enabled }}
{{- $served := splitList "," ($.Values.settings.ALLOWED_HOSTS | default "" | nospace | lower) | compact }}
{{- if and $served (not (has .host $served)) }}
{{- fail (printf "settings.ALLOWED_HOSTS is %q, without ingress.host %q, and the service would answer 400 to every visitor: add it" $.Values.settings.ALLOWED_HOSTS .host) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "visits.issuerChecks" (list "ingress.tls" .Values.ingress.tls) }}
{{- if .Values.httpRoute.enabled }}
{{- include "visits.routeChecks" . }}
{{- else if .Values.httpRoute.gateway.enabled }}
{{- fail "httpRoute.gateway.enabled is true, but httpRoute.enabled is false, and a Gateway serves nothing without a route: set it to true, or the first to false" }}
{{- end }}
{{- end }}

{{/* (list name tls) */}}
{{- define "visits.issuerChecks" -}}
{{- $name := index . 0 }}
{{- with index . 1 }}
{{- if and .clusterIssuer .issuer }}
{{- fail (printf "%s.clusterIssuer is %q and %s.issuer is %q, and one of them fills the Secret: leave the other empty" $name .clusterIssuer $name .issuer) }}
{{- end }}
{{- if and (or .clusterIssuer .issuer) (not .enabled) }}
{{- fail (printf "%s names an issuer, but %s.enabled is false: set it to true, or leave the issuer empty" $name $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "visits.routeChecks" -}}
{{- if eq (include "visits.entrance" .) "none" }}
{{- fail "httpRoute is the only entrance, but the cluster does not have gateway.networking.k8s.io/v1, so that nobody could come in: install the Gateway API, or set ingress.enabled to true, or httpRoute.enabled to false for a service without an entrance (helm template knows no cluster: give it --api-versions gateway.networking.k8s.io/v1)" }}
{{- end }}
{{- with .Values.httpRoute }}
{{- if .gateway.enabled }}
{{- include "visits.gatewayChecks" $ }}
{{- else if not .parentRefs }}
{{- fail "httpRoute.enabled is true, but httpRoute.parentRefs is empty, and a route serves nothing without a Gateway: name one, as in [{name: public, namespace: gateways, sectionName: https}], or set httpRoute.gateway.enabled to true" }}
{{- end }}
{{- if and .redirectFrom (not .tls) }}
{{- fail "httpRoute.redirectFrom sends visitors to https, but httpRoute.tls does not say that parentRefs are listeners with HTTPS: set it to true, or leave redirectFrom empty" }}
{{- end }}
{{- if .tls }}
{{- range .parentRefs }}
{{- if not (or .sectionName .port) }}
{{- fail (printf "httpRoute.tls is true, but httpRoute.parentRefs names all listeners of %s, those of plain HTTP, too: name the one with HTTPS by its sectionName or port" .name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range .redirectFrom }}
{{- if has . $.Values.httpRoute.parentRefs }}
{{- fail (printf "httpRoute.redirectFrom and httpRoute.parentRefs name the same listener of %s, which would send visitors in a circle: name that of plain HTTP in redirectFrom, that with HTTPS in parentRefs" .name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "visits.gatewayChecks" -}}
{{- with .Values.httpRoute }}
{{- if or .parentRefs .redirectFrom .tls }}
{{- fail "httpRoute.gateway.enabled is true, which is a Gateway of the service's own, but httpRoute.parentRefs, redirectFrom or tls tells of another's: leave them empty, or set httpRoute.gateway.enabled to false" }}
{{- end }}
{{- if not .gateway.className }}
{{- fail "httpRoute.gateway.className is empty, and a Gateway has no default class: set it to one of kubectl get gatewayclasses" }}
{{- end }}
{{- if eq (int .gateway.ports.http) (int .gateway.ports.https) }}
{{- fail (printf "httpRoute.gateway.ports.http and https are both %v: give each its own" .gateway.ports.http) }}
{{- end }}
{{- include "visits.issuerChecks" (list "httpRoute.gateway.tls" .gateway.tls) }}
{{- $issued := or .gateway.tls.clusterIssuer .gateway.tls.issuer $.Values.ingress.tls.clusterIssuer $.Values.ingress.tls.issuer }}
{{- if and $.Values.ingress.enabled $issued (eq (include "visits.tlsSecretName" $) (include "visits.gatewaySecretName" $)) }}
{{- fail (printf "ingress.tls and httpRoute.gateway.tls both name the Secret %q, and cert-manager fills one for each: leave a secretName empty" (include "visits.tlsSecretName" $)) }}
{{- end }}
{{- end }}
{{- end }}
