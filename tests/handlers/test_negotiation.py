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
    ],
)
@pytest.mark.parametrize("otherwise", ["html", "json"])
def test_preferred(accept: str, expected: Format | None, otherwise: Format) -> None:
    assert preferred(accept, otherwise) == (expected or otherwise)
