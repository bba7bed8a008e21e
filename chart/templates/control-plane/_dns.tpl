{{/* CoreDNS as a container of this pod, for whom the syncer keeps the endpoints of kube-dns. A sidecar, so that it ends after the API server. */}}

{{- define "sublet.dns" -}}
{{- $dns := .Values.controlPlane.coredns -}}
name: dns
restartPolicy: Always
image: {{ include "sublet.image" (dict "root" . "name" "coredns" "image" $dns.deployment.image) }}
{{- with .Values.controlPlane.statefulSet.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
args: [-conf, /etc/coredns/Corefile]
ports:
  - {name: dns, containerPort: 1053, protocol: UDP}
  - {name: dns-tcp, containerPort: 1053, protocol: TCP}
  - {name: metrics, containerPort: 9153, protocol: TCP}
livenessProbe:
  httpGet: {path: /health, port: 8081}
  failureThreshold: 5
  timeoutSeconds: 5
  periodSeconds: 10
readinessProbe:
  httpGet: {path: /ready, port: 8181}
  timeoutSeconds: 3
  periodSeconds: 1
{{- with $dns.deployment.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- /* The public image's binary carries this capability and does not start where it is out of bounds. */}}
securityContext:
  {{- include "sublet.containerSecurityContext" (dict "root" . "over" (dict "capabilities" (dict "add" (list "NET_BIND_SERVICE")))) | nindent 2 }}
volumeMounts:
  - {name: corefile, mountPath: /etc/coredns, readOnly: true}
  - {name: pki, mountPath: /pki, readOnly: true}
{{- end -}}
