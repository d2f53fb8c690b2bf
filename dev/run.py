"""`make run`: the service on this machine, with an embedded Valkey unless the settings say where Redis is."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from app.__main__ import EXIT_BAD_SETTING, complain, run
from app.redis.client import make_redis
from app.redis.failures import REDIS_TROUBLE, failure_reason
from app.settings import Settings, SettingsError, load_settings
from dev.valkey import LOOPBACK, Valkey, ValkeyError

DATA = Path(__file__).resolve().parent.parent / ".data"
EXIT_NO_REDIS = 1


def main() -> int:
    """Serve until Ctrl-C or TERM; return the exit code."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return complain(error, EXIT_BAD_SETTING)
    if settings.model_fields_set & {"redis_host", "redis_url", "redis_sentinels", "redis_cluster"}:
        trouble = asyncio.run(trouble_with(settings))
        if trouble is not None:
            return complain(
                ValueError(f"Redis does not answer ({trouble}); start it, or unset REDIS_HOST and REDIS_URL"),
                EXIT_NO_REDIS,
            )
        return run(settings)
    return with_embedded_valkey(settings)


async def trouble_with(settings: Settings) -> str | None:
    """Ping the configured Redis once; return what is wrong, None if it answered."""
    redis = make_redis(settings)
    try:
        async with asyncio.timeout(settings.redis_timeout):
            await redis.ping()
    except REDIS_TROUBLE as error:
        return f"{failure_reason(error)}: {error}".rstrip(": ")
    finally:
        await redis.aclose()
    return None


def with_embedded_valkey(settings: Settings) -> int:
    """Run the service between the start and the stop of its own Valkey."""
    valkey = Valkey(Path(os.environ.get("DATA_DIR") or DATA))
    # Until the service has its own handlers, TERM must stop Valkey too.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        valkey.start()
        return run(settings.model_copy(update=where_is(valkey)))
    except ValkeyError as error:
        return complain(error, EXIT_NO_REDIS)
    except KeyboardInterrupt:
        return 0
    finally:
        valkey.stop()


def where_is(valkey: Valkey) -> dict[str, Any]:
    """Return the settings that lead to the embedded Valkey, which has neither users nor TLS."""
    return {
        "redis_host": LOOPBACK,
        "redis_port": valkey.port,
        "redis_db": 0,
        "redis_username": None,
        "redis_password": None,
        "redis_tls": False,
        "secrets_dir": None,
    }


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
