//go:build tools

// Package tools pins the programs that the lab builds.
package tools

import _ "github.com/rancher/local-path-provisioner"
