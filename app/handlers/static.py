"""`/static/`: style sheets and pictures, cached for good because their URL carries their hash."""

from tornado.web import StaticFileHandler

from app.handlers.base import BaseHandler


class StaticHandler(StaticFileHandler, BaseHandler):
    """Tornado's file handler with the headers and errors of every other handler."""

    route = "/static/(.*)"
