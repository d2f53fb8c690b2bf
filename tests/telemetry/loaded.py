"""The service; at its end it says what it has loaded of OpenTelemetry, and of what only that needs."""

import sys

from app.__main__ import start

if __name__ == "__main__":
    code = start()
    packages = (
        "opentelemetry",
        "google",
        "requests",
        "urllib3",
        "app.telemetry.spans",
        "app.telemetry.batch_spans",
    )
    sys.stdout.write(f"loaded: {sorted(name for name in sys.modules if name.startswith(packages))}\n")
    sys.exit(code)
