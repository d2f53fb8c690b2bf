"""The counter's guarantee under every order of events that hypothesis can think of.

The processes are real (app.counter on an event loop of its own) and so are the scripts and the server. Only
the network between them is the test's: it holds every command until a rule delivers it, loses it, loses its
reply, or breaks the connection, and delivers what was given up on at any later moment. The clock is the
test's, too.
"""

import asyncio
import random
from collections import Counter as Tally
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError as RedisConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError as RedisTimeoutError,
)

from app.counter import Counter, CounterUnavailable
from app.redis_client import RedisClient
from tests.conftest import ValkeyServer

TIMEOUT = 0.5
PATIENCE = 2.0
PROCESSES = 2


class OwnClock(asyncio.SelectorEventLoop):
    """A loop whose time passes only when the test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now


class Command:
    """One command on its way, which its sender may have given up on."""

    def __init__(self, network: "Network", name: str, arguments: tuple[Any, ...]) -> None:
        self.network = network
        self.name = name
        self.arguments = arguments
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.is_delivered = False

    @property
    def is_awaited(self) -> bool:
        return not self.reply.done()

    def deliver(self) -> object:
        """Let the server execute it; return the reply or the error."""
        self.is_delivered = True
        try:
            method = getattr(self.network.server, self.name)
            answer = method(*self.arguments[0], **self.arguments[1])
        except RedisError as error:
            return error
        return answer


class Network:
    """Stands where a process has its redis-py client."""

    def __init__(self, server: Redis, every_command: list[Command]) -> None:
        self.server = server
        self.commands = every_command
        self.under_way = 0
        self.connection_pool = self

    async def disconnect(self, *, inuse_connections: bool) -> None:
        """Nothing is under way then, and a new connection is like an old one."""
        assert not inuse_connections

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any command of redis-py
        async def send(*arguments: object, **options: object) -> object:
            command = Command(self, name, (arguments, options))
            self.commands.append(command)
            self.under_way += 1
            assert self.under_way == 1, "two commands under way from one process"
            try:
                return await command.reply
            finally:
                self.under_way -= 1
                # Whoever stops waiting never reads the reply; the command is out there all the same.
                command.reply.cancel()

        return send


class Interleavings(RuleBasedStateMachine):
    server: Redis

    @initialize()
    def start(self) -> None:
        self.server.flushall()
        self.server.script_flush()
        # Every process draws its pauses from it; hypothesis must be able to repeat an order of events.
        random.seed(0)
        self.loop = OwnClock()
        self.commands: list[Command] = []
        self.answered: Tally[int] = Tally()
        self.visits: dict[asyncio.Task[int], Counter] = {}
        self.arrived = 0
        self.processes = [self.new_process() for _ in range(PROCESSES)]

    def new_process(self) -> Counter:
        network: Any = Network(self.server, self.commands)
        redis: RedisClient = network
        return Counter(redis, "counter", TIMEOUT, PATIENCE)

    def turn(self) -> None:
        """Let everyone do what they can without time passing."""

        async def yield_often() -> None:
            for _ in range(30):
                await asyncio.sleep(0)

        self.loop.run_until_complete(yield_often())
        for visit in [visit for visit in self.visits if visit.done()]:
            del self.visits[visit]
            if not visit.cancelled():
                error = visit.exception()
                assert error is None or isinstance(error, CounterUnavailable), repr(error)
                if error is None:
                    self.answered[visit.result()] += 1

    def pick(self, index: int, commands: list[Command]) -> Command:
        return commands[index % len(commands)]

    @property
    def awaited(self) -> list[Command]:
        return [command for command in self.commands if command.is_awaited]

    @property
    def late(self) -> list[Command]:
        return [command for command in self.commands if not command.is_awaited and not command.is_delivered]

    @rule(process=st.integers(0, PROCESSES - 1), count=st.integers(1, 3))
    def visitors_come(self, process: int, count: int) -> None:
        counter = self.processes[process]
        self.arrived += count
        self.visits |= {self.loop.create_task(counter.increment()): counter for _ in range(count)}
        self.turn()

    @precondition(lambda self: self.visits)
    @rule(index=st.integers(0, 20))
    def a_visitor_leaves(self, index: int) -> None:
        list(self.visits)[index % len(self.visits)].cancel()
        self.turn()

    @precondition(lambda self: self.awaited)
    @rule(index=st.integers(0, 20))
    def delivered_and_answered(self, index: int) -> None:
        command = self.pick(index, self.awaited)
        self.reply(command, command.deliver())

    @precondition(lambda self: self.awaited)
    @rule(index=st.integers(0, 20), delivered=st.booleans(), timed_out=st.booleans())
    def broken_off(self, index: int, delivered: bool, timed_out: bool) -> None:
        """The request may have arrived, may arrive later (see a_late_copy_arrives), or may never."""
        command = self.pick(index, self.awaited)
        if delivered:
            command.deliver()
        self.reply(command, RedisTimeoutError("lost") if timed_out else RedisConnectionError("lost"))

    @precondition(lambda self: self.awaited)
    @rule(
        index=st.integers(0, 20),
        error=st.sampled_from(
            [
                BusyLoadingError("LOADING"),
                ReadOnlyError("READONLY"),
                OutOfMemoryError("OOM"),
                RedisError("who knows"),
            ]
        ),
    )
    def rejected(self, index: int, error: RedisError) -> None:
        """The server answers without executing it."""
        command = self.pick(index, self.awaited)
        command.is_delivered = True
        self.reply(command, error)

    @precondition(lambda self: self.late)
    @rule(index=st.integers(0, 20))
    def a_late_copy_arrives(self, index: int) -> None:
        self.pick(index, self.late).deliver()

    @precondition(lambda self: self.late)
    @rule(index=st.integers(0, 20))
    def a_copy_is_lost_for_good(self, index: int) -> None:
        self.pick(index, self.late).is_delivered = True

    @rule(seconds=st.sampled_from([0.1, 0.5, 3.0]))
    def time_passes(self, seconds: float) -> None:
        """Timeouts strike, pauses end, and visitors run out of patience."""
        self.loop.now += seconds
        self.turn()

    @rule(index=st.integers(0, 20))
    def a_record_expires(self, index: int) -> None:
        # Not by name: names are random, and hypothesis must be able to repeat what it did.
        records = [command.arguments[0][0] for command in self.commands if command.name == "set"]
        if records:
            self.server.delete(records[index % len(records)])

    @rule()
    def scripts_are_forgotten(self) -> None:
        self.server.script_flush()

    @rule(process=st.integers(0, PROCESSES - 1))
    def a_process_is_killed(self, process: int) -> None:
        """What it sent stays on its way; nobody reads the replies."""
        killed = self.processes[process]
        if (work := killed._batches._work) is not None:
            work.cancel()
        for visit in [visit for visit, counter in self.visits.items() if counter is killed]:
            visit.cancel()
        self.processes[process] = self.new_process()
        self.turn()

    def reply(self, command: Command, answer: object) -> None:
        if isinstance(answer, Exception):
            command.reply.set_exception(answer)
        else:
            command.reply.set_result(answer)
        self.turn()

    @invariant()
    def exactly_once_or_at_most_once(self) -> None:
        value = int(self.server.get("counter") or 0)
        assert not self.answered or max(self.answered.values()) == 1, "two visitors saw the same number"
        assert self.answered.total() <= value, "an answered visit was not counted"
        assert not self.answered or max(self.answered) <= value, "a number that was never reached"
        assert value <= self.arrived, "a visit was counted twice"

    def teardown(self) -> None:
        """The faults end: everything still on its way arrives, and everyone who waits is answered."""
        if not hasattr(self, "loop"):
            return
        self.exactly_once_or_at_most_once()
        for command in self.late:
            command.deliver()
        self.exactly_once_or_at_most_once()
        for _ in range(40):
            for command in self.awaited:
                self.reply(command, command.deliver())
            self.loop.now += 0.1
            self.turn()
        assert not self.visits, "a visitor hangs"
        self.exactly_once_or_at_most_once()
        for process in self.processes:
            self.loop.run_until_complete(self.closed(process))
        self.loop.close()

    async def closed(self, process: Counter) -> None:
        closing = asyncio.ensure_future(process.aclose())
        while not closing.done():
            for command in self.awaited:
                command.reply.set_result(command.deliver())
            await asyncio.sleep(0)
        await closing


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    valkey = ValkeyServer(tmp_path_factory.mktemp("valkey"), "--appendonly", "no")
    valkey.start()
    with Redis(port=valkey.port) as client:
        yield client
    valkey.stop()


def test_no_order_of_events_breaks_the_guarantee(server: Redis) -> None:
    class OnThisServer(Interleavings):
        pass

    OnThisServer.server = server
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=250,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
