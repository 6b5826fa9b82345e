{{/*
Certificates of the collector, the agents and subscribers. The controller issues them into objects that the chart makes
empty and leaves alone afterwards (docs/adr/0019-certificates.md), unless there are Secrets of your own.
*/}}

{{/* Whether the controller issues certificates: "true" or nothing. Fails where only some Secrets are given. */}}
{{- define "bulkhead.tls.issued" -}}
{{- $given := .Values.tls.existingSecrets -}}
{{- if ne (empty $given.collector) (empty $given.agent) -}}
{{- fail "tls.existingSecrets: collector and agent go together, because one authority signs both: give both or neither" -}}
{{- end -}}
{{- if and $given.client (not $given.agent) -}}
{{- fail "tls.existingSecrets.client: without collector and agent the controller issues all certificates; give all or none" -}}
{{- end -}}
{{- if not $given.agent }}true{{ end -}}
{{- end -}}

{{/* Name of the Secret of the collector or of subscribers: (list . "client"). Nothing where it is yours and not given. */}}
{{- define "bulkhead.tls.secret" -}}
{{- $root := index . 0 -}}
{{- $who := index . 1 -}}
{{- if include "bulkhead.tls.issued" $root -}}
{{- include "bulkhead.fullname" $root }}-{{ $who }}-cert
{{- else -}}
{{- get $root.Values.tls.existingSecrets $who -}}
{{- end -}}
{{- end -}}

{{/*
The common name of the certificates of agents or of subscribers: (list . "agent"). Empty where they are somebody else's and
nobody has said it; then any certificate of the authority does.
*/}}
{{- define "bulkhead.tls.name" -}}
{{- $root := index . 0 -}}
{{- $who := index . 1 -}}
{{- $made := ternary "" (printf "%s-%s" (include "bulkhead.fullname" $root) $who) (ne $root.Values.tls.existingSecrets.collector "") -}}
{{- default $made (get $root.Values.tls.commonNames $who) -}}
{{- end -}}

{{/* What programs find everything by: --certificates of agent and controller. */}}
{{- define "bulkhead.tls.release" -}}
{{ .Release.Namespace }}/{{ include "bulkhead.fullname" . }}
{{- end -}}

{{/* Who signs agents' requests, as the API calls it. */}}
{{- define "bulkhead.tls.signer" -}}
bulkhead.dev/{{ .Release.Namespace }}.{{ include "bulkhead.fullname" . }}-agent
{{- end -}}
