"""The name of a request."""

from tornado.httputil import HTTPHeaders

from app.http.request_id import request_id_of


def test_request_id() -> None:
    assert request_id_of(HTTPHeaders({"X-Request-ID": "A.b_c-9"})) == "A.b_c-9"
    assert request_id_of(HTTPHeaders({"X-Request-ID": "x" * 128})) == "x" * 128
    assert len({request_id_of(None) for _ in range(100)}) == 100
