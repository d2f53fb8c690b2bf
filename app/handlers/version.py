"""`GET /version`: what exactly runs here."""

import platform

import tornado

from app.handlers.base import ApiHandler
from app.handlers.routes import Route, route


class VersionHandler(ApiHandler):
    """The deploy compares the digest with the one it asked for."""

    route = "/version"

    def get(self) -> None:
        settings = self.policy.settings
        self.write_json(
            {
                "version": settings.version,
                "git_commit": settings.git_commit,
                "commit_time": settings.commit_time,
                "image_digest": settings.image_digest,
                "environment": settings.environment,
                "python": platform.python_version(),
                "tornado": tornado.version,
            }
        )

    def head(self) -> None:
        self.get()


def version_routes() -> list[Route]:
    return [route(VersionHandler)]
