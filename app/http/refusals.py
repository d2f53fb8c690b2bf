"""The answer to what never reaches a handler."""

from http import HTTPStatus

from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine

from app.http.connection import Connection
from app.http.policy import RefusedBecause, RequestPolicy
from app.http.problem import CONTENT_TYPE, problem_body, title_of
from app.http.request_id import request_id_of
from app.http.response_header import encoded_header
from app.telemetry.requests import RequestTelemetry

REFUSED = "refused"
"""The route, in logs and metrics, of what was refused before any route was looked for."""

BECAUSE: dict[int, RefusedBecause] = {
    HTTPStatus.REQUEST_TIMEOUT: RefusedBecause.TOO_SLOW,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: RefusedBecause.TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG: RefusedBecause.TOO_LARGE,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: RefusedBecause.TOO_LARGE,
}
"""By status; all others are told that their request is not valid."""


class Refusals:
    """Builds problems and reports them. What is refused is the last request of its connection."""

    def __init__(self, policy: RequestPolicy, telemetry: RequestTelemetry) -> None:
        self._policy = policy
        self._telemetry = telemetry

    def answer(
        self,
        connection: Connection,
        status: int,
        detail: str,
        start_line: RequestStartLine | None = None,
        headers: HTTPHeaders | None = None,
    ) -> tuple[HTTPHeaders, bytes]:
        """Return the headers and the body, for a request of which this much could be read."""
        connection.is_last = True
        self._policy.refused(BECAUSE.get(status, RefusedBecause.INVALID))
        request_id = request_id_of(headers)
        body = problem_body(status, detail, request_id)
        answer = self._policy.response_headers(request_id)
        answer["Content-Type"] = CONTENT_TYPE
        answer["Content-Length"] = str(len(body))
        answer["Connection"] = "close"
        peer = connection.remote_ip
        method = start_line.method if start_line else "other"
        self._telemetry.record(
            request_id=request_id,
            method=method,
            route=REFUSED,
            target=start_line.path if start_line else "",
            status=status,
            seconds=0.0,
            client=self._policy.client_address(peer, headers if headers is not None else HTTPHeaders()),
            user_agent=headers.get("User-Agent", "") if headers is not None else "",
        )
        return answer, b"" if method == "HEAD" else body

    def encoded(self, connection: Connection, status: int, detail: str) -> bytes:
        """Return the whole answer, for bytes in which a parser found no request."""
        headers, body = self.answer(connection, status, detail)
        return encoded_header(ResponseStartLine("", status, title_of(status)), headers) + body
