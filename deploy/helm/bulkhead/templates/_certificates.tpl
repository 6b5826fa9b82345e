{{/*
Certificates of the collector, the agents and subscribers, all of one authority.

Three Secrets and the collector's pod need the same ones, so they are made once a rendering and kept beside the values.
An authority is as good as its key is secret: the key is used here and forgotten.
*/}}

{{/* Whether the chart makes certificates: "true" or nothing. Fails where only some Secrets are given. */}}
{{- define "bulkhead.tls.made" -}}
{{- $given := .Values.tls.existingSecrets -}}
{{- if ne (empty $given.collector) (empty $given.agent) -}}
{{- fail "tls.existingSecrets: collector and agent go together, because one authority signs both: give both or neither" -}}
{{- end -}}
{{- if and $given.client (not $given.agent) -}}
{{- fail "tls.existingSecrets.client: without collector and agent the chart makes all three certificates; give all or none" -}}
{{- end -}}
{{- if not $given.agent }}true{{ end -}}
{{- end -}}

{{/* Name of a Secret: (list . "agent"). Nothing for a client's where collector and agent are given and it is not. */}}
{{- define "bulkhead.tls.secret" -}}
{{- $root := index . 0 -}}
{{- $who := index . 1 -}}
{{- if include "bulkhead.tls.made" $root -}}
{{- include "bulkhead.fullname" $root }}-{{ $who }}-tls
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

{{/* Sets .Values.certificates to collector, agent, client: each the data of its Secret, in base64. */}}
{{- define "bulkhead.certificates" -}}
{{- if not (hasKey .Values "certificates") -}}
{{- $kept := dict -}}
{{- range $who := list "collector" "agent" "client" -}}
{{- with lookup "v1" "Secret" $.Release.Namespace (include "bulkhead.tls.secret" (list $ $who)) -}}
{{- $_ := set $kept $who (pick .data "tls.crt" "tls.key" "ca.crt") -}}
{{- end -}}
{{- end -}}
{{- if lt (len $kept) 3 -}}
{{- include "bulkhead.certificates.issue" (list . $kept) -}}
{{- end -}}
{{- $_ := set .Values "certificates" $kept -}}
{{- end -}}
{{- end -}}

{{/* Fills a dictionary with new certificates: (list . $dictionary). P-256, because RSA keys take seconds to make. */}}
{{- define "bulkhead.certificates.issue" -}}
{{- $root := index . 0 -}}
{{- $issued := index . 1 -}}
{{- $days := int $root.Values.tls.validityDays -}}
{{- $name := include "bulkhead.fullname" $root -}}
{{- $host := include "bulkhead.collector.host" $root -}}
{{- $authority := genCAWithKey (printf "%s-ca" $name) $days (genPrivateKey "ecdsa") -}}
{{- range $who := list "collector" "agent" "client" -}}
{{- $own := printf "%s-%s" $name $who -}}
{{- $names := list $own -}}
{{- $addresses := list -}}
{{- if eq $who "collector" -}}
{{- /* bulkhead-collector, whatever the release is called: what `bulkhead events` asks for where it forwards the port */ -}}
{{- $names = list $own (trimSuffix ".svc" $host) $host "bulkhead-collector" "localhost" | uniq -}}
{{- $addresses = list "127.0.0.1" -}}
{{- end -}}
{{- $made := genSignedCertWithKey $own $addresses $names $days $authority (genPrivateKey "ecdsa") -}}
{{- $_ := set $issued $who (dict "tls.crt" (b64enc $made.Cert) "tls.key" (b64enc $made.Key) "ca.crt" (b64enc $authority.Cert)) -}}
{{- end -}}
{{- end -}}
