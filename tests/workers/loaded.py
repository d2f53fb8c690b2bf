"""The service; at its end it says what it has loaded that one process has no use for."""

import sys

from app.__main__ import start

if __name__ == "__main__":
    code = start()
    rooms = ("gunicorn", "app.workers", "prometheus_client.multiprocess")
    sys.stdout.write(f"loaded: {sorted(name for name in sys.modules if name.startswith(rooms))}\n")
    sys.exit(code)
