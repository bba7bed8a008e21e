"""Runs Kubernetes' own conformance tests against the bare lab and against virtual clusters on it, and tells what came of it."""
