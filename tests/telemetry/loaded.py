"""The service; at its end it says what it has loaded that only traces need.

redis-py loads a part of OpenTelemetry wherever that is installed, and makes no use of it: it does not count.
"""

import sys

import redis.asyncio

PACKAGES = (
    "opentelemetry",
    "google",
    "requests",
    "urllib3",
    "app.telemetry.spans",
    "app.telemetry.batch_spans",
)

if __name__ == "__main__":
    assert redis.asyncio
    before = set(sys.modules)
    from app.__main__ import start

    code = start()
    sys.stdout.write(
        f"loaded: {sorted(name for name in set(sys.modules) - before if name.startswith(PACKAGES))}\n"
    )
    sys.exit(code)
