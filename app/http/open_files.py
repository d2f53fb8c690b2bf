"""How many connections the process' limit of open files leaves room for."""

import contextlib
import resource

SPARE_DESCRIPTORS = 96
"""Not for visitors: what the process needs to listen, to log and to reach Redis again, and for the admin
listener."""
ADMIN_CONNECTIONS = 32
"""Of the spare ones: a scrape and a probe there find room whatever visitors do."""


def claim_connections(most: int) -> int:
    """Raise the process' own limit, if it may, to what `most` connections need; return how many have room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + SPARE_DESCRIPTORS
    if soft == resource.RLIM_INFINITY:
        return most
    if soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # Some systems have a limit below the one that they tell.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return max(1, min(most, soft - SPARE_DESCRIPTORS))
