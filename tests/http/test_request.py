"""A request that is read no further than anybody asks is the same as Tornado's own."""

from typing import Any

import pytest
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPInputError, HTTPServerRequest, RequestStartLine

from app.http.connection import Connection
from app.http.request import Request


class Answer(HTTPConnection):
    """Nothing is answered."""

    context = Connection("192.0.2.1")


def parts(request: HTTPServerRequest) -> dict[str, Any]:
    known = dict(vars(request))
    assert known.pop("_start_time") > 0
    return known


@pytest.mark.parametrize(
    ("method", "target", "version", "headers"),
    [
        ("GET", "/", "HTTP/1.1", {"Host": "localhost"}),
        ("GET", "/", "HTTP/1.1", {"Host": "Service.Example:8000"}),
        ("GET", "/", "HTTP/1.1", {"Host": "[2001:db8::1]:80"}),
        ("GET", "/", "HTTP/1.1", {"Host": ""}),
        ("POST", "/a/b%20c", "HTTP/1.1", {"Host": "localhost", "Content-Type": "text/plain"}),
        ("GET", "/?", "HTTP/1.1", {"Host": "localhost"}),
        ("GET", "/?a=1&a=2&b=&c", "HTTP/1.1", {"Host": "localhost"}),
        ("GET", "/", "HTTP/1.0", {}),
        ("OPTIONS", "*", "HTTP/1.1", {"Host": "localhost"}),
        ("CONNECT", "localhost:80", "HTTP/1.1", {"Host": "localhost"}),
    ],
)
def test_it_is_the_same_to_the_attribute(
    method: str, target: str, version: str, headers: dict[str, str]
) -> None:
    line, server, answer, fields = (
        RequestStartLine(method, target, version),
        object(),
        Answer(),
        HTTPHeaders(),
    )
    for name, value in headers.items():
        fields[name] = value
    for _ in range(2):
        theirs = HTTPServerRequest(
            start_line=line, headers=fields, connection=answer, server_connection=server
        )
        assert parts(Request(line, fields, answer, server)) == parts(theirs)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/", {}),
        ("/", {"Host": "a b"}),
        ("/", {"Host": "a,b"}),
        ("/", {"Host": "a/b"}),
        ("/?" + "&".join("a" * 2000), {"Host": "localhost"}),
    ],
)
def test_it_refuses_the_same(target: str, headers: dict[str, str]) -> None:
    line, fields = RequestStartLine("GET", target, "HTTP/1.1"), HTTPHeaders()
    for name, value in headers.items():
        fields[name] = value
    for _ in range(2):
        with pytest.raises(HTTPInputError) as theirs:
            HTTPServerRequest(start_line=line, headers=fields, connection=Answer())
        with pytest.raises(HTTPInputError) as ours:
            Request(line, fields, Answer(), None)
        assert str(ours.value) == str(theirs.value)


def test_a_body_is_parsed_where_there_is_one() -> None:
    form = {"Host": "localhost", "Content-Type": "application/x-www-form-urlencoded"}
    request = Request(RequestStartLine("POST", "/", "HTTP/1.1"), HTTPHeaders(form), Answer(), None)
    request.body = b"a=1"
    request._parse_body()
    assert (request.body_arguments, request.arguments) == ({"a": [b"1"]}, {"a": [b"1"]})
