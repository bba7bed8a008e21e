{{- define "sublet.validate.dns" -}}
{{- $dns := .Values.controlPlane.coredns -}}
{{- $deployment := $dns.deployment -}}
{{- if $dns.embedded -}}
{{- if not $dns.enabled -}}
{{- fail "controlPlane.coredns.embedded runs what controlPlane.coredns.enabled=false leaves out; set enabled or unset embedded" -}}
{{- end -}}
{{- if not .Values.sync.toHost.endpointSlices.enabled -}}
{{- fail "controlPlane.coredns.embedded is reached by an EndpointSlice; set sync.toHost.endpointSlices.enabled or unset embedded" -}}
{{- end -}}
{{- range $key, $value := dict
      "deployment.affinity" $deployment.affinity
      "deployment.annotations" $deployment.annotations
      "deployment.labels" $deployment.labels
      "deployment.nodeSelector" $deployment.nodeSelector
      "deployment.pods.annotations" $deployment.pods.annotations
      "deployment.pods.labels" $deployment.pods.labels
      "deployment.replicas" (ternary 0 $deployment.replicas (eq (int $deployment.replicas) 1))
      "deployment.tolerations" $deployment.tolerations
      "priorityClassName" $dns.priorityClassName
      "security.containerSecurityContext" $dns.security.containerSecurityContext
      "security.podSecurityContext" $dns.security.podSecurityContext -}}
{{- if $value -}}
{{- fail (printf "controlPlane.coredns.%s is for pods of CoreDNS, and controlPlane.coredns.embedded makes none; unset it, or use controlPlane.statefulSet" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networking.advanced.fallbackHostCluster $dns.overwriteConfig -}}
{{- fail "networking.advanced.fallbackHostCluster changes the Corefile that controlPlane.coredns.overwriteConfig replaces; unset one of them" -}}
{{- end -}}
{{- end -}}
