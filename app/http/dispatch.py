"""Which handler answers a request, and the task in which it does.

Tornado tries one pattern after another, and wraps each request in three delegates. Most addresses are plain
ones, which a look into a dictionary finds; only what it does not find is left to Tornado.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Sequence
from typing import Any

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.routing import URLSpec
from tornado.util import re_unescape
from tornado.web import Application, RequestHandler

from app.http.request import Request

AT_ONCE: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""A handler begins where its request ends, not in the loop's next turn."""


class ExactApplication(Application):
    """Tornado's, but for handlers of a plain address: they go before all patterns, in whatever order."""

    def __init__(self, routes: Sequence[URLSpec], **settings: Any) -> None:  # noqa: ANN401 - Tornado's
        super().__init__(list(routes), **settings)
        self._exact = {
            path: (route.handler_class, route.kwargs or {})
            # Of two with one address the first is served, as by Tornado.
            for route in reversed(routes)
            if (path := _plain_path(route)) is not None and not _streams(route.handler_class)
        }
        self._running: set[asyncio.Task[None]] = set()
        """Handlers that wait for something; a loop keeps no task alive."""

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return Dispatch(self, server_conn, request_conn)

    def exact(self, path: str) -> tuple[type[RequestHandler], dict[str, Any]] | None:
        """Return the handler of a plain address, and what its `initialize` needs."""
        return self._exact.get(path)

    def run(self, handler: RequestHandler) -> None:
        """Let a handler answer."""
        transforms = [transform(handler.request) for transform in self.transforms]
        loop = asyncio.get_running_loop()
        task = asyncio.Task(handler._execute(transforms), loop=loop, **AT_ONCE)
        if not task.done():
            self._running.add(task)
            task.add_done_callback(self._ran)
        elif not task.cancelled():
            task.result()

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        # A handler answers its own errors: what comes out here is for the loop to log.
        if not task.cancelled():
            task.result()


def _plain_path(route: URLSpec) -> str | None:
    """Return the one path that a route serves, None if it may serve several."""
    pattern = route.regex.pattern.removesuffix("$")
    try:
        path = re_unescape(pattern)
    except ValueError:
        return None
    return path if re.escape(path) == pattern else None


def _streams(handler_class: type[RequestHandler]) -> bool:
    """Tell whether a handler takes its body in parts, see tornado.web.stream_request_body."""
    return bool(getattr(handler_class, "_stream_request_body", False))


class Dispatch(HTTPMessageDelegate):
    """Takes one request to its handler. In the place of Tornado's, which it leaves patterns to.

    Tornado does not document `RequestHandler._execute`, which its own delegate calls so, too (6.6.1).
    """

    def __init__(
        self, application: ExactApplication, server_connection: object, response: HTTPConnection
    ) -> None:
        self._application = application
        self._server_connection = server_connection
        self._response = response
        self._request: Request | None = None
        self._handler_class: type[RequestHandler] = RequestHandler
        self._arguments: dict[str, Any] = {}
        self._body: list[bytes] = []
        self._of_tornado: HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)  # noqa: S101 - a server gets requests
        request = Request(start_line, headers, self._response, self._server_connection)
        found = self._application.exact(request.path)
        if found is None:
            self._of_tornado = self._application.find_handler(request)
            return self._of_tornado.headers_received(start_line, headers)
        self._request = request
        self._handler_class, self._arguments = found
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._of_tornado is not None:
            return self._of_tornado.data_received(chunk)
        self._body.append(chunk)
        return None

    def finish(self) -> None:
        if self._of_tornado is not None:
            self._of_tornado.finish()
        elif self._request is not None:
            self._request.body = b"".join(self._body)
            self._application.run(self._handler_class(self._application, self._request, **self._arguments))

    def on_connection_close(self) -> None:
        if self._of_tornado is not None:
            self._of_tornado.on_connection_close()
        self._body.clear()
