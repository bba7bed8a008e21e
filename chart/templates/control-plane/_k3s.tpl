{{/*
K3s without its agent, and without what Sublet brings or the host has. The supervisor port is for agents: it listens on loopback and is
the reason for 8442, since K3s puts the API server on the port after it.
*/}}
{{- define "sublet.k3s" -}}
{{- $replicas := int .Values.controlPlane.statefulSet.highAvailability.replicas -}}
{{- $arguments := list
      "--data-dir=/server"
      "--write-kubeconfig=/server/admin.conf"
      "--disable-agent"
      "--bind-address=127.0.0.1"
      "--https-listen-port=8442"
      "--egress-selector-mode=disabled"
      "--flannel-backend=none"
      "--disable=coredns,local-storage,metrics-server,runtimes,servicelb,traefik"
      "--disable-cloud-controller"
      "--disable-helm-controller"
      "--disable-kube-proxy"
      "--disable-network-policy"
      (printf "--cluster-domain=%s" .Values.networking.advanced.clusterDomain)
      (printf "--service-cidr=%s" (include "sublet.serviceRange" .)) -}}
{{- if not (include "sublet.schedules" .) }}{{ $arguments = append $arguments "--disable-scheduler" }}{{ end -}}
{{- /* Its own datastore is a small SQLite file in memory with nothing but what K3s tells other servers; the API server uses the store. */}}
{{- $server := dict "bind-address" "0.0.0.0" "etcd-cafile" "" "etcd-certfile" "" "etcd-keyfile" "" -}}
{{- $server = mergeOverwrite $server (include "sublet.flagMap" (dict "root" . "list" "sublet.apiserver.flags") | fromJson) -}}
{{- /* K3s signs for each purpose with the same authority, given by purpose, which excludes the general flags. */}}
{{- $manager := include "sublet.flagMap" (dict "root" . "list" "sublet.controllerManager.flags") | fromJson -}}
{{- $manager = set (omit $manager "cluster-signing-cert-file" "cluster-signing-key-file") "bind-address" "0.0.0.0" -}}
{{- range $component, $flags := dict
      "kube-apiserver" $server
      "kube-controller-manager" $manager
      "kube-scheduler" (include "sublet.flagMap" (dict "root" . "list" "sublet.scheduler.flags") | fromJson) -}}
{{- range $flag, $value := $flags -}}
{{- $arguments = append $arguments (printf "--%s-arg=%s=%s" $component $flag $value) -}}
{{- end -}}
{{- end -}}
{{- include "sublet.distro.container" (dict
      "root" .
      "prepare" "mkdir -p /server/server/tls && for ca in client-ca server-ca; do for kind in crt key; do cp /pki/ca.$kind /server/server/tls/$ca.$kind; done; done"
      "command" "k3s server"
      "arguments" $arguments
      "mounts" (list (dict "name" "server" "mountPath" "/etc/rancher" "subPath" "etc"))) -}}
{{- end -}}
