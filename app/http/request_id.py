"""The name of a request: the client's, or one that is made here."""

import random
import re

from tornado.httputil import HTTPHeaders

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
HUGE_REQUEST_ID = 1024
"""Longer than any client's; up to here an ID that is not well-formed is replaced without a word."""


def request_id_of(headers: HTTPHeaders | None) -> str:
    """Take over a well-formed X-Request-ID, else make one."""
    given = headers.get_list("X-Request-ID") if headers is not None else []
    if len(given) == 1 and REQUEST_ID.fullmatch(given[0]):
        return given[0]
    # Nobody has to be kept from guessing it.
    return f"{random.getrandbits(128):032x}"


def request_id_complaint(headers: HTTPHeaders) -> str | None:
    """Return why a request is refused for its X-Request-ID: no honest client sends two, or a huge one."""
    given = headers.get_list("X-Request-ID")
    if len(given) > 1:
        return "The request has more than one X-Request-ID."
    if given and len(given[0]) > HUGE_REQUEST_ID:
        return f"The request's X-Request-ID is longer than {HUGE_REQUEST_ID} characters."
    return None
