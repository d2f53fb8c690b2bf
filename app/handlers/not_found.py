"""What no route matches."""

from tornado.web import HTTPError

from app.handlers.base import BaseHandler


class NotFoundHandler(BaseHandler):
    """Answers 404 to every method."""

    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)
