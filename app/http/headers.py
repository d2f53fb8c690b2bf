"""Tornado's headers, made and asked at less cost."""

from typing import Any

from tornado.httputil import HTTPHeaders


class Headers(HTTPHeaders):
    """The same for whoever uses it.

    As of Tornado 6.6.1 the base keeps `_as_list` and `_combined_cache`. To make one takes it a check against
    abstract classes, to ask for what is not there an exception: each takes longer than all else about it.
    """

    def __init__(self, lines: dict[str, list[str]] | None = None) -> None:  # the base's would be slow
        """`lines` are the values by name, each name written as `X-Request-Id` is."""
        self._as_list = {} if lines is None else lines
        self._combined_cache = {}

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as the base has it
        return self[name] if name in self else default  # noqa: SIM401 - this is `get`
