"""Sublet's syncer: carries a tenant's objects between a virtual cluster and one namespace of a host cluster."""
