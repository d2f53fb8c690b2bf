"""How a handler's errors are told: to whoever asked, with Retry-After on each 503, and to the log."""

from http import HTTPStatus
from types import TracebackType
from typing import Any

import structlog
from tornado.web import HTTPError, RequestHandler

from app.handlers.negotiation import preferred
from app.http.policy import RequestPolicy
from app.http.problem import CONTENT_TYPE, problem_body, title_of
from app.unavailable import Unavailable

AWAY = "The {} is not available right now; try again in a moment."
BROKEN = "The {} is not available, and will not be until somebody who runs this service mends it."
DETAILS = {HTTPStatus.NOT_FOUND.value: "There is nothing at this address."}
"""By status, where there is more to say than that the request was not understood."""
WHEN_MENDED_SECONDS = 30
"""For Retry-After where somebody has to mend something first: to come sooner is of no use."""

log = structlog.get_logger(__name__)


class Problem(HTTPError):
    """An error with a sentence for the client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status)
        self.detail = detail


class ErrorAnswers(RequestHandler):
    """What a handler raises becomes a page or a problem document. `BaseHandler` has the attributes."""

    route: str
    request_id: str
    policy: RequestPolicy

    @property
    def connection(self) -> object:
        """What the request came on, see app.http.connection."""
        connection: object = self.request.connection.context  # type: ignore[union-attr]
        return connection

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - Tornado's signature
        exception = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(exception, Unavailable):
            status_code = 503
        self.set_status(status_code)
        if status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            seconds = self.policy.admission.retry_after(self.connection)
            if isinstance(exception, Unavailable) and not exception.mends_itself:
                seconds = max(seconds, WHEN_MENDED_SECONDS)
            self.set_header("Retry-After", str(seconds))
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.allowed_methods()))
        self.write_problem(status_code, kwargs.get("detail") or self._detail_of(status_code, exception))
        self.finish()

    def write_problem(self, status: int, detail: str) -> None:
        """Write an error page for a browser, a problem document for everyone else."""
        self.set_header("Vary", "Accept")
        if preferred(self.request.headers.get("Accept", ""), otherwise="json") == "html":
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.write(
                self.render_string(
                    "error.html",
                    status=status,
                    title=title_of(status),
                    detail=detail,
                    request_id=self.request_id,
                )
            )
        else:
            self.set_header("Content-Type", CONTENT_TYPE)
            self.write(problem_body(status, detail, self.request_id))

    @classmethod
    def allowed_methods(cls) -> list[str]:
        """Return the methods that this handler implements."""
        return [
            method
            for method in RequestHandler.SUPPORTED_METHODS
            if getattr(cls, method.lower()) is not getattr(RequestHandler, method.lower())
        ]

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log what is ours; what the client did wrong is in the access log already."""
        if isinstance(value, Unavailable):
            log.warning(f"{value.what} unavailable", reason=value.reason, route=self.route)
        elif not isinstance(value, HTTPError):
            log.error("unexpected error", route=self.route, exc_info=(typ, value, tb))

    def _detail_of(self, status: int, exception: BaseException | None) -> str:
        if isinstance(exception, Problem):
            return exception.detail
        if isinstance(exception, Unavailable):
            return (AWAY if exception.mends_itself else BROKEN).format(exception.what)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            return f"This address answers to {', '.join(self.allowed_methods()) or 'no method'} only."
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "Something went wrong here; the request ID finds it in the log."
        return DETAILS.get(status, "The request could not be understood.")
