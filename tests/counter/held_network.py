"""A network that holds every command until the test decides what becomes of it, and a clock that it turns.

The counter is real (app.counter on an event loop of its own), and so are the scripts and the server. Only the
network between them is the test's: it delivers a command, loses it or its reply, and delivers what was given
up on at any later moment.
"""

import asyncio
import contextvars
import heapq
import itertools
from collections.abc import Callable
from typing import Any, TypeVarTuple

from prometheus_client import CollectorRegistry
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError, RedisError

from app.counter.counter import Counter
from app.counter.metrics import CounterMetrics
from app.counter.waiting import CounterUnavailable
from app.redis.pace import LONGEST_PAUSE

TIMEOUT = 0.5
PATIENCE = 2.0
Arguments = TypeVarTuple("Arguments")
TURNS = 12
"""Of the loop, until whatever needs no time has happened."""


class OwnClock(asyncio.SelectorEventLoop):
    """A loop whose time passes only when the test says so."""

    now = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._alarms: list[float] = []

    def time(self) -> float:
        return self.now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        heapq.heappush(self._alarms, when)
        return super().call_at(when, callback, *args, context=context)

    def turn(self) -> None:
        """Let everyone do what they can without time passing."""

        async def yield_often() -> None:
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.run_until_complete(yield_often())

    def pass_time(self, seconds: float) -> None:
        """Turn the clock, and let everyone act at the very moment that they set their alarm for."""
        end = self.now + seconds
        while self._alarms and self._alarms[0] <= end:
            self.now = max(self.now, heapq.heappop(self._alarms))
            self.turn()
        self.now = end
        self.turn()

    def end(self) -> None:
        """Cancel what is left, and close."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.turn()
        self.close()


moments = itertools.count()
"""Puts what happens in order."""


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
        self.sent_at = asyncio.get_running_loop().time()
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.is_delivered = False
        self.is_rejected = False
        """Whether its sender was told that nothing came of it."""
        self._rejection: RedisError | None = None
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

    @property
    def record(self) -> str:
        """The writer's record that a batch or a registration names."""
        positional = self.arguments[0]
        return str(positional[3] if self.name.startswith("eval") else positional[0])

    def deliver(self) -> object:
        """Let the server execute it; return the reply or the error."""
        self.is_delivered = True
        server = self.network.server
        before = value_on(server)
        try:
            return getattr(server, self.name)(*self.arguments[0], **self.arguments[1])
        except RedisError as error:
            # Whatever this server says instead of an answer: it did nothing.
            self._rejection = error
            return error
        finally:
            self.counted = range(before + 1, value_on(server) + 1)

    def answer(self, answer: object) -> None:
        """Let its sender have an answer, whatever the server did."""
        self.is_rejected = self.is_rejected or (answer is not None and answer is self._rejection)
        if isinstance(answer, Exception):
            self.reply.set_exception(answer)
        else:
            self.reply.set_result(answer)


def value_on(server: Redis) -> int:
    held = server.get("counter") or b"0"
    return int(held) if held.isdigit() else 0


def reason(task: asyncio.Task[int]) -> str:
    """Why a visitor or reader, who was told, was not served."""
    error = task.exception()
    assert isinstance(error, CounterUnavailable), repr(error)
    return error.reason


class Network:
    """Stands where a process has its redis-py client, which is for one command at a time."""

    process: Counter

    def __init__(self, server: Redis, commands: list[Command]) -> None:
        """`commands` takes every command of every network that shares it."""
        self.server = server
        self.commands = commands
        self.under_way = 0
        self.connection_pool = self
        self.disconnected: list[int] = []
        """Each time that the connection was closed: how many commands were under way."""

    async def disconnect(self, *, inuse_connections: bool) -> None:
        """A new connection is like an old one."""
        assert not inuse_connections
        self.disconnected.append(self.under_way)

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


class HeldCounter:
    """One process whose commands are held, on a clock of its own."""

    def __init__(self, server: Redis, patience: float = PATIENCE) -> None:
        self.server = server
        self.loop = OwnClock()
        self.complaints: list[str] = []
        """What asyncio would have logged."""
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context["message"]))
        self.failures: list[str] = []
        self.commands: list[Command] = []
        """Those that carry visits."""
        self.reads: list[Command] = []
        network: Any = Network(server, self.commands)
        reading_network: Any = Network(server, self.reads)
        self.network: Network = network
        self.reading_network: Network = reading_network
        self.registry = CollectorRegistry()
        self.counter = Counter(
            network,
            reading_network,
            "counter",
            TIMEOUT,
            patience,
            self.on_failure,
            CounterMetrics(self.registry),
        )

    def metric(self, name: str, **labels: str) -> float:
        """What it tells Prometheus."""
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, name
        return value

    def on_failure(self, reason: str) -> None:
        self.failures.append(reason)

    def come(self, count: int = 1) -> list[asyncio.Task[int]]:
        """Visitors come in this order; return their tasks."""
        visits = [self.loop.create_task(self.counter.increment()) for _ in range(count)]
        self.loop.turn()
        return visits

    def read(self, count: int = 1) -> list[asyncio.Task[int]]:
        readers = [self.loop.create_task(self.counter.value()) for _ in range(count)]
        self.loop.turn()
        return readers

    @property
    def awaited(self) -> Command | None:
        """The command that carries visits and is under way."""
        return next((command for command in self.commands if command.is_awaited), None)

    @property
    def awaited_read(self) -> Command | None:
        return next((command for command in self.reads if command.is_awaited), None)

    def answer(self, answer: Exception, *, arrived: bool = False) -> None:
        """Let the command under way fail, `arrived` or not at the server."""
        command = self.awaited
        assert command is not None, "nothing is under way"
        if arrived:
            command.deliver()
        command.answer(answer)
        self.loop.turn()

    def break_off(self, *, arrived: bool) -> None:
        self.answer(RedisConnectionError("lost"), arrived=arrived)

    def answer_read(self, answer: Exception | None = None) -> None:
        """Let the read under way fail, or deliver it."""
        command = self.awaited_read
        assert command is not None, "no read is under way"
        command.answer(answer or command.deliver())
        self.loop.turn()

    def refuse(self) -> None:
        """Let whatever is under way fail as where nobody listens."""
        for command in (self.awaited, self.awaited_read):
            if command is not None:
                command.answer(RedisConnectionError("refused"))
        self.loop.turn()

    def recover(self) -> None:
        """Let the server answer all that comes within the longest pause."""
        end = self.loop.now + LONGEST_PAUSE
        while self.loop.now < end:
            self.deliver()
            if self.awaited_read is not None:
                self.answer_read()
            self.loop.pass_time(LONGEST_PAUSE / 20)

    def deliver(self) -> None:
        """Let the server answer, until nothing carries visits any more. Takes no time."""
        while (command := self.awaited) is not None:
            command.answer(command.deliver())
            self.loop.turn()

    def deliver_until(self, name: str) -> Command:
        """Let the server answer whatever comes before a command of this name, which stays under way."""
        while (command := self.awaited) is not None and command.name != name:
            command.answer(command.deliver())
            self.loop.turn()
        assert command is not None, f"no {name} was sent"
        return command

    def registered(self) -> "HeldCounter":
        """Have a writer, and the script on the server."""
        self.come()
        self.deliver()
        return self
