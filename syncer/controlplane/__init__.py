"""What the virtual control plane needs around its API server: certificates, kubeconfigs, its Service, admission, manifests."""
