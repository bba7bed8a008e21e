"""A virtual cluster's keys as one file, and back: for backups, and for the way from one store to another."""
