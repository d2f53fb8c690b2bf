"""The one error format: RFC 9457 problem details."""

import json
from http import HTTPStatus

CONTENT_TYPE = "application/problem+json"


def title_of(status: int) -> str:
    """Return the standard phrase of an HTTP status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem_body(status: int, detail: str, request_id: str) -> bytes:
    """Encode a problem document; `detail` is a sentence for a person, without internals."""
    document = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    return json.dumps(document).encode()
