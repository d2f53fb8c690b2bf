"""What every answer carries beside the framework's own headers."""

import re
import secrets

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Those of this service's GET /."""

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch


def request_id_of(given: str | None) -> str:
    """Take over a well-formed X-Request-ID, else make one."""
    return given if given is not None and WELL_FORMED(given) else secrets.token_hex(16)
