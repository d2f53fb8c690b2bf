"""Makes what a client sends: valid requests, odd ones, and ones with the faults that smuggle others."""

from random import Random

from tests.http.sameness.drafts import draft
from tests.http.sameness.exchange import Case
from tests.http.sameness.faults import FAULTS

LAST = b"GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
SHORT = 400
"""Bytes of a stream that may be sent one by one: the turns of the loop that this takes are what it costs."""


def case(seed: int, number: int) -> Case:
    """Return the stream of this number in the run of this seed."""
    random = Random(seed * 1_000_003 + number)  # noqa: S311 - generated tests
    sent = stream(random)
    chance = random.random()
    if chance < 0.02 and len(sent) <= SHORT:
        return Case(sent, tuple(range(1, len(sent))))
    if chance < 0.2 and len(sent) > 1:
        cuts = {random.randrange(1, len(sent)) for _ in range(random.randint(1, 4))}
        return Case(sent, tuple(sorted(cuts)))
    return Case(sent)


def stream(random: Random) -> bytes:
    drafts = [draft(random) for _ in range(random.choices((1, 2, 3), (5, 3, 2))[0])]
    # What comes first is rarely faulty, or the rest is seldom read.
    for one in drafts[:-1]:
        if random.random() < 0.15:
            random.choice(FAULTS)(one, random)
    for _ in range(random.choices((0, 1, 2), (4, 8, 1))[0]):
        random.choice(FAULTS)(drafts[-1], random)
    sent = b"".join(one.encoded() for one in drafts)
    if random.random() < 0.7:
        sent += LAST
    if random.random() < 0.2:
        sent = mutated(sent, random)
    return sent


def mutated(sent: bytes, random: Random) -> bytes:
    """The same with some bytes replaced, put in, left out, or said twice."""
    changed = bytearray(sent)
    odd = b"\r\n\t :;,\x00\x0b\x7f\xff0159aF\"'+-_"
    for _ in range(random.randint(1, 3)):
        if not changed:
            break
        where = random.randrange(len(changed))
        kind = random.randrange(4)
        byte = random.choice(odd) if random.random() < 0.7 else random.randrange(256)
        if kind == 0:
            changed[where] = byte
        elif kind == 1:
            changed.insert(where, byte)
        elif kind == 2:
            del changed[where : where + random.choice((1, 1, 2, 8))]
        else:
            until = where + random.randint(1, 30)
            changed[where:where] = changed[where:until]
    return bytes(changed)
