"""What may happen to Redis, or on the way to it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from redis import Redis

from dev.valkey import LOOPBACK
from tests.alerts.scenario import QUIET, bells
from tests.faults.alerts.ground import Ground, Line, Strike, again_and_again
from tests.faults.service.redis_proxy import RedisProxy
from tests.faults.service.redis_servers import wait_for

FAILED = bells("VisitsFailFast page", "VisitsFailSlowly ticket")
"""Who is inside when Redis goes gets a 503; the entrance sends nobody more."""
WAITED = bells("VisitsLateFast page", "VisitsLateSlowly ticket")
FILL = "for i = 1, 300000 do redis.call('SET', 'padding:' .. i, '') end"
FAILURES = "sum(increase(redis_failures_total[1m])) > 0"


def killed(ground: Ground) -> Iterator[None]:
    ground.server.kill()
    yield
    ground.server.start()


def frozen(ground: Ground) -> Iterator[None]:
    ground.server.pause()
    yield
    ground.server.resume()


def cut_off(ground: Ground) -> Iterator[None]:
    ground.relays[-1].cut()
    yield
    ground.relays[-1].restore()


def patient(ground: Ground) -> Redis:
    """A client that waits for a script, however long that takes."""
    return Redis(port=ground.server.port, socket_timeout=None)


def fill(ground: Ground) -> None:
    with patient(ground) as client:
        client.execute_command("EVAL", FILL, 0)
    # While it reads them again it looks at its clients after every thousand commands.
    ground.server.arguments += ["--key-load-delay", "350"]


def loading(ground: Ground) -> Iterator[None]:
    ground.server.kill()
    ground.server.start_only()
    yield
    ground.server.run("CONFIG", "SET", "key-load-delay", 0)
    wait_for("loaded", lambda: not ground.server.info("persistence")["loading"], 60)


def configured(name: str, value: object, back: object) -> Strike:
    """A setting of Redis, and what it is again afterwards."""

    def strike(ground: Ground) -> Iterator[None]:
        ground.server.run("CONFIG", "SET", name, value)
        yield
        ground.server.run("CONFIG", "SET", name, back)

    return strike


def read_only(ground: Ground) -> Iterator[None]:
    ground.server.run("REPLICAOF", LOOPBACK, 1)
    yield
    ground.server.run("REPLICAOF", "NO", "ONE")


def cannot_persist(ground: Ground) -> Iterator[None]:
    """The snapshot cannot be moved to its place: as with a full disk, it fails."""
    snapshot = Path(ground.server.folder) / "dump.rdb"
    snapshot.mkdir()
    ground.server.run("CONFIG", "SET", "save", "1 1")
    yield
    snapshot.rmdir()
    ground.server.run("CONFIG", "SET", "save", "")
    ground.server.run("BGSAVE")


def busy(ground: Ground) -> Iterator[None]:
    """Somebody's script does not end."""
    ground.server.run("CONFIG", "SET", "busy-reply-threshold", 100)
    with ThreadPoolExecutor(max_workers=1) as thread, patient(ground) as somebody:
        script = thread.submit(somebody.execute_command, "EVAL", "while true do end", 0)
        try:
            yield
        finally:
            ground.server.run("SCRIPT", "KILL")
        assert "killed" in str(script.exception()), script.exception()


def give_password(ground: Ground) -> None:
    for folder in ground.secrets:
        (folder / "REDIS_PASSWORD").write_text("first")
    ground.server.set_password("first")


def password_changed(ground: Ground) -> Iterator[None]:
    ground.server.set_password("second")
    yield
    (ground.secrets[0] / "REDIS_PASSWORD").write_text("second")


def taken(*commands: str) -> Strike:
    """The right to these, from Redis' user."""

    def strike(ground: Ground) -> Iterator[None]:
        ground.server.run("ACL", "SETUSER", "default", *(f"-{command}" for command in commands))
        yield
        ground.server.run("ACL", "SETUSER", "default", *(f"+{command}" for command in commands))

    return strike


def troubled(**trouble: float) -> Strike:
    """A network as the relay makes it."""

    def strike(ground: Ground) -> Iterator[None]:
        for name, value in trouble.items():
            setattr(ground.relay, name, value)
        yield
        ground.relay.calm()

    return strike


def cut_again_and_again(ground: Ground) -> Iterator[None]:
    """While somebody waits for an answer: else a connection is opened anew before anybody needs it."""

    def blink(relay: RedisProxy) -> None:
        relay.cut()
        relay.restore()

    ground.relay.delay = 0.1
    with again_and_again(partial(blink, ground.relay), 1.5):
        yield
    ground.relay.calm()


def paused_for(seconds: float) -> Strike:
    def strike(ground: Ground) -> Iterator[None]:
        ground.server.pause()
        ground.lasts(seconds)
        ground.server.resume()
        yield

    return strike


def back_after(seconds: float) -> Strike:
    def strike(ground: Ground) -> Iterator[None]:
        ground.server.kill()
        ground.lasts(seconds)
        ground.server.start()
        yield

    return strike


def restarted_five_times(ground: Ground) -> Iterator[None]:
    for _ in range(5):
        ground.server.kill()
        ground.server.start()
        ground.pod.await_answers(20)
    yield


def holds(value: str) -> Strike:
    """The counter's key holds something else."""

    def strike(ground: Ground) -> Iterator[None]:
        before = ground.server.get("counter")
        ground.server.set("counter", value)
        yield
        ground.server.set("counter", before or "0")

    return strike


def wrong_for_one(ground: Ground) -> Iterator[None]:
    """The last pod has another password than Redis, and connects anew."""
    file = ground.secrets[-1] / "REDIS_PASSWORD"
    file.write_text("second")
    ground.relays[-1].cut()
    ground.relays[-1].restore()
    yield
    file.write_text("first")


def one_asks_a_replica(ground: Ground) -> Iterator[None]:
    relay = ground.relays[-1]
    master = relay.target

    def lead_to(port: int) -> None:
        relay.cut()
        relay.target = (LOOPBACK, port)
        relay.restore()

    lead_to(ground.others[0].port)
    yield
    lead_to(master[1])


def lossy(name: str, switch: str) -> Line:
    rings = bells("RedisUnreachable ticket")
    return Line(name, troubled(**{switch: 0.05}), rings, may=WAITED | FAILED, settings={"REDIS_TIMEOUT": 0.3})


def away(name: str, strike: Strike, rings: str, before: Callable[[Ground], object] | None = None) -> Line:
    """Redis counts nothing: one bell, and whoever was inside."""
    return Line(name, strike, bells(f"{rings} page"), may=FAILED | WAITED, before=before)


def for_one(name: str, strike: Strike, rings: str, before: Callable[[Ground], object] | None = None) -> Line:
    """One of two pods is troubled; the entrance sends nobody to it."""
    return Line(
        name, strike, bells(f"{rings} ticket"), may=FAILED | WAITED, pods=2, visitors=4, before=before
    )


LINES = [
    away("Redis killed", killed, "RedisUnreachable"),
    away("Redis paused", frozen, "RedisUnreachable"),
    away("connections to Redis cut and refused", cut_off, "RedisUnreachable"),
    away("data set still loading after a restart", loading, "RedisUnreachable", fill),
    away("somebody's script keeps Redis busy", busy, "RedisUnreachable"),
    away("Redis made a read-only replica", read_only, "RedisRefuses"),
    away("out of memory with noeviction", configured("maxmemory", 1, 0), "RedisRefuses"),
    away("too few replicas", configured("min-replicas-to-write", 1, 0), "RedisRefuses"),
    away("Redis cannot write to its disk", cannot_persist, "RedisCannotPersist"),
    away("password changed", password_changed, "CredentialRefused", give_password),
    away("Redis' user may no longer write", taken("incrby", "setrange"), "CredentialRefused"),
    Line(
        # The check asks by SETRANGE, so the pods stay ready. The ticket has the cause.
        "Redis' user may write, but not count",
        taken("incrby"),
        bells("CounterStandsStill page", "CredentialRefused ticket", *FAILED),
    ),
    lossy("5 % of Redis' replies lost", "loses_replies"),
    lossy("5 % of the requests to Redis lost", "loses_requests"),
    lossy("5 % of Redis' replies cut in the middle", "cuts_replies"),
    Line(
        "every connection to Redis cut, again and again",
        cut_again_and_again,
        bells("RedisUnreachable ticket"),
        may=WAITED | FAILED,
    ),
    Line(
        "every request to Redis takes 1.2 s",
        troubled(delay=1.2),
        bells("VisitsLateFast page", "VisitsLateSlowly ticket"),
        visitors=24,
        settings={"REDIS_TIMEOUT": 3},
    ),
    Line("Redis killed, back after 1 s", back_after(1), QUIET, may=WAITED, shows=FAILURES),
    Line("Redis paused for 3 s", paused_for(3), QUIET, may=WAITED | FAILED, shows=FAILURES),
    Line("Redis restarted five times", restarted_five_times, QUIET, may=WAITED | FAILED, shows=FAILURES),
    *(
        Line(name, holds(value), bells("CounterStandsStill page", *FAILED))
        for name, value in (
            ("the counter's key holds a word", "word"),
            ("the counter's key holds the largest number", str(2**63 - 1)),
        )
    ),
    for_one("one of two pods cannot reach Redis", cut_off, "RedisUnreachable"),
    for_one("one of two pods asks a replica", one_asks_a_replica, "RedisRefuses", Ground.more_replica),
    for_one("one of two pods has an old password", wrong_for_one, "CredentialRefused", give_password),
]
