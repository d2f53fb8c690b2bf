"""The Accept header."""

import pytest

from app.handlers.negotiation import Format, preferred

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BROWSER, "html"),
        ("application/json", "json"),
        ("APPLICATION/JSON", "json"),
        ("text/html;q=0.5, application/json", "json"),
        ("text/html, application/json;q=0.9", "html"),
        ("application/json;q=0", None),
        ("*/*", None),
        ("", None),
        ("image/png", None),
        ("text/html, application/json", None),
        ("application/json;q=nan", None),
        ("application/json;q=x, text/html;q=0.1", "html"),
        (";;;,,,=", None),
        ("application/json;q=0.5, */*", "html"),
        ("text/*;q=0.9, application/json;q=0.5", "html"),
        ("application/*", "json"),
        ("text/*", "html"),
        ("text/html;q=0, */*", "json"),
        ("application/json;q=0, */*", "html"),
        ("application/json;q=0.2, application/*;q=0.9, text/html;q=0.5", "html"),
        ("application/xhtml+xml", "html"),
        ("application/problem+json, text/html;q=0.9", "json"),
        ("*/*;q=0.1, text/*;q=0", "json"),
        ("application/json, " + "text/plain, " * 100 + "text/html;q=0.1", "json"),
    ],
)
@pytest.mark.parametrize("otherwise", ["html", "json"])
def test_preferred(accept: str, expected: Format | None, otherwise: Format) -> None:
    assert preferred(accept, otherwise) == (expected or otherwise)
