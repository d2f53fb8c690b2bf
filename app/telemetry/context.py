"""Which request a log line belongs to.

A variable of its own: to bind it to structlog's context costs several times as much. What handlers bind there
is in their lines, too.
"""

from contextvars import ContextVar

from structlog.types import EventDict, WrappedLogger

current_request_id: ContextVar[str] = ContextVar("request_id")
"""Of the request whose handler runs; not set outside of one."""


def name_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Give a log line its request's ID, where it is one's."""
    request_id = current_request_id.get(None)
    return event if request_id is None else {"request_id": request_id, **event}
