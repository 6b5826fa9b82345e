{{/*
Names, labels and checks that several objects share. Certificates are in _certificates.tpl.
*/}}

{{/* What app.kubernetes.io/name says. */}}
{{- define "bulkhead.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* First part of all names: "bulkhead" for a release of that name. 46 characters leave room for the longest suffix. */}}
{{- define "bulkhead.fullname" -}}
{{- $name := include "bulkhead.name" . -}}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $release .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods of a component: (list . "agent"). Can never change in an upgrade. */}}
{{- define "bulkhead.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "bulkhead.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object of a component: (list . "agent"). */}}
{{- define "bulkhead.labels" -}}
{{- $root := index . 0 -}}
{{ include "bulkhead.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The reference of an image: (list . .Values.agent.image). */}}
{{- define "bulkhead.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $image.repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* Where agents and subscribers find the collector; its certificate is for this name. */}}
{{- define "bulkhead.collector.host" -}}
{{ include "bulkhead.fullname" . }}-collector.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* MiB of a size with a binary unit: 10Gi, or 8G as the collector writes it. */}}
{{- define "bulkhead.mebibytes" -}}
{{- $units := dict "M" 1 "G" 1024 "T" 1048576 -}}
{{- mul (regexFind "^[0-9]+" .) (get $units (regexFind "[MGT]" .)) -}}
{{- end -}}

{{/* The collector's limit of bytes. Fails where its volume would be full before it is reached. */}}
{{- define "bulkhead.collector.retainBytes" -}}
{{- $size := .Values.collector.persistence.size -}}
{{- $retained := include "bulkhead.mebibytes" .Values.collector.retainBytes | int64 -}}
{{- if gt (mul $retained 5) (mul (include "bulkhead.mebibytes" $size | int64) 4) -}}
{{- fail (printf "collector.retainBytes: %s is more than four fifths of collector.persistence.size, %s: the volume would be full before the oldest violations go" .Values.collector.retainBytes $size) -}}
{{- end -}}
{{- .Values.collector.retainBytes -}}
{{- end -}}

{{/* An AppArmor profile as the annotation of Kubernetes 1.29 says it. */}}
{{- define "bulkhead.appArmorAnnotation" -}}
{{- if eq .type "Unconfined" }}unconfined
{{- else if eq .type "RuntimeDefault" }}runtime/default
{{- else }}localhost/{{ required "agent.appArmorProfile.localhostProfile: type Localhost needs it" .localhostProfile }}
{{- end }}
{{- end -}}
