"""A page that is cut around its number is, byte for byte, the one that Tornado renders."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application, RequestHandler

from app.handlers.split_page import MARK, SplitPage
from app.handlers.static import StaticHandler
from app.server import HERE

NUMBERS = (-1, 0, 1, 2, 7, 41, 999, 1000, 10**6, 2**63 - 1, int(MARK), int(MARK) + 1)
ENVIRONMENTS = ("DEV", "<b>&\"'ä\u2028€{{", MARK)
NOTE = "a page is rendered for each visit"


class Unconnected(HTTPConnection):
    """Enough of a connection for a handler that is asked for a page only."""

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Nobody leaves."""


def handler_of(templates: Path) -> RequestHandler:
    application = Application(
        template_path=str(templates),
        static_path=str(HERE / "static"),
        static_handler_class=StaticHandler,
    )
    start_line = RequestStartLine("GET", "/", "HTTP/1.1")
    headers = HTTPHeaders({"Host": "localhost"})
    request = HTTPServerRequest(start_line=start_line, headers=headers, connection=Unconnected())
    return RequestHandler(application, request)


@pytest.mark.parametrize("environment", ENVIRONMENTS[:2])
def test_the_page_of_the_service_is_cut_and_the_same_for_any_number(environment: str) -> None:
    handler = handler_of(HERE / "templates")
    page = SplitPage("page.html", number="counter")
    with capture_logs() as logs:
        pages = [page.render(handler, number, environment=environment) for number in NUMBERS]
    assert logs == []
    assert page._pieces is not None
    assert len(page._pieces) == 2
    assert pages == [
        handler.render_string("page.html", counter=number, environment=environment) for number in NUMBERS
    ]


def test_a_mark_that_stands_elsewhere_is_noticed() -> None:
    handler = handler_of(HERE / "templates")
    page = SplitPage("page.html", number="counter")
    assert f"{MARK}</span>".encode() in page.render(handler, 7, environment=MARK)


@pytest.mark.parametrize(
    ("template", "is_cut"),
    [
        ("{{ counter }}", True),
        ("<a>{% raw str(counter) %}</a> {{ counter }} {{ url_escape(str(counter)) }}", True),
        ("nothing", True),
        ("{% for _ in range(3) %}{{ environment }}{{ counter }}{% end %}", True),
        ("{% autoescape None %}{{ environment }}{{ counter }}", True),
        ("{{ static_url('style.css') }} {{ counter }}", True),
        # What depends on the number.
        ("{{ counter }} visit{% if counter != 1 %}s{% end %}", False),
        ("{{ 'many' if counter > 1000000000 else counter }}", False),
        ("{% if counter == 999 %}hooray{% end %}{{ counter }}", False),
        ("{% if counter %}{{ counter }}{% end %}", False),
        ("{{ '{:,}'.format(counter) }}", False),
        ("{{ counter + 1 }}", False),
        ("{{ dict([(1000, 'hooray')]).get(counter, counter) }}", False),
        ("{{ str(counter).zfill(9) }}", False),
        ("{% for digit in str(counter) %}<i>{{ digit }}</i>{% end %}", False),
        ("{{ isinstance(counter, int) }}", False),
        # What depends on the request or on the time.
        ("{{ counter }} {{ request.uri }}", False),
        ("{{ counter }} {{ locale.code }} {{ handler.request.method }}", False),
        ("{{ counter }} {{ datetime.datetime.now().year }}", False),
        ("{% import math %}{{ counter }} {{ math.pi }}", False),
        ("{{ counter }} {{ static_url('style.css', include_host=True) }}", False),
    ],
)
def test_a_template_is_cut_only_if_nothing_but_its_number_varies(
    tmp_path: Path, template: str, *, is_cut: bool
) -> None:
    (tmp_path / "page.html").write_text(template)
    handler = handler_of(tmp_path)
    page = SplitPage("page.html", number="counter")
    with capture_logs() as logs:
        for number in NUMBERS:
            rendered = page.render(handler, number, environment="<A>")
            assert rendered == handler.render_string("page.html", counter=number, environment="<A>")
    assert (page._pieces is not None) is is_cut
    assert [log["event"] for log in logs] == ([] if is_cut else [NOTE])
