"""A page that is the same for everybody but for a number: rendered once, and cut where the number stands."""

import builtins
from functools import partial
from typing import Any

import structlog
from tornado.web import RequestHandler

MARK = "81985529216486895"
"""Stands for the number in the page that is cut; of digits, so that it is escaped as a number is."""
SAMPLES = (0, 1, 42, 1234567)
"""Numbers whose pages are compared with the template's own."""
WITHOUT_IMPORT = {name: value for name, value in vars(builtins).items() if name != "__import__"}

log = structlog.get_logger(__name__)


class _Unknown:
    """A number that can be shown as it is, but not compared or computed with."""

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return MARK

    def __eq__(self, _: object) -> bool:
        raise TypeError


class SplitPage:
    """Renders a template of which only a number differs from visit to visit, at next to no cost.

    At the first call the template is rendered with a mark for the number, and without what belongs to a
    request (the handler, its locale, the time of day, imports). What comes out is cut at the mark; from then
    on a page is the pieces with the number between them. A template that needs more, say the plural of
    «visit», cannot be cut, nor one whose pieces make another page of a sample than the template itself:
    `render_string` renders it for each visit, and a line in the log says so.
    """

    def __init__(self, template: str, number: str) -> None:
        """`number` is its name in the template."""
        self._template = template
        self._number = number
        self._is_tried = False
        self._pieces: list[bytes] | None = None

    def render(self, handler: RequestHandler, number: int, **constants: object) -> bytes:
        """Return the page with `number`; `constants` are the same at each call."""
        if not self._is_tried:
            self._is_tried = True
            self._pieces = self._cut(handler, constants)
        if self._pieces is None:
            return handler.render_string(self._template, **{self._number: number}, **constants)
        return str(number).encode().join(self._pieces)

    def _cut(self, handler: RequestHandler, constants: dict[str, Any]) -> list[bytes] | None:
        settings = handler.application.settings
        template = handler.create_template_loader(settings["template_path"]).load(self._template)
        namespace = constants | {
            "static_url": partial(settings["static_handler_class"].make_static_url, settings),
            "datetime": None,
            "__builtins__": WITHOUT_IMPORT,
        }
        try:
            pieces = template.generate(**namespace, **{self._number: _Unknown()}).split(MARK.encode())
        except Exception:
            log.info("a page is rendered for each visit", page=self._template, exc_info=True)
            return None
        for number in SAMPLES:
            whole = handler.render_string(self._template, **{self._number: number}, **constants)
            if str(number).encode().join(pieces) != whole:
                log.info("a page is rendered for each visit", page=self._template)
                return None
        return pieces
