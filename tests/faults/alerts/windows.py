"""The chart's values that make seconds of the alerts' hours, and when each must ring and end."""

from typing import NamedTuple

from tests.deploy.charts import Values

STATE, UNSEEN, RECENT, LASTING, ROLLOUT = 8, 12, 12, 20, 25
FAST_SHORT, SLOW_SHORT, TICKET_SHORT = 8, 15, 20
STANDING, RESTARTS = 10, 30
STEADY = 2
LATE = 1
WINDOWS = {
    "fastLong": 30,
    "fastShort": FAST_SHORT,
    "slowLong": 60,
    "slowShort": SLOW_SHORT,
    "ticketLong": 60,
    "ticketShort": TICKET_SHORT,
    "state": STATE,
    "unseen": UNSEEN,
    "recent": RECENT,
    "lasting": LASTING,
    "standing": STANDING,
    "restarts": RESTARTS,
    "rollout": ROLLOUT,
    "steady": STEADY,
}
SHORTENED: Values = {
    "monitoring": {
        "rules": {
            "latencySeconds": LATE,
            "windows": {name: f"{seconds}s" for name, seconds in WINDOWS.items()},
        }
    }
}
NOTICED = 7.0
"""Seconds until a probe has found, a scrape has brought and an evaluation has seen what happened."""
LINE_SECONDS = 32.0
"""How long a fault goes on, and a line without one: longer than any alert waits before it rings."""


class Times(NamedTuple):
    """The most seconds from the fault's beginning until it rings, and from its end until it is quiet."""

    rings: float
    ends: float


TIMES = {
    # Enough must have failed, or been late, at this traffic.
    "VisitsFailFast page": Times(15 + STEADY, SLOW_SHORT + NOTICED),
    "VisitsFailSlowly ticket": Times(15 + STEADY, TICKET_SHORT + NOTICED),
    "VisitsLateFast page": Times(25 + STEADY, SLOW_SHORT + NOTICED),
    "VisitsLateSlowly ticket": Times(25 + STEADY, TICKET_SHORT + NOTICED),
    "NoPodReady page": Times(STATE + NOTICED, NOTICED),
    "NoPodSeen page": Times(UNSEEN + NOTICED, NOTICED),
    "RedisUnreachable page": Times(STATE + NOTICED, NOTICED),
    "RedisRefuses page": Times(STATE + NOTICED, NOTICED),
    "RedisCannotPersist page": Times(STATE + NOTICED, NOTICED),
    "CredentialRefused page": Times(STATE + NOTICED, NOTICED),
    "RedisUnreachable ticket": Times(LASTING + NOTICED, RECENT + NOTICED),
    "RedisRefuses ticket": Times(LASTING + NOTICED, RECENT + NOTICED),
    "CredentialRefused ticket": Times(LASTING + NOTICED, RECENT + NOTICED),
    "CounterStandsStill page": Times(STANDING + STATE + NOTICED, NOTICED),
    # Three restarts come first.
    "PodRestarts ticket": Times(RESTARTS + LASTING + NOTICED, RESTARTS + NOTICED),
    "RolloutStuck ticket": Times(ROLLOUT + NOTICED, NOTICED),
}
"""Of every alert that the service's own metrics can ring."""
