"""`/static/`: style sheets and pictures, cached for good under a URL that carries their hash."""

from datetime import datetime

from tornado.web import HTTPError, StaticFileHandler

from app.handlers.base import BaseHandler


class StaticHandler(StaticFileHandler, BaseHandler):
    """Tornado's file handler with the headers and errors of every other handler."""

    route = "/static/(.*)"

    # Files do have an ETag.
    check_etag_header = StaticFileHandler.check_etag_header

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        # Tornado asks the file system, which raises ValueError: a 500.
        if "\0" in absolute_path:
            raise HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)

    def get_cache_time(self, path: str, modified: datetime | None, mime_type: str) -> int:  # noqa: ARG002
        """Only under its own hash: in the middle of a rollout a page of the new version may get the file of
        the old one, which must not stay in a cache under the new one's name."""
        own = self.get_version({"static_path": self.root}, path)
        return self.CACHE_MAX_AGE if self.get_query_arguments("v") == [own] else 0
