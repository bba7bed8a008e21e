"""A real Kubernetes host cluster on one Linux machine, without a registry and without a way out. See README.md."""
