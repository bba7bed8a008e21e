{{/* The flags of kube-apiserver, kube-controller-manager and kube-scheduler, and why each is set; the same for every distribution. */}}

{{- define "sublet.serviceRange" -}}
{{ .Values.networking.serviceCIDR | default "10.96.0.0/12" }}
{{- end -}}

{{- define "sublet.apiserver.flags" -}}
{{- $domain := .Values.networking.advanced.clusterDomain -}}
{{ include "sublet.store.flags" . }}
- --secure-port=8443
- --advertise-address=$(POD_IP)
- --tls-cert-file=/pki/apiserver.crt
- --tls-private-key-file=/pki/apiserver.key
- --client-ca-file=/pki/ca.crt
# Anonymous requests reach the health checks only.
- --authentication-config=/etc/sublet/authentication.yaml
- --authorization-mode=Node,RBAC
- --enable-admission-plugins=NodeRestriction
# It taints each new node until the node lifecycle controller has seen it, which does not run here: no daemon would ever start.
- --disable-admission-plugins=TaintNodesByCondition
- --enable-bootstrap-token-auth=false
- --allow-privileged=true
# Logs, exec and port-forward go to the syncer in this pod, which every virtual node names as localhost.
- --kubelet-preferred-address-types=InternalDNS,InternalIP,Hostname
- --kubelet-certificate-authority=/pki/ca.crt
- --kubelet-client-certificate=/pki/apiserver-kubelet-client.crt
- --kubelet-client-key=/pki/apiserver-kubelet-client.key
- --proxy-client-cert-file=/pki/front-proxy-client.crt
- --proxy-client-key-file=/pki/front-proxy-client.key
- --requestheader-client-ca-file=/pki/front-proxy-ca.crt
- --requestheader-allowed-names=front-proxy-client
- --requestheader-extra-headers-prefix=X-Remote-Extra-
- --requestheader-group-headers=X-Remote-Group
- --requestheader-username-headers=X-Remote-User
- --service-account-issuer=https://kubernetes.default.svc.{{ $domain }}
- --api-audiences=https://kubernetes.default.svc.{{ $domain }}
# Said, since it would name the pod's own address, which is in no certificate and changes with the pod.
- --service-account-jwks-uri=https://kubernetes.default.svc.{{ $domain }}/openid/v1/jwks
- --service-account-key-file=/pki/sa.pub
- --service-account-signing-key-file=/pki/sa.key
# Tokens live as long as they say; the syncer refreshes them.
- --service-account-extend-token-expiration=false
- --service-cluster-ip-range={{ include "sublet.serviceRange" . }}
# The syncer keeps the endpoints of default/kubernetes.
- --endpoint-reconciler-type=none
# Without it the server waits for its clients to end their watches, which they never do, until it is killed.
- --shutdown-watch-termination-grace-period=2s
{{- if gt (int .Values.controlPlane.statefulSet.highAvailability.replicas) 1 }}
# It answers on until everybody knows that others do.
- --shutdown-delay-duration=3s
{{- end }}
- --profiling=false
{{- end -}}

{{/*
Controllers that a virtual cluster must not run: its nodes are shown by the syncer, its volumes and load balancers are the host's.
*/}}
{{- define "sublet.disabledControllers" -}}
{{- list
      "cloud-node-lifecycle-controller"
      "device-taint-eviction-controller"
      "node-ipam-controller"
      "node-lifecycle-controller"
      "node-route-controller"
      "persistentvolume-attach-detach-controller"
      "persistentvolume-binder-controller"
      "persistentvolume-expander-controller"
      "service-lb-controller"
      "ttl-controller" | toJson -}}
{{- end -}}

{{/* Of several pods one works, and another takes over as soon as its syncer would: these Leases have the same terms. */}}
{{- define "sublet.leaderElection" -}}
{{- with .Values.controlPlane.statefulSet.highAvailability -}}
{{- if gt (int .replicas) 1 -}}
- --leader-elect=true
- --leader-elect-lease-duration={{ .leaseDuration }}s
- --leader-elect-renew-deadline={{ .renewDeadline }}s
- --leader-elect-retry-period={{ .retryPeriod }}s
{{- else -}}
- --leader-elect=false
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sublet.controllerManager.flags" -}}
- --kubeconfig=/pki/controller-manager.conf
- --authentication-kubeconfig=/pki/controller-manager.conf
- --authorization-kubeconfig=/pki/controller-manager.conf
- --client-ca-file=/pki/ca.crt
- --requestheader-client-ca-file=/pki/front-proxy-ca.crt
- --root-ca-file=/pki/ca.crt
- --service-account-private-key-file=/pki/sa.key
- --cluster-signing-cert-file=/pki/ca-signing.crt
- --cluster-signing-key-file=/pki/ca.key
- --use-service-account-credentials=true
- --controllers=*{{ range include "sublet.disabledControllers" . | fromJsonArray }},-{{ . }}{{ end }}
{{ include "sublet.leaderElection" . }}
- --horizontal-pod-autoscaler-sync-period=15s
# It alone talks to this API server: the default of 20 requests a second delays the first ServiceAccount by four seconds.
- --kube-api-qps=200
- --kube-api-burst=300
- --profiling=false
{{- if .Values.controlPlane.serviceMonitor.enabled }}
# Whoever reads its metrics shows a token, and has to know to whom.
- --tls-cert-file=/pki/apiserver.crt
- --tls-private-key-file=/pki/apiserver.key
{{- end }}
{{- end -}}

{{- define "sublet.scheduler.flags" -}}
- --kubeconfig=/pki/scheduler.conf
- --authentication-kubeconfig=/pki/scheduler.conf
- --authorization-kubeconfig=/pki/scheduler.conf
- --client-ca-file=/pki/ca.crt
- --requestheader-client-ca-file=/pki/front-proxy-ca.crt
{{ include "sublet.leaderElection" . }}
- --kube-api-qps=200
- --kube-api-burst=300
- --profiling=false
{{- end -}}
