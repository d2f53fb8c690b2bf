"""The search for a password finds it in every form, and says where without saying what."""

import base64
import json
import shlex
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml

from tests.canary import Search

CORE = "Canary7Yx0pRw3ZkT5q"
PASSWORD = f"pa/ss+w=&%41@:?#{CORE}\\é'\"$(id)"


def found(text: str | bytes, password: str = PASSWORD) -> list[str]:
    search = Search(password)
    search.look("here", text)
    return search.found


@pytest.mark.parametrize("before", ["", "a", "ab", "é", '{"password":"'])
def test_base64_wherever_it_begins(before: str) -> None:
    plain = f"{before}{PASSWORD} and more".encode()
    for encoded in [base64.b64encode(plain), base64.urlsafe_b64encode(plain)]:
        assert len(found(encoded)) == 1


def test_base64_in_indented_lines() -> None:
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    assert found("".join(f"    {encoded[begin : begin + 8]}\r\n" for begin in range(0, len(encoded), 8)))


@pytest.mark.parametrize(
    "text",
    [
        PASSWORD,
        json.dumps(PASSWORD),
        json.dumps({"inner": json.dumps(PASSWORD, ensure_ascii=False)}).replace("&", "\\u0026"),
        yaml.safe_dump({"password": PASSWORD}, width=10),
        f"redis://:{quote(PASSWORD, safe='')}@redis",
        f"password={quote_plus(PASSWORD)}",
        "".join(f"%{byte:02x}" for byte in PASSWORD.encode()),
        "".join(f"%{byte:02X}" for byte in PASSWORD.encode()),
        PASSWORD.encode().hex(),
        PASSWORD.encode().hex().upper(),
        shlex.quote(PASSWORD),
    ],
)
def test_every_way_to_write_it(text: str) -> None:
    assert len(found(f"before {text} after")) == 1


def test_what_bash_shows_of_it() -> None:
    """Not with -x, and not quoted for a shell."""
    command = ["bash", "-xc", ': "$1"; printf %q "$1"', "bash", PASSWORD]
    done = subprocess.run(command, capture_output=True, check=True)
    assert found(done.stdout)
    assert found(done.stderr)


@pytest.mark.parametrize("text", ["", "nothing of it", CORE[3:], CORE[::-1], CORE.lower()])
def test_what_is_not_it_is_not_found(text: str) -> None:
    assert not found(text)
    assert not found(base64.b64encode(text.encode()))


def test_files_and_their_names(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0\xff" + PASSWORD.encode())
    (tmp_path / CORE).touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    search = Search(PASSWORD)
    search.look_at_files("folder", tmp_path)
    assert search.found == ["folder, a name: plainly", "folder, deep/file: plainly"]


def test_it_says_where_and_never_what() -> None:
    search = Search(PASSWORD)
    search.look("the log", "nothing")
    search.look("an answer", "")
    search.assert_clean()
    search.look("an argument of helm", PASSWORD)
    with pytest.raises(AssertionError, match="an argument of helm: plainly") as red:
        search.assert_clean()
    assert CORE not in str(red.value)
    assert search.found_in("an argument")
    assert not search.found_in("the log")
    assert (search.looked_at("the log"), search.looked_at("an answer")) == (1, 0)


def test_a_search_that_looked_nowhere_is_red() -> None:
    search = Search(PASSWORD)
    search.look("the log", "")
    with pytest.raises(AssertionError, match="nothing was looked at"):
        search.assert_clean()


@pytest.mark.parametrize("password", ["", "redis", "a-b-c-d-e-f-g-h-i-j-k-l"])
def test_one_that_is_anywhere_by_chance_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="needs 16 letters and digits in a row") as refused:
        Search(password)
    assert not password or password not in str(refused.value)
