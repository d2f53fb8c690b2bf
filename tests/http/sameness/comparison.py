"""Finds where a transport does not do what RFC 9112 asks for, or another than the other."""

from collections.abc import Sequence

from tests.http.sameness.exchange import Answer, Transcript
from tests.http.sameness.heads import Interim
from tests.http.sameness.rfc9112 import Due, End, Expected

TORNADO, HTTPTOOLS = 0, 1


def difference(expected: Expected, transcripts: Sequence[Transcript]) -> str | None:
    """Return what is not as it must be, None if nothing is."""
    for name, transcript in zip(("tornado", "httptools"), transcripts, strict=False):
        is_stricter = refuses(expected.odd, transcript) or (
            name == "tornado" and refuses(expected.beyond, transcript)
        )
        complaint = complaint_about(expected, transcript, is_stricter)
        if complaint:
            return f"{name}: {complaint}"
    if (
        expected.may_refuse
        or expected.beyond is not None
        or expected.odd is not None
        or len(transcripts) == 1
    ):
        return None
    first, second = transcripts
    for one, other in zip(first.answers, second.answers, strict=True):
        if (one.status, one.connection, one.document) != (other.status, other.connection, other.document):
            return f"tornado answers {one}, httptools {other}"
    return None


def refuses(number: int | None, transcript: Transcript) -> bool:
    """Tell whether the request of this number was refused, which need not be."""
    if number is None or len(transcript.answers) != number + 1 or transcript.end != "closed":
        return False
    return transcript.answers[number].status == 400 and transcript.answers[number].connection == "close"


def complaint_about(expected: Expected, transcript: Transcript, is_stricter: bool) -> str | None:
    """Return what is wrong with one transcript."""
    if transcript.garbage:
        return f"sent what is no answer: {transcript.garbage!r}"
    due, answers = expected.answers, transcript.answers
    if is_stricter:
        return first_complaint(due[: len(answers) - 1], answers[:-1])
    if len(answers) == len(due) + 1 and expected.end is End.WAITING and transcript.end == "closed":
        last = answers[-1]
        if last.status in expected.may_refuse and last.connection == "close":
            return first_complaint(due, answers[:-1])
    if len(answers) != len(due):
        return f"{len(answers)} answers instead of {len(due)}"
    if transcript.end != expected.end.value:
        return f"the connection is {transcript.end} instead of {expected.end.value}"
    return first_complaint(due, answers) or interim_complaint(expected.interim, transcript.continues)


def first_complaint(due: Sequence[Due], answers: Sequence[Answer]) -> str | None:
    for number, (wanted, answer) in enumerate(zip(due, answers, strict=True), start=1):
        complaint = answer_complaint(wanted, answer) or interim_complaint(wanted.interim, answer.continues)
        if complaint:
            return f"answer {number}: {complaint}"
    return None


def answer_complaint(due: Due, answer: Answer) -> str | None:
    if answer.status not in due.statuses:
        return f"status {answer.status} instead of {sorted(due.statuses)}"
    if due.echo is not None and answer.document != due.echo:
        return f"it was told {answer.document} instead of {due.echo}"
    is_old = due.echo is not None and due.echo["version"] == "HTTP/1.0"
    connection = "close" if due.closes else "keep-alive" if is_old else ""
    if answer.connection != connection:
        return f"Connection: {answer.connection!r} instead of {connection!r}"
    return None


def interim_complaint(due: Interim, continues: int) -> str | None:
    allowed = {Interim.NONE: {0}, Interim.MAY: {0, 1}, Interim.MUST: {1}}[due]
    return None if continues in allowed else f"{continues} times 100 Continue ({due.name} come)"
