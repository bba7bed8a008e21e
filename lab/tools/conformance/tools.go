//go:build tools

// Package tools pins Kubernetes' own end-to-end tests, the program that runs them side by side, and the API server that they add.
//
// They have a module of their own so that a change here rebuilds none of the programs in ../kubernetes. Both name one release.
package tools

import (
	_ "github.com/onsi/ginkgo/v2/ginkgo"
	_ "k8s.io/kubernetes/test/e2e"
	_ "k8s.io/sample-apiserver"
)
