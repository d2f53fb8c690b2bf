"""How answers are judged, with each awk that machines have."""

import shlex
import shutil
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.deploy.shell import Shell

AWKS = ["mawk", "gawk", "busybox awk", "original-awk"]
COUNT = '"counter": *COUNT'
LAST = '"counter": *LAST'
PAGE = "Counter: *(<[^>]*>)*COUNT"


class Verdict(NamedTuple):
    """What judge_answers says."""

    status: int
    fault: str
    unsure: str
    last: str


@pytest.fixture(params=AWKS)
def judge(request: pytest.FixtureRequest, shell: Shell) -> Shell:
    """A shell whose awk is this one."""
    program = shutil.which(request.param.split()[0])
    if program is None:
        pytest.skip(f"this machine has no {request.param}")
    shell.script("awk", f'#!/bin/sh\nexec {program} {"awk " if "busybox" in program else ""}"$@"\n')
    return shell


HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: private, no-store\r\n\r\n"


def answers(*bodies: str | tuple[str, int]) -> bytes:
    """What curl writes: head, body, status and a separator; the last two of one that did not come."""
    pairs = [(one, 200) if isinstance(one, str) else one for one in bodies]
    texts = [f"{HEAD if status else ''}{body}\n{status:03}\x1e" for body, status in pairs]
    return "".join(texts).encode("latin-1")


def counted(*numbers: int) -> bytes:
    return answers(*(f'{{"counter": {number}}}\n' for number in numbers))


class Case(NamedTuple):
    """What judge_answers is given."""

    reply: bytes
    pattern: str
    conduct: str = "alone"
    last: str = ""
    wanted: int = 200
    head: str = "."


def verdicts(shell: Shell, cases: Sequence[Case]) -> list[Verdict]:
    """What it says of each."""
    lines = [
        "judge() {",
        "status=0 last_count=$3 answer_fault='' answer_unsure=0",
        'cp "$work/reply.$1" "$work/reply"',
    ]
    lines += ['judge_answers "$2" "$4" "$5" "$6" || status=$?']
    lines += [r"""printf '%s\036' "$status" "$answer_fault" "$answer_unsure" "$last_count"; }"""]
    for number, case in enumerate(cases):
        (shell.work / f"reply.{number}").write_bytes(case.reply)
        expected = f"{shlex.quote(case.pattern)} {shlex.quote(case.head)}"
        lines.append(f"judge {number} {case.conduct} '{case.last}' {case.wanted} {expected}")
    said = shell.says("\n".join(lines), "answers").split("\x1e")
    return [
        Verdict(int(status), fault, unsure, last)
        for status, fault, unsure, last in zip(*(iter(said[:-1]),) * 4, strict=True)
    ]


GOOD = {
    "the first number may be any": (counted(41), COUNT, "alone", "", "41"),
    "each one more": (counted(2, 3, 4), COUNT, "alone", "1", "4"),
    "past nine, not compared as text": (counted(9, 10, 11), COUNT, "alone", "8", "11"),
    "large numbers": (counted(999999, 1000000), COUNT, "alone", "", "1000000"),
    "past what a signed number of 32 bits holds": (
        counted(2147483647, 2147483648, 99999999999),
        COUNT,
        "shared",
        "",
        "99999999999",
    ),
    "others are counted, too": (counted(5, 9, 10), COUNT, "shared", "2", "10"),
    "the page, with markup before the number": (
        answers("<p>Counter: <b>7</b></p>", "<p>Counter: <b>8</b></p>"),
        PAGE,
        "alone",
        "6",
        "8",
    ),
    "the last one is read": (counted(7, 7), LAST, "alone", "7", "7"),
    "the last one, and more by others": (counted(7, 9), LAST, "shared", "7", "7"),
    "no COUNT came before LAST": (counted(3), LAST, "alone", "", ""),
    "another shape has no number": (answers("ok\n", "ok\n"), "^ok", "alone", "5", "5"),
    "any body": (answers("\n"), ".", "alone", "", ""),
    "an older version, and a page that it lacks": (answers(("no", 404)), "^ok", "serving", "", ""),
    "an older version that counts otherwise": (counted(5, 5), COUNT, "serving", "9", "9"),
    "hints before the answer": (
        (b"HTTP/1.1 103 Early Hints\r\nLink: </static/style.css>\r\n\r\n" * 2) + answers('{"counter": 7}'),
        '^[{]"counter": *COUNT',
        "alone",
        "6",
        "7",
    ),
    "an older version's digest": (
        answers('"image_digest": "sha256:ab"'),
        '"image_digest": *"sha256:ab"',
        "serving",
        "",
        "",
    ),
}


def test_good(judge: Shell) -> None:
    said = verdicts(judge, [Case(*case[:4]) for case in GOOD.values()])
    for (name, (*_, last)), found in zip(GOOD.items(), said, strict=True):
        assert (found.status, found.fault, found.last) == (0, "", last), name


WRONG = {
    "another status": (answers("ok", ("busy", 500)), "^ok", "alone", "", "answer 2 was 500, not 200: «busy»"),
    "a redirect": (answers(("", 302)), "^ok", "alone", "", "answer 1 was 302, not 200: «»"),
    "another shape": (answers("ok", "oh"), "^ok", "alone", "", "answer 2 does not match ^ok: «oh»"),
    "no number": (answers('{"counter": null}'), COUNT, "alone", "", "answer 1 does not match"),
    "empty": (answers("ok", ""), "^ok", "alone", "", "answer 2 does not match ^ok: «»"),
    "stands still": (counted(4, 5, 5), COUNT, "alone", "3", "the counter says 5 after 5"),
    "stands still beside others": (counted(4, 4), COUNT, "shared", "3", "the counter says 4 after 4"),
    "stands still from one request to the next": (
        counted(3),
        COUNT,
        "shared",
        "3",
        "the counter says 3 after 3",
    ),
    "jumps": (counted(4, 6), COUNT, "alone", "3", "the counter says 6 after 4, and nobody else was counted"),
    "goes back": (counted(10, 9), COUNT, "shared", "8", "the counter says 9 after 10"),
    "LAST went on although nobody counted": (counted(8), LAST, "alone", "7", "the counter says 8 after 7"),
    "LAST went back": (counted(6), LAST, "shared", "7", "the counter says 6 after 7"),
    "an error, to an older version": (answers(("oh", 500)), "^ok", "serving", "", "answer 1 was 500: «oh»"),
    "another digest than the older version's": (
        answers('"image_digest": "sha256:cd"'),
        '"image_digest": *"sha256:ab"',
        "serving",
        "",
        "answer 1 does not match",
    ),
    "control characters": (
        answers("o\x1b[2J\r\nh\tno"),
        "^ok",
        "alone",
        "",
        "answer 1 does not match ^ok: «o [2J h no»",
    ),
}


def test_wrong(judge: Shell) -> None:
    said = verdicts(judge, [Case(*case[:4]) for case in WRONG.values()])
    for (name, (*_, fault)), found in zip(WRONG.items(), said, strict=True):
        assert (found.status, found.unsure) == (1, "0"), name
        assert found.fault.startswith(fault), name
        assert found.fault.isprintable(), name


def test_the_head_counts(judge: Shell) -> None:
    """Whatever case it is written in; what stands in the body is not of it."""
    heads = {
        "text/plain": "",
        "cache-control:.*no-store": "",
        "^http/1.1 200": "",
        "^.": "",
        "public": "public",
    }
    said = verdicts(judge, [Case(answers("public"), "^public$", head=head) for head in heads])
    for (head, fault), found in zip(heads.items(), said, strict=True):
        assert found.status == bool(fault), head
        assert found.fault == (f"the head of answer 1 does not match {fault}" if fault else "")


def test_a_wrong_body_may_hold_anything(judge: Shell) -> None:
    """The separator makes two answers of it, the first without a status; some awks end a line at a NUL."""
    bodies = ['{"counter": 1\x1e}', '{"counter": \x00 1}', "\x1e\x1e"]
    for found in verdicts(judge, [Case(answers(body), COUNT) for body in bodies]):
        assert (found.status, found.unsure) == (1, "0")


def test_what_redis_or_a_proxy_may_answer_is_not_sure(judge: Shell) -> None:
    expected = {500: "0", 501: "0", 502: "1", 503: "1", 504: "1", 505: "0"}
    for conduct in ["alone", "shared", "serving"]:
        said = verdicts(judge, [Case(answers("ok", ("away", status)), "^ok", conduct) for status in expected])
        assert [found.status for found in said] == [1] * len(expected)
        assert [found.unsure for found in said] == list(expected.values())


def test_too_many_requests_are_not_sure(judge: Shell) -> None:
    """A limit of the Ingress that the visitors share."""
    cases = [Case(answers(("slow down", 429)), "^ok", conduct) for conduct in ["alone", "shared"]]
    assert [(found.status, found.unsure) for found in verdicts(judge, cases)] == [(1, "1"), (1, "1")]


def test_a_status_that_is_wanted_is_good(judge: Shell) -> None:
    (found,) = verdicts(judge, [Case(answers(('"status": 404', 404)), '"status": *404', wanted=404)])
    assert found.status == 0


def test_errors_in_5_percent_of_the_answers_are_found(judge: Shell) -> None:
    """Wherever the one in twenty comes."""
    conducts = ["alone", "shared", "serving"]
    for place in [1, 7, 19, 20]:
        many = [
            (f'{{"counter": {number}}}', 500 if number % 20 == place % 20 else 200) for number in range(1, 41)
        ]
        before = [Case(answers(*many[: place - 1]), COUNT, conduct) for conduct in conducts]
        assert [found.status for found in verdicts(judge, before)] == [0, 0, 0]
        for found in verdicts(judge, [Case(answers(*many), COUNT, conduct) for conduct in conducts]):
            assert found.fault.startswith(f"answer {place} was 500")


def test_no_answers_at_all_are_no_fault_of_theirs(judge: Shell) -> None:
    """Whether any came is for curl's exit status to say."""
    assert verdicts(judge, [Case(b"", "^ok", last="4")]) == [Verdict(0, "", "0", "4")]


def test_an_answer_that_did_not_come_is_no_wrong_answer(judge: Shell) -> None:
    """Curl then gives the status 000 and ends with an error, which is judged beside the answers."""
    for conduct in ["alone", "shared", "serving"]:
        assert verdicts(judge, [Case(answers("ok", ("", 0)), "^ok", conduct)])[0].status == 0
