{{/* What the schema cannot see. */}}
{{- define "redis.checks" -}}
{{- if gt (len .Release.Name) 46 }}
{{- fail (printf "the release name %q has %d characters; names made from it must fit into 63: use at most 46, which is 40 and -redis" .Release.Name (len .Release.Name)) }}
{{- end }}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "the release name %q names a Service, too: use lower-case letters, digits and -, first a letter, last no -" .Release.Name) }}
{{- end }}
{{- if has (include "redis.project" .) (list "y" "n" "yes" "no" "on" "off" "true" "false" "null") }}
{{- fail (printf "the project name %q is no text in YAML, but a yes, a no or nothing: use another one" (include "redis.project" .)) }}
{{- end }}
{{- end }}
