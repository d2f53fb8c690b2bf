"""HTTP endpoints, one file each; each ends with its own routes."""
