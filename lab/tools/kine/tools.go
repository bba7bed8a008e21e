//go:build tools

// Package tools pins the programs that the lab builds.
package tools

import _ "github.com/k3s-io/kine"
