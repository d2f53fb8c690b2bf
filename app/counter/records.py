"""What the counter keeps in Redis: the value, and a small expiring record for each process that writes.

The record makes a batch idempotent: it holds the number and the result of the writer's last batch (the
idempotent producer of Kafka, KIP-98, in Redis). A writer must register before its first batch, so that a
batch that arrives after its record is gone finds none and applies nothing, whenever that is: no clock is
compared, and no time limit here matters to the guarantee.
"""

import hashlib
import math
import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeAlias, cast

from redis.exceptions import NoScriptError

from app.redis.client import RedisClient, look_up_again
from app.settings import HASH_TAG

RECORD_SECONDS = 3600
"""Kept at least so long after the last batch; short enough that the records of killed processes do not pile
up. A process that counts nothing for half as long registers anew, which costs it two more commands."""
UNUSED_RECORD_SECONDS = 120
"""Kept at least so long before the first batch, which follows at once. Short: while Redis fails, each attempt
to register may leave a record that nobody uses."""
PATIENCES = 4
"""Kept at least so many times as long as a visitor waits (REQUEST_TIMEOUT), or resending would be futile. Of
a record's life half may be over when a batch is first sent, and a quarter more while it is sent again, for as
long as a visitor waits; the last quarter is for the way there and back, and for clocks that differ."""
Timed: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Given the name of a command, measures what is done within."""
INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
LOWEST, HIGHEST = -(2**63), 2**63 - 1
"""As INCRBY reads a number and as far as it counts."""


class NotAnInteger(Exception):
    """The counter's key holds something that INCRBY would refuse."""


class Refused(Exception):
    """Redis does not know the writer, or expected another sequence number: this copy was not applied."""


class CounterRecords:
    """The commands, each sent once. They raise what redis-py raises; the caller bounds them in time."""

    def __init__(
        self,
        redis: RedisClient,
        reading_redis: RedisClient,
        key: str,
        patience: float = 0.0,
        timed: Timed = nullcontext,
    ) -> None:
        """`reading_redis` is for `value`, which may be asked while another command is under way; `patience`
        is how long a visitor is worth another attempt, in seconds."""
        self._redis = redis
        self._reading_redis = reading_redis
        self._value_is_elsewhere = False
        self._key = key
        self.record_seconds = max(RECORD_SECONDS, math.ceil(PATIENCES * patience))
        self.unused_record_seconds = max(UNUSED_RECORD_SECONDS, math.ceil(PATIENCES * patience))
        self._timed = timed
        self.script = (Path(__file__).parent / "count_batch.lua").read_text()
        self._digest = hashlib.sha1(self.script.encode(), usedforsecurity=False).hexdigest()

    async def register(self) -> str:
        """Make a record under a new identity and return it.

        Every attempt uses another identity: if the reply is lost, nothing was counted under it and nothing
        ever will be, so the record just expires.
        """
        writer = secrets.token_hex(16)
        with self._timed("register"):
            is_made = await self._redis.set(
                self.record(writer), "0 0", nx=True, ex=self.unused_record_seconds
            )
        if not is_made:
            raise Refused("the identity is taken")
        return writer

    async def count(self, writer: str, sequence: int, visits: int) -> int:
        """Send one copy of a batch; return the counter's value after it. Raises Refused.

        Of all copies with one writer and sequence at most one is applied; the others return its result.
        """
        keys_and_arguments = (
            2,
            self._key,
            self.record(writer),
            str(sequence),
            str(visits),
            str(self.record_seconds),
        )
        with self._timed("count"):
            try:
                status, answer = await self._redis.evalsha(self._digest, *keys_and_arguments)
            except NoScriptError:
                # A restart, a failover or SCRIPT FLUSH emptied the cache of scripts.
                status, answer = await self._redis.eval(self.script, *keys_and_arguments)
        if status != b"counted":
            raise Refused(answer.decode())
        return int(answer)

    async def retire(self, writer: str) -> None:
        """Delete a writer's record: from now on no copy of any of its batches is applied."""
        with self._timed("retire"):
            await self._redis.delete(self.record(writer))

    async def value(self) -> int:
        """Return the counter's value, 0 before the first visit. Raises NotAnInteger."""
        if self._value_is_elsewhere:
            self._value_is_elsewhere = False
            await look_up_again(self._reading_redis)
        with self._timed("read"):
            held = cast("bytes | None", await self._reading_redis.get(self._key))
        if held is None:
            return 0
        if not INTEGER.fullmatch(held) or not LOWEST <= int(held) <= HIGHEST:
            raise NotAnInteger(f"the counter holds {held!r}")
        return int(held)

    async def look_up_again(self) -> None:
        """Make the next commands connect anew."""
        self.look_up_value_again()
        await look_up_again(self._redis)

    def look_up_value_again(self) -> None:
        """Make the next `value` connect anew, once the one that may be under way has ended."""
        self._value_is_elsewhere = True

    def record(self, writer: str) -> str:
        """Return the name of a writer's record, which lives in the counter's slot of a Redis Cluster."""
        tagged = self._key if HASH_TAG.match(self._key) else f"{{{self._key}}}"
        return f"{tagged}:writer:{writer}"
