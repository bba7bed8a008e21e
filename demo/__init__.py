"""`make demo`: installs a virtual cluster on a real host cluster, runs real workloads in it and shows what works."""
