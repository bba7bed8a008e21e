"""The only room that speaks HTTP as a client: requests, watches and credentials of a Kubernetes API server.

Objects go in and out as parsed JSON, without models: a syncer copies fields it does not know, and models would cost
most of its CPU. `transport` holds the seam below which the HTTP library lives; everything above it runs in tests
against a plain function.
"""
