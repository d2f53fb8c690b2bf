"""This service beside its peers, with equal duties: `make bench-http`, docs/speed.md."""
