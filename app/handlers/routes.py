"""How a handler module lists its routes."""

import re
from typing import Any, TypeAlias

from tornado.routing import URLSpec

from app.handlers.base import BaseHandler

Route: TypeAlias = URLSpec


def route(handler: type[BaseHandler], **dependencies: Any) -> Route:  # noqa: ANN401 - what each handler asks for
    """Serve a handler at its own `route`, a plain path, with what its `initialize` needs."""
    return URLSpec(re.escape(handler.route), handler, dependencies)
