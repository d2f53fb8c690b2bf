"""`/static/`: style sheets and pictures, cached for good because their URL carries their hash."""

from tornado.web import HTTPError, StaticFileHandler

from app.handlers.base import BaseHandler


class StaticHandler(StaticFileHandler, BaseHandler):
    """Tornado's file handler with the headers and errors of every other handler."""

    route = "/static/(.*)"

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        # Tornado asks the file system, which raises ValueError: a 500.
        if "\0" in absolute_path:
            raise HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)
