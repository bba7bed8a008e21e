//go:build tools

// Package tools pins the programs that the lab builds.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
