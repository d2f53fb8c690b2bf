"""Measure how many batches one Redis executes: `python -m bench.redis_limit`.

Writers as the service's processes are, each with one batch under way, on an embedded Valkey. The figures are
kept in docs/scaling.md; nothing fails here, whatever they are.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from redis import Redis

from app.counter.records import RECORD_SECONDS, CounterRecords
from app.redis.client import make_redis
from app.settings import Settings
from bench.counter import head, row, used_cpu
from dev.valkey import LOOPBACK, Valkey


def encoded(*words: object) -> bytes:
    """Encode a command as Redis reads it (RESP2)."""
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def keep_counting(port: int, digest: str, records: CounterRecords, until: float) -> int:
    """Send one batch after the other until a moment; return how many were counted."""
    writer_record = records.record(await records.register())
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    sequence = 0
    while time.monotonic() < until:
        sequence += 1
        writer.write(encoded("EVALSHA", digest, 2, "counter", writer_record, sequence, 64, RECORD_SECONDS))
        # *2 $7 counted $n value: five lines.
        lines = [await reader.readline() for _ in range(5)]
        assert lines[2] == b"counted\r\n", lines  # noqa: S101 - anything else is no measurement
    writer.close()
    return sequence


async def count_for(seconds: float, port: int, writers: int) -> int:
    redis = make_redis(Settings(redis_host=LOOPBACK, redis_port=port))
    records = CounterRecords(redis, redis, "counter")
    digest = str(await redis.script_load(records.script))
    until = time.monotonic() + seconds
    counted = await asyncio.gather(*(keep_counting(port, digest, records, until) for _ in range(writers)))
    await redis.aclose()
    return sum(counted)


def measure(fsync: str, writers: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        valkey = Valkey(Path(folder), "--appendonly", "yes", "--appendfsync", fsync)
        valkey.start()
        try:
            with Redis(port=valkey.port) as redis:
                cpu = used_cpu(redis)
                batches = asyncio.run(count_for(seconds, valkey.port, writers))
                cpu = used_cpu(redis) - cpu
        finally:
            valkey.stop()
    row(
        fsync,
        f"{writers}",
        f"{batches / seconds:.0f}",
        f"{100 * cpu / seconds:.0f}",
        f"{1e6 * cpu / batches:.0f}",
        f"{batches / cpu:.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    seconds = parser.parse_args().seconds
    head(
        "appendfsync",
        "writers",
        "batches/s",
        "Redis CPU, % of a core",
        "CPU of a batch, µs",
        "batches/s of a whole core",
    )
    for fsync in ("always", "everysec"):
        for writers in (1, 8, 64):
            measure(fsync, writers, seconds)


if __name__ == "__main__":
    main()
