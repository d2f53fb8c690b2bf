"""Several processes on the same ports, under Gunicorn's arbiter: WORKERS, see docs/workers.md."""
