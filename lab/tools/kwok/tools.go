//go:build tools

// Package tools pins the programs that the lab builds.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
