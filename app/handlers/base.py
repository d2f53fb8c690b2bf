"""What all handlers share: identity, limits, deadline, headers; their errors are in error_answers.py.

Relied on here though Tornado does not document it, as of 6.6.1: `RequestHandler.clear` resets `_headers`,
`_write_buffer`, `_status_code` and `_reason`, and nothing else; what `RequestHandler.__init__` sets, and what
`ui` holds.
"""

import asyncio
import json
from collections.abc import Awaitable
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from tornado.httputil import HTTPOutputError, HTTPServerRequest
from tornado.util import ObjectDict
from tornado.web import Application, _UIModuleNamespace

from app.handlers.error_answers import ErrorAnswers, Problem
from app.http.policy import RefusedBecause, RequestPolicy
from app.http.problem import CONTENT_TYPE, problem_body
from app.http.request_id import request_id_complaint, request_id_of
from app.telemetry.context import current_request_id

if TYPE_CHECKING:
    from app.telemetry.spans import RequestSpan

FULL = "Too many requests are in flight; try again in a moment."

log = structlog.get_logger(__name__)


class BaseHandler(ErrorAnswers):
    """Base of every handler. Needs `policy` in the application's settings."""

    route: ClassVar[str] = "unmatched"
    """The pattern that led here: the label of metrics and logs, never the raw path."""
    is_probe: ClassVar[bool] = False
    """A probe is answered whatever the load and the Host header, and its handler takes care not to hang."""

    deadline: asyncio.TimerHandle | None = None
    is_held = False
    is_admitted = False
    span: "RequestSpan | None" = None

    def __init__(self, application: Application, request: HTTPServerRequest, **dependencies: Any) -> None:  # noqa: ANN401
        """Do what Tornado's does, but for `ui`, which only a template asks for."""
        self.application = application
        self.request = request
        self._headers_written = False
        self._finished = False
        self._auto_finish = True
        self._prepared_future = None
        self.policy: RequestPolicy = application.settings["policy"]
        self.request_id = request_id_of(request.headers)
        self.clear()
        request.connection.set_close_callback(self.on_connection_close)  # type: ignore[union-attr]
        self.initialize(**dependencies)

    @cached_property
    def ui(self) -> ObjectDict:  # type: ignore[override]
        """What a template knows beside its own variables."""
        modules = _UIModuleNamespace(self, self.application.ui_modules)
        return ObjectDict({"_tt_modules": modules, "modules": modules})

    @property
    def client_address(self) -> str:
        return self.policy.client_address(str(self.request.remote_ip), self.request.headers)

    def clear(self) -> None:
        """Begin the answer anew. Tornado's own is slower, and sets headers that are not wanted here."""
        self._headers = self.policy.response_headers(self.request_id)
        self.set_default_headers()
        self._write_buffer = []
        self._status_code = 200
        self._reason = "OK"

    def compute_etag(self) -> str | None:
        """No 304: a counted visit always gets its page."""
        return None

    def check_etag_header(self) -> bool:
        """So there is nothing to look for in If-None-Match."""
        return False

    def prepare(self) -> Awaitable[None] | None:
        current_request_id.set(self.request_id)
        self.policy.in_flight.hold(self.request.connection)
        self.is_held = True
        if self.is_probe:
            return None
        if (tracing := self.policy.tracing) is not None:
            self.span = tracing.begin(self.request, self.route, self.client_address, self.request_id)
        self.is_admitted = self.policy.admission.enter(self.connection)
        if not self.is_admitted:
            self.policy.refused(RefusedBecause.FULL)
            # Not raised: Tornado's way with errors costs as much as a visit, and refusals come in crowds.
            self.write_error(HTTPStatus.SERVICE_UNAVAILABLE, detail=FULL)
            return None
        settings = self.policy.settings
        # prepare runs in the task that answers the request, so ending this task ends the work.
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        self.deadline = loop.call_later(settings.request_timeout, self._give_up, task)
        if complaint := request_id_complaint(self.request.headers):
            self.policy.refused(RefusedBecause.INVALID)
            raise Problem(400, complaint)
        if not self.policy.allows_host(self.request.host):
            self.policy.refused(RefusedBecause.HOST)
            raise Problem(400, "This host name is not served here.")
        return None

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "asyncio.Future[None]":
        try:
            return super().finish(chunk)
        except HTTPOutputError:
            # A body shorter than its Content-Length. Tornado closes the connection, and leaves it at that.
            if not self._finished:
                self._finished = True
                self._log()
                self.on_finish()
            raise

    def on_finish(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        if self.is_admitted:
            self.policy.admission.leave()
        # Tornado refuses a method that it does not know before it calls prepare.
        if self.is_held:
            self.policy.in_flight.release(self.request.connection)

    def _give_up(self, task: asyncio.Task[Any] | None) -> None:
        if not self._finished:
            self.policy.timed_out()
            log.warning("request timed out", route=self.route, seconds=self.policy.settings.request_timeout)
            self.send_error(503, detail="The answer took too long; try again in a moment.")
        if task is not None:
            task.cancel()

    def write_json(self, document: dict[str, Any]) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(document))


class ApiHandler(BaseHandler):
    """Base of the API: its errors are problem documents for everyone."""

    def write_problem(self, status: int, detail: str) -> None:
        self.set_header("Content-Type", CONTENT_TYPE)
        self.write(problem_body(status, detail, self.request_id))
