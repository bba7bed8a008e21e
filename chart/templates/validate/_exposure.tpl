{{- define "sublet.validate.exposure" -}}
{{- $control := .Values.controlPlane -}}
{{- $ingress := $control.ingress -}}
{{- if and $ingress.enabled (not (or $ingress.host $ingress.spec.rules)) -}}
{{- fail "controlPlane.ingress.enabled needs a name to be reached by; set controlPlane.ingress.host" -}}
{{- end -}}
{{- $route := $control.tlsRoute -}}
{{- if $route.enabled -}}
{{- if not (or $route.host $route.spec.hostnames) -}}
{{- fail "controlPlane.tlsRoute.enabled needs a name to be reached by; set controlPlane.tlsRoute.host" -}}
{{- end -}}
{{- if not (or $route.parentRefs $route.spec.parentRefs) -}}
{{- fail "controlPlane.tlsRoute.enabled needs a Gateway that takes it; name one in controlPlane.tlsRoute.parentRefs" -}}
{{- end -}}
{{- end -}}
{{- $spec := $control.service.spec -}}
{{- if and (or $control.service.httpsNodePort $control.service.kubeletNodePort) (eq ($spec.type | default "ClusterIP") "ClusterIP") -}}
{{- fail "controlPlane.service.httpsNodePort and kubeletNodePort are for a Service with node ports; set controlPlane.service.spec.type to NodePort or LoadBalancer, or unset them" -}}
{{- end -}}
{{- if and $control.service.kubeletNodePort (eq ($spec.type | default "") "LoadBalancer") -}}
{{- fail "controlPlane.service.kubeletNodePort: a load balancer does not show the kubelet API; unset it" -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.kubeconfigs" -}}
{{- $home := include "sublet.namespace" . -}}
{{- $seen := list (printf "%s/%s-certs" $home .Release.Name) (printf "%s/vc-config-%s" $home .Release.Name) -}}
{{- $seen = append $seen (printf "%s/%s-certs" $home (include "sublet.etcd.name" .)) -}}
{{- range include "sublet.kubeconfigs" . | fromJsonArray -}}
{{- $secret := printf "%s/%s" .namespace .secret -}}
{{- if has $secret $seen -}}
{{- fail (printf "exportKubeConfig.additionalSecrets: Secret %s is already taken; choose another name" $secret) -}}
{{- end -}}
{{- $seen = append $seen $secret -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.quota" -}}
{{- $type := .Values.controlPlane.service.spec.type | default "ClusterIP" -}}
{{- $ports := index .Values.policies.resourceQuota.quota "services.nodeports" -}}
{{- if and (include "sublet.quota" .) (has $type (list "NodePort" "LoadBalancer")) (eq (toString $ports) "0") -}}
{{- fail (printf "controlPlane.service.spec.type is %s, but policies.resourceQuota.quota allows no node port; set its services.nodeports to 2 or more" $type) -}}
{{- end -}}
{{- end -}}
