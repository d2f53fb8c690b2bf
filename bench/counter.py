"""Measure the counter on this machine: `python -m bench.counter commands|memory|overload`.

Real processes of the service and an embedded Valkey; the load comes from processes of its own over 127.0.0.1.
The figures are kept in docs/scaling.md; nothing fails here, whatever they are.
"""

import argparse
import asyncio
import multiprocessing
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

from redis import Redis

from bench.footprint import resident_megabytes
from dev.valkey import LOOPBACK, Valkey
from tests.faults.service.prober import Prober
from tests.faults.service.redis_proxy import RedisProxy
from tests.service import Service
from tests.visitors import COUNT


async def keep_asking(
    port: int, connections: int, until: float, *, heeds: bool
) -> tuple[int, int, list[float]]:
    """Ask until a moment; return how many were answered 200 and 503, and the seconds of the former.

    Whoever heeds Retry-After stays away that long.
    """
    answered, refused, seconds = 0, 0, []

    async def one() -> None:
        nonlocal answered, refused
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        while (began := time.monotonic()) < until:
            writer.write(COUNT.encoded())
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"[Cc]ontent-[Ll]ength: (\d+)", head)
            assert length  # noqa: S101 - every answer of the service has it
            await reader.readexactly(int(length[1]))
            if head.startswith(b"HTTP/1.1 200"):
                answered += 1
                seconds.append(time.monotonic() - began)
            else:
                refused += 1
                if heeds:
                    asked = re.search(rb"[Rr]etry-[Aa]fter: (\d+)", head)
                    assert asked  # noqa: S101 - every 503 of the service has it
                    await asyncio.sleep(int(asked[1]))
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return answered, refused, seconds


def load(results: "Queue[Any]", ports: list[int], connections: int, seconds: float, *, heeds: bool) -> None:
    async def all_ports() -> list[tuple[int, int, list[float]]]:
        until = time.monotonic() + seconds
        return await asyncio.gather(
            *(keep_asking(port, connections // len(ports), until, heeds=heeds) for port in ports)
        )

    results.put(asyncio.run(all_ports()))


def ask(
    ports: list[int], connections: int, seconds: float, *, heeds: bool = True
) -> tuple[int, int, list[float]]:
    """Load the services from one process; return answered, refused, and the seconds of every answer."""
    results: Queue[Any] = multiprocessing.get_context("spawn").Queue()  # type: ignore[assignment]
    process = multiprocessing.get_context("spawn").Process(
        target=load, args=(results, ports, connections, seconds), kwargs={"heeds": heeds}
    )
    process.start()
    told = results.get()
    process.join()
    return sum(t[0] for t in told), sum(t[1] for t in told), sorted(s for t in told for s in t[2])


@contextmanager
def services(count: int, delay: float = 0.0, **settings: object) -> Iterator[tuple[list[Service], Redis]]:
    with ExitStack() as stack:
        valkey = Valkey(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        valkey.start()
        stack.callback(valkey.stop)
        proxy = stack.enter_context(RedisProxy((LOOPBACK, valkey.port)))
        proxy.delay = delay
        where = {"REDIS_HOST": LOOPBACK, "REDIS_PORT": proxy.port if delay else valkey.port}
        started = []
        for _ in range(count):
            service = Service(settings=where | settings)
            stack.callback(service.close)
            started.append(service.wait_until_ready())
        yield started, stack.enter_context(Redis(port=valkey.port))


def calls(redis: Redis) -> dict[str, int]:
    stats: Any = redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}


def commands(seconds: float) -> None:
    """Redis commands a visit, for several processes on one Redis: 64 connections to each, and 64 to all."""
    head(
        "processes",
        "connections",
        "visits/s",
        "batches/s",
        "visits a batch",
        "commands sent a visit",
        "commands executed a visit",
        "Redis CPU, % of a core",
        "median, ms",
        "p99, ms",
    )
    for count, connections in ((1, 64), (2, 128), (4, 256), (8, 512), (2, 64), (4, 64), (8, 64)):
        with services(count) as (started, redis):
            ports = [service.port for service in started]
            ask(ports, connections, 1.0)
            before, cpu = calls(redis), used_cpu(redis)
            answered, _, times = ask(ports, connections, seconds)
            after, cpu = calls(redis), used_cpu(redis) - cpu
            spent = {name: after[name] - before.get(name, 0) for name in after}
            batches = spent.get("evalsha", 0) + spent.get("eval", 0)
            inside = sum(spent.get(name, 0) for name in ("get", "incrby", "set"))
            row(
                f"{count}",
                f"{connections}",
                f"{answered / seconds:.0f}",
                f"{batches / seconds:.0f}",
                f"{answered / batches:.1f}",
                f"{batches / answered:.3f}",
                f"{(batches + inside) / answered:.3f}",
                f"{100 * cpu / seconds:.0f}",
                f"{1000 * times[len(times) // 2]:.1f}",
                f"{1000 * times[len(times) * 99 // 100]:.1f}",
            )


def used_cpu(redis: Redis) -> float:
    told: Any = redis.info("cpu")
    return float(told["used_cpu_sys"]) + float(told["used_cpu_user"])


def memory(requests: int) -> None:
    """Resident memory and keys through so many requests."""
    head("requests", "resident, MB", "keys in Redis", "Redis' memory, MB")
    with services(1) as ((service,), redis):
        done = 0
        while done < requests:
            answered, refused, _ = ask([service.port], 64, 15.0)
            done += answered + refused
            # What the service has said is this process' memory, not its own.
            service.lines.clear()
            service.raw.clear()
            used: Any = redis.info("memory")
            resident = resident_megabytes(service.process.pid)
            row(f"{done}", f"{resident:.1f}", f"{redis.dbsize()}", f"{used['used_memory'] / 1e6:.2f}")


def overload(seconds: float) -> None:
    """Answers a second when as many visitors ask as are let in, twice and five times as many.

    Where Redis is the limit its network takes 50 ms; where the processor is, there is no room between what is
    let in and what it can do. Those who are refused come back after what Retry-After says, or at once. The
    capacity is that of as many as are let in, measured before and after each row.
    """
    head(
        "limit",
        "visitors",
        "let in",
        "come back",
        "200/s",
        "of the capacity",
        "503/s",
        "p99, ms",
        "slowest probe, ms",
    )
    for limit, delay, let_in in (("Redis", 0.05, 64), ("processor", 0.0, 1000), ("processor", 0.0, 64)):
        with services(1, delay, MAX_IN_FLIGHT=let_in) as ((service,), _):
            ask([service.port], 64, 2.0)
            before, _, _ = ask([service.port], 64, seconds)
            for visitors in (64, 128, 320):
                for heeds in (True, False) if visitors > let_in else (True,):
                    with Prober(service) as prober:
                        answered, refused, times = ask([service.port], visitors, seconds, heeds=heeds)
                    after, _, _ = ask([service.port], 64, seconds)
                    row(
                        limit,
                        f"{visitors}",
                        f"{let_in}",
                        "" if not refused else "when asked to" if heeds else "at once",
                        f"{answered / seconds:.0f}",
                        f"{2 * answered / (before + after):.2f}",
                        f"{refused / seconds:.0f}",
                        f"{1000 * times[len(times) * 99 // 100]:.0f}",
                        f"{1000 * prober.longest:.0f}",
                    )
                    before = after


def head(*names: str) -> None:
    row(*names)
    print("|---" * len(names) + "|")


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["commands", "memory", "overload"])
    parser.add_argument("--seconds", type=float, default=8.0, help="of one measurement")
    parser.add_argument("--requests", type=int, default=1_000_000, help="for memory")
    arguments = parser.parse_args()
    if arguments.what == "memory":
        memory(arguments.requests)
    else:
        {"commands": commands, "overload": overload}[arguments.what](arguments.seconds)


if __name__ == "__main__":
    main()
