"""The counter's guarantee under every order of events that hypothesis can think of.

The processes are real (app.counter on an event loop of its own) and so are the scripts and the server. Only
the network between them is the test's: it holds every command until a rule delivers it, loses it, loses its
reply, or breaks the connection, and delivers what was given up on at any later moment. The clock is the
test's, too.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
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
    ResponseError,
    TimeoutError as RedisTimeoutError,
)

from app.counter import Counter, CounterUnavailable
from app.counter_records import CounterRecords
from app.pace import LONGEST_PAUSE
from tests.conftest import ValkeyServer

TIMEOUT = 0.5
PATIENCE = 2.0
PROCESSES = 2
INDEX = st.integers(0, 5)
MORE = st.integers(0, 2)
REJECTIONS: dict[str, Callable[[], RedisError]] = {
    "loading": lambda: BusyLoadingError("LOADING"),
    "read only": lambda: ReadOnlyError("READONLY"),
    "out of memory": lambda: OutOfMemoryError("OOM"),
    "unheard of": lambda: ResponseError("what no version of Redis says"),
}


class OwnClock(asyncio.SelectorEventLoop):
    """A loop whose time passes only when the test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now


moments = itertools.count()
"""Puts what happens in order."""


class Visitor:
    """Somebody who wants to be counted by one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, process: Counter) -> None:
        self.process = process
        self.came = next(moments)
        self.ended: float = float("inf")
        self.number: int | None = None
        self.task = loop.create_task(process.increment())

    def end(self) -> None:
        """Note how the visit ended."""
        self.ended = next(moments)
        if self.task.cancelled():
            return
        error = self.task.exception()
        assert error is None or isinstance(error, CounterUnavailable), repr(error)
        if error is None:
            self.number = self.task.result()

    def waited_at(self, moment: float) -> bool:
        return self.came < moment < self.ended


class Command:
    """One command on its way, which its sender may have given up on."""

    def __init__(self, network: "Network", name: str, arguments: tuple[Any, ...]) -> None:
        self.network = network
        self.name = name
        self.arguments = arguments
        copies = [other.sent for other in network.commands if other.is_copy(network, arguments)]
        if name == "eval":
            # The same attempt, after NOSCRIPT.
            copies.append(max(other.sent for other in network.commands if other.network is network))
        self.sent: int = min(copies, default=next(moments))
        """When the first copy of it was sent; of a batch, the moment that it was put together."""
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.is_delivered = False
        self.is_rejected = False
        self.counted = range(0)
        """The numbers that the counter went through when the server executed this."""

    def is_copy(self, network: "Network", arguments: tuple[Any, ...]) -> bool:
        """Compare all but the script or its digest. A batch that was rejected may be put together anew."""
        return (
            self.network is network
            and not self.is_rejected
            and self.name.startswith("eval")
            and self.arguments[0][1:] == arguments[0][1:]
        )

    @property
    def is_awaited(self) -> bool:
        return not self.reply.done()

    def deliver(self) -> object:
        """Let the server execute it; return the reply or the error."""
        self.is_delivered = True
        server = self.network.server
        before = value_on(server)
        try:
            return getattr(server, self.name)(*self.arguments[0], **self.arguments[1])
        except RedisError as error:
            return error
        finally:
            self.counted = range(before + 1, value_on(server) + 1)


def value_on(server: Redis) -> int:
    return int(server.get("counter") or 0)


class Network:
    """Stands where a process has its redis-py client."""

    process: Counter

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

    @initialize(in_doubt=st.sampled_from(["no batch", "arrived", "late", "lost"]), count=st.integers(1, 3))
    def start(self, in_doubt: str, count: int) -> None:
        """Begin where it matters: with a batch whose fate its process does not know."""
        self.server.flushall()
        self.server.script_flush()
        # Every process draws its pauses from it; hypothesis must be able to repeat an order of events.
        random.seed(0)
        self.loop = OwnClock()
        self.commands: list[Command] = []
        self.visitors: list[Visitor] = []
        self.processes = [self.new_process() for _ in range(PROCESSES)]
        if in_doubt != "no batch":
            self.server.script_load(CounterRecords(self.any_redis(), self.any_redis(), "counter").script)
            self.come(self.processes[0], count)
            for command in self.awaited:
                self.reply(command, command.deliver())
            self.break_off(self.awaited[0], in_doubt, RedisConnectionError("lost"))

    def new_process(self) -> Counter:
        network = self.any_redis()
        network.process = Counter(network, network, "counter", TIMEOUT, PATIENCE)
        process: Counter = network.process
        return process

    def any_redis(self) -> Any:  # noqa: ANN401 - passes for a client of redis-py
        return Network(self.server, self.commands)

    def turn(self) -> None:
        """Let everyone do what they can without time passing."""

        async def yield_often() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        self.loop.run_until_complete(yield_often())
        for visitor in self.waiting:
            if visitor.task.done():
                visitor.end()

    def pick(self, index: int, commands: list[Command]) -> Command:
        return commands[index % len(commands)]

    @property
    def waiting(self) -> list[Visitor]:
        return [visitor for visitor in self.visitors if visitor.ended == float("inf")]

    @property
    def awaited(self) -> list[Command]:
        return [command for command in self.commands if command.is_awaited]

    @property
    def late(self) -> list[Command]:
        return [command for command in self.commands if not command.is_awaited and not command.is_delivered]

    @rule(process=st.integers(0, PROCESSES - 1), count=st.integers(1, 3))
    def visitors_come(self, process: int, count: int) -> None:
        self.come(self.processes[process], count)

    def come(self, process: Counter, count: int) -> None:
        self.visitors += [Visitor(self.loop, process) for _ in range(count)]
        self.turn()

    @precondition(lambda self: self.waiting)
    @rule(index=INDEX)
    def a_visitor_leaves(self, index: int) -> None:
        self.waiting[index % len(self.waiting)].task.cancel()
        self.turn()

    @rule(rounds=st.integers(1, 3))
    def all_goes_well(self, rounds: int) -> None:
        for _ in range(rounds):
            for command in self.awaited:
                self.reply(command, command.deliver())
            self.pause_ends()

    @precondition(lambda self: self.awaited)
    @rule(index=INDEX, fate=st.sampled_from(["arrived", "late", "lost"]), timed_out=st.booleans(), more=MORE)
    def broken_off(self, index: int, fate: str, timed_out: bool, more: int) -> None:
        """The request has arrived, may arrive later (see a_late_copy_arrives), or never will.

        `more` visitors come before its sender notices.
        """
        command = self.pick(index, self.awaited)
        self.come(command.network.process, more)
        self.break_off(
            command, fate, RedisTimeoutError("lost") if timed_out else RedisConnectionError("lost")
        )
        self.pause_ends()

    def break_off(self, command: Command, fate: str, error: RedisError) -> None:
        if fate == "arrived":
            command.deliver()
        command.is_delivered = fate != "late"
        self.reply(command, error)

    @precondition(lambda self: self.awaited)
    @rule(index=INDEX, error=st.sampled_from(sorted(REJECTIONS)), more=MORE)
    def rejected(self, index: int, error: str, more: int) -> None:
        """The server answers without executing it."""
        command = self.pick(index, self.awaited)
        command.is_delivered = command.is_rejected = True
        self.come(command.network.process, more)
        self.reply(command, REJECTIONS[error]())
        self.pause_ends()

    @precondition(lambda self: self.late)
    @rule(index=INDEX)
    def a_late_copy_arrives(self, index: int) -> None:
        self.pick(index, self.late).deliver()

    def pause_ends(self) -> None:
        self.loop.now += LONGEST_PAUSE / 4
        self.turn()

    @rule(seconds=st.sampled_from([TIMEOUT, PATIENCE]))
    def time_passes(self, seconds: float) -> None:
        """Commands time out, and visitors run out of patience."""
        self.loop.now += seconds
        self.turn()

    @rule(what=st.sampled_from(["newest record", "record before", "scripts"]))
    def the_server_forgets(self, what: str) -> None:
        if what == "scripts":
            self.server.script_flush()
            return
        # Not by name: names are random, and hypothesis must be able to repeat what it did.
        records = [command.arguments[0][0] for command in self.commands if command.name == "set"]
        if len(records) > 1:
            self.server.delete(records[-1 if what == "newest record" else -2])

    @rule(process=st.integers(0, PROCESSES - 1))
    def a_process_is_killed(self, process: int) -> None:
        """What it sent stays on its way; nobody reads the replies."""
        killed = self.processes[process]
        if (work := killed._batches._work) is not None:
            work.cancel()
        for visitor in self.waiting:
            if visitor.process is killed:
                visitor.task.cancel()
        self.processes[process] = self.new_process()
        self.turn()

    def reply(self, command: Command, answer: object) -> None:
        if isinstance(answer, Exception):
            command.is_rejected |= isinstance(answer, ResponseError)
            command.reply.set_exception(answer)
        else:
            command.reply.set_result(answer)
        self.turn()

    @invariant()
    def every_number_is_one_visitors(self) -> None:
        """Whoever was answered has a number of their own that the counter went through while they waited.

        And every other number that it went through is explained by a visitor of that process who waited when
        the command was sent, was not answered, and explains no other number.
        """
        numbers = [visitor.number for visitor in self.visitors if visitor.number is not None]
        assert len(numbers) == len(set(numbers)), "two visitors saw the same number"
        unexplained = {number: command for command in self.commands for number in command.counted}
        for visitor in self.visitors:
            if visitor.number is not None:
                command = unexplained.pop(visitor.number, None)
                assert command is not None, "an answered visit was not counted"
                assert command.network.process is visitor.process
                assert visitor.waited_at(command.sent)
        unanswered = sorted((v for v in self.visitors if v.number is None), key=lambda visitor: visitor.ended)
        for command in sorted(unexplained.values(), key=lambda command: command.sent):
            for visitor in unanswered:
                # Of those who fit, the one who ended first: whoever is left fits later commands better.
                if visitor.process is command.network.process and visitor.waited_at(command.sent):
                    unanswered.remove(visitor)
                    break
            else:
                raise AssertionError("a visit was counted twice")

    def teardown(self) -> None:
        try:
            self.faults_end()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.turn()
            self.loop.close()

    def faults_end(self) -> None:
        """Everything still on its way arrives, and everyone who waits is answered."""
        self.every_number_is_one_visitors()
        for command in self.late:
            command.deliver()
        self.every_number_is_one_visitors()
        for _ in range(40):
            for command in self.awaited:
                self.reply(command, command.deliver())
            self.loop.now += 0.1
            self.turn()
        assert not self.waiting, "a visitor hangs"
        self.every_number_is_one_visitors()
        for process in self.processes:
            self.loop.run_until_complete(self.closed(process))

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
            # Shrinking takes minutes; what is printed without it is long but complete.
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
