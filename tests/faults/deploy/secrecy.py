"""Where a password may leak to, and the forms that it leaks in."""

import base64
import gzip
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from tests.faults.deploy.deployment import Deployment


def password_of(deployment: Deployment) -> str:
    """What the release's Secret holds; empty if there is none."""
    listed = deployment.project.kubectl(
        "get", "secret", f"{deployment.project.name}-redis-auth", "--ignore-not-found", "-o", "json"
    )
    if not listed:
        return ""
    encoded = json.loads(listed)["data"]["REDIS_PASSWORD"]
    return base64.b64decode(encoded).decode()


def forms_of(password: str) -> set[bytes]:
    """Plain, as a URL, a form or JSON has it, and in base64, wherever it begins in what was encoded."""
    plain = password.encode()
    # Of base64's groups of three bytes, those that hold nothing but the password.
    encoded = {base64.b64encode(plain[begin : begin + (len(plain) - begin) // 3 * 3]) for begin in range(3)}
    written = {quote(password, safe="").encode(), quote_plus(password).encode()}
    return {plain, json.dumps(password)[1:-1].encode(), *written, *encoded}


def leaks(password: str, text: bytes) -> list[str]:
    """The forms of it that this text holds."""
    return [form.decode() for form in forms_of(password) if form in text]


def helm_records(deployment: Deployment) -> Iterator[bytes]:
    """All that Helm keeps of every revision of both releases: values, charts, manifests, notes."""
    listed = deployment.project.kubectl("get", "secrets", "-l", "owner=helm", "-o", "json")
    for record in json.loads(listed)["items"]:
        # Encoded by Helm, and once more by the API server.
        compressed = base64.b64decode(base64.b64decode(record["data"]["release"]))
        release = json.loads(gzip.decompress(compressed))
        files = [
            file for part in ("templates", "files") for file in (release.get("chart") or {}).get(part) or []
        ]
        yield json.dumps(release).encode()
        yield from (base64.b64decode(file["data"]) for file in files if file.get("data"))


def assert_no_leak(deployment: Deployment, output: str, password: str) -> None:
    """Neither in what was printed, nor in any file that was saved, nor in Helm's records."""
    assert leaks(password, output.encode()) == [], "the password was printed"
    for saved in deployment.evidence.rglob("*"):
        if saved.is_file():
            assert leaks(password, saved.read_bytes()) == [], f"the password is in {saved.name}"
    for text in helm_records(deployment):
        assert leaks(password, text) == [], "the password is in Helm's records"
