"""The table of good answers: it can be read, finds what it promises, and the service meets it."""

import math
import re
from typing import NamedTuple

import pytest

from tests.conftest import StartService, ValkeyServer
from tests.deploy.shell import ROOT, Shell

DIGEST = "sha256:" + "ab" * 32


class Row(NamedTuple):
    """One line of the table."""

    method: str
    path: str
    status: str
    times: int
    accept: str
    head: str
    pattern: str


def table() -> list[Row]:
    text = (ROOT / "deploy" / "good_answers.sh").read_text()
    lines = text[text.index("good_answers='\n") :].split("'")[1].strip().splitlines()
    fields = [line.split(maxsplit=6) for line in lines]
    assert all(len(row) == 7 for row in fields), fields
    return [Row(row[0], row[1], row[2], int(row[3]), row[4], row[5], row[6]) for row in fields]


@pytest.mark.parametrize("row", table(), ids=lambda row: f"{row.method} {row.path} {row.accept}")
def test_each_row_has_its_fields(row: Row) -> None:
    assert re.fullmatch("GET|HEAD|POST|PUT|PATCH|DELETE", row.method)
    assert re.fullmatch(r"/[!-~]*", row.path)
    assert re.fullmatch("[2-5][0-9]{2}", row.status)
    assert row.times > 0
    assert re.fullmatch(r"(\*|[a-z]+)/(\*|[a-z.+-]+)", row.accept)
    assert row.head == row.head.lower(), "a head is compared in lower case"
    re.compile(row.head)
    re.compile(row.pattern)
    words = re.findall("[A-Z]{2,}", row.pattern)
    assert set(words) <= {"DIGEST", "ENVIRONMENT", "COUNT", "LAST"}
    assert len(set(words) - {"ENVIRONMENT"}) <= 1


def test_the_digest_is_asked_first() -> None:
    """Until the last old pod is gone others answer, which the smoke test tells by the first row."""
    assert "DIGEST" in table()[0].pattern


def test_last_follows_a_count() -> None:
    words = [word for row in table() for word in re.findall("COUNT|LAST", row.pattern)]
    assert words[0] == "COUNT"


def found(share: float, times: int) -> float:
    """How likely one of so many independent answers is wrong."""
    return 1 - (1 - share) ** times


def test_an_error_in_5_percent_of_the_answers_is_found() -> None:
    """Also when only the pages are bad, or only the API."""
    rows = table()
    assert found(0.05, sum(row.times for row in rows)) >= 0.97
    for method in {row.method for row in rows if "COUNT" in row.pattern}:
        assert found(0.05, sum(row.times for row in rows if row.method == method)) >= 0.97


def test_the_comment_tells_how_often_it_is_missed() -> None:
    text = (ROOT / "deploy" / "good_answers.sh").read_text()
    times, share, deploys = re.findall(r"(\d+) times: an error in (\d+) % .* once in (\d+) deploys", text)[0]
    assert int(times) == max(row.times for row in table())
    assert math.isclose(1 / (1 - int(share) / 100) ** int(times), int(deploys), rel_tol=0.02)


def test_the_service_answers_well(shell: Shell, valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey, image_digest=DIGEST)
    shell.real("curl")
    snippet = f'ask_answers alone {DIGEST} http://127.0.0.1:{service.port} || echo "$answer_fault"'
    assert shell.says(snippet, "good_answers", "answers", slowest_answer=10, shown_environment="DEV") == ""
