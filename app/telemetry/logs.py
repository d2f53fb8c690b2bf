"""One logging set-up: every line, also of Tornado and redis-py, leaves through structlog."""

import asyncio
import logging
import re
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from app.settings import Settings
from app.telemetry.context import name_request
from app.telemetry.exceptions import described, in_lines
from app.telemetry.lines import Lines

ARGUMENTS = re.compile(r"\(.*\)", re.DOTALL)
"""Of the callback that asyncio names when it complains."""

log = structlog.get_logger(__name__)


def configure_logs(settings: Settings) -> None:
    """Send all logs to standard output, as JSON or for a terminal, and what nobody caught with them."""
    as_json = settings.log_format == "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [_exceptions_as_data, structlog.processors.JSONRenderer()]
        if as_json
        else [_exceptions_in_lines, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = Lines(sys.stdout) if as_json else logging.StreamHandler(sys.stdout)
    handler.addFilter(_name_what_is_no_text)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared,
                structlog.stdlib.ExtraAdder(),
                structlog.stdlib.PositionalArgumentsFormatter(),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    # asyncio and Tornado tell at info what the access log says already.
    for name in ("asyncio", "tornado.general", "tornado.access"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # At warning it quotes what is wrong in a tracestate, which is whatever a client sends.
    logging.getLogger("opentelemetry.trace.span").setLevel(max(logging.ERROR, root.level))
    # A line that cannot be formatted or written: Python would print its arguments.
    logging.raiseExceptions = False
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_uncaught_in_thread


def json_lines() -> Lines | None:
    """Return where all log lines leave as JSON; None if they are for a terminal, or leave elsewhere, too."""
    match logging.getLogger().handlers:
        case [Lines() as lines]:
            return lines
    return None


def log_loop_trouble(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio complains about. Its own way prints tasks, and so the words of their exceptions."""
    complaint = ARGUMENTS.sub("(…)", context["message"])
    log.error("trouble in the event loop", complaint=complaint, exc_info=context.get("exception"))


def _name_what_is_no_text(record: logging.LogRecord) -> bool:
    """Let a record of another library name its arguments' kinds only, where they may be or hold an exception:
    Tornado logs callbacks, and with them the tasks that they were called for."""
    if isinstance(record.args, Mapping):
        record.args = {name: _told(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(map(_told, record.args))
    return True


def _told(value: object) -> object:
    return value if isinstance(value, str | int | float | None) else type(value).__qualname__


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(uncaught: threading.ExceptHookArgs) -> None:
    log.critical("uncaught exception in a thread", exc_info=uncaught.exc_value)


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    log.error("exception where none can be raised", exc_info=unraisable.exc_value)


def _exceptions_as_data(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (error := _exception_of(event)) is not None:
        event["exception"] = described(error)
    return event


def _exceptions_in_lines(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (error := _exception_of(event)) is not None:
        event["exception"] = in_lines(described(error))
    return event


def _exception_of(event: EventDict) -> BaseException | None:
    """Take `exc_info` out of an event, in each form that logging and structlog allow."""
    given = event.pop("exc_info", None)
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        error: BaseException | None = given[1]
        return error
    return sys.exc_info()[1] if given else None
