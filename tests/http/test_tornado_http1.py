"""What is known of Tornado's inside is known of the version that is used."""

import tornado

from app.http import tornado_http1
from tests.service import ROOT


def test_what_is_relied_on_was_read_in_this_version() -> None:
    """After an upgrade: compare the docstring's list with Tornado's code, then name the version there."""
    assert f"as of {tornado.version}:" in str(tornado_http1.__doc__)
    assert f"\ntornado=={tornado.version} " in (ROOT / "requirements.txt").read_text()
