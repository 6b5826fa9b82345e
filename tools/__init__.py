"""What builds, checks and tries Bulkhead: run as `python -m tools.NAME` from the root of the repository."""
