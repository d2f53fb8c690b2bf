"""A service is asked everything of the table, with the real curl."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.answering import AnsweringService, answering_service
from tests.deploy.shell import Shell


@pytest.fixture
def service() -> Iterator[AnsweringService]:
    with answering_service() as service:
        yield service


def ask(
    shell: Shell,
    url: str,
    conduct: str = "alone",
    slowest: float = 10,
    digest: str = "sha256:ab",
    most: int = 1000,
) -> tuple[int, str]:
    """The status and the fault."""
    if (shell.bin / "curl").exists():
        shell.real("curl")
    snippet = f'status=0; ask_answers {conduct} {digest} {url} || status=$?; echo "$status $answer_fault"'
    variables = {"slowest_answer": slowest, "shown_environment": "DEV", "most_answers": most}
    said = shell.says(snippet, "good_answers", "answers", **variables)
    status, _, fault = said.partition(" ")
    return int(status), fault


@pytest.mark.parametrize("conduct", ["alone", "shared", "serving"])
def test_a_good_one_passes(conduct: str, shell: Shell, service: AnsweringService) -> None:
    assert ask(shell, service.url, conduct) == (0, "")
    assert service.counter == 260
    assert service.requests[0] == "GET /version"


def test_the_version_says_what_it_was_built_from(shell: Shell, service: AnsweringService) -> None:
    shell.real("curl")
    for known, told in [("unknown", "abc123"), ("fedcba", "fedcba")]:
        call = f'commit={known}; ask_answers shared sha256:ab {service.url}; echo "$commit"'
        variables = {"slowest_answer": 10, "shown_environment": "DEV", "asked_digest": "sha256:ab"}
        assert shell.says(call, "good_answers", "answers", **variables) == told


def test_no_line_is_asked_more_often_than_told(shell: Shell, service: AnsweringService) -> None:
    assert ask(shell, service.url, most=10) == (0, "")
    assert service.counter == 30


@pytest.mark.parametrize("conduct", ["alone", "shared", "serving"])
def test_errors_in_5_percent_of_the_answers_are_refused(
    conduct: str, shell: Shell, service: AnsweringService
) -> None:
    service.error_every = 20
    status, fault = ask(shell, service.url, conduct)
    assert status == 1
    assert "was 500" in fault
    assert len(service.requests) < 80, "nobody is asked on after a wrong answer, but for those under way"


def test_what_only_the_head_shows(shell: Shell, service: AnsweringService) -> None:
    service.caching = "public, max-age=300"
    status, fault = ask(shell, service.url)
    assert (status, fault) == (1, "GET /: the head of answer 1 does not match control:.*no-store")


def test_the_page_of_another_environment(shell: Shell, service: AnsweringService) -> None:
    service.environment = "LOCAL"
    status, fault = ask(shell, service.url)
    assert status == 1
    assert 'id="environment">DEV<' in fault


def test_the_fault_names_what_was_asked(shell: Shell, service: AnsweringService) -> None:
    status, fault = ask(shell, service.url, digest="sha256:cd")
    assert status == 1
    said = '{"image_digest": "sha256:ab", "git_commit": "abc123"}'
    assert fault.startswith(f'GET /version: answer 1 does not match "image_digest": *"sha256:cd": «{said}»')


@pytest.mark.parametrize(
    ("step", "conduct", "fault"),
    [
        (0, "shared", "the counter says 10 after 10"),
        (-1, "shared", "the counter says 8 after 9"),
        (2, "alone", "the counter says 14 after 12, and nobody else was counted"),
        (2, "shared", ""),
        (0, "serving", ""),
    ],
)
def test_a_counter_that_counts_otherwise(
    step: int, conduct: str, fault: str, shell: Shell, service: AnsweringService
) -> None:
    service.counter, service.step = 10, step
    status, said = ask(shell, service.url, conduct)
    assert (status, said) == (1, f"GET /: {fault}") if fault else (0, "")


def test_503_is_not_sure(shell: Shell, service: AnsweringService) -> None:
    service.error_every, service.error_status = 20, 503
    status, fault = ask(shell, service.url)
    assert status == 2
    assert "was 503" in fault


def test_a_slow_answer_is_not_sure_and_says_so(shell: Shell, service: AnsweringService) -> None:
    """Trouble of Redis or of the way there makes answers slow, too: it is asked again."""
    service.seconds = 0.5
    status, fault = ask(shell, service.url, slowest=0.1)
    assert status == 2
    assert fault.startswith("GET /version: no answer within 0.1 s: curl: (28)")
    assert service.requests == ["GET /version"], "the first that is missing ends it"


@pytest.mark.parametrize("conduct", ["alone", "shared", "serving"])
def test_an_answer_that_did_not_come_whole_is_not_sure(
    conduct: str, shell: Shell, service: AnsweringService
) -> None:
    service.cut_at = 60
    status, fault = ask(shell, service.url, conduct)
    assert status == 2
    assert "no answer within 10 s: curl: (18)" in fault


def test_a_number_is_raised_on_a_connection_of_its_own(shell: Shell, service: AnsweringService) -> None:
    """On a kept one curl would send it again, unseen."""
    assert ask(shell, service.url) == (0, "")
    posts = [port for request, port in service.ports if request == "POST /api/v1/counter"]
    assert len(posts) == len(set(posts)) == 120
    reads = [port for request, port in service.ports if request == "GET /"]
    assert len(set(reads)) < len(reads)


@pytest.mark.parametrize("conduct", ["alone", "shared", "serving"])
def test_a_way_that_is_closed_is_not_sure(conduct: str, shell: Shell) -> None:
    with answering_service() as gone:
        url = gone.url
    status, fault = ask(shell, url, conduct)
    assert status == 2
    assert re.match(r"GET /version: no answer within 10 s: curl: \(7\)", fault)


def test_curls_own_settings_do_not_matter(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`insecure` there would make a certificate good that is not, `retry` an answer that was an error."""
    (tmp_path / ".curlrc").write_text("fail\n")
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    with answering_service() as service:
        assert ask(shell, service.url) == (0, "")


def test_a_proxy_of_the_environment_is_not_asked(
    shell: Shell, service: AnsweringService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor of the cluster has none."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ask(shell, service.url) == (0, "")


def test_a_service_that_says_redis_is_away_is_not_a_wrong_one(shell: Shell) -> None:
    """`degraded` is what healthz is documented to say; readyz, the next line, is a 503 then."""
    answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\ndegraded\n\n200\036"
    shell.stub("curl", {"": answer * 3})
    only = 'good_answers=$(grep " /healthz " <<<"$good_answers")'
    call = f'{only}; status=0; ask_answers alone sha256:ab http://x || status=$?; echo "$status"'
    assert shell.says(call, "good_answers", "answers", shown_environment="DEV") != "1"
