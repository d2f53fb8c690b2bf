"""No program that a script starts is missed, and no byte that it writes to a file."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.canary import Search
from tests.process_trace import ProcessTrace

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not on PATH")

CANARY = "Canary7Yx0pRw3ZkT5q"
PLANTED = {
    "arguments": '/bin/echo "$password" >/dev/null',
    "arguments of a program that is not there": '/nowhere "$password" 2>/dev/null || true',
    "arguments behind an empty environment": 'env -i /bin/sh -c "exec /bin/echo $password" | cat >/dev/null',
    "arguments in base64": '/bin/echo "$(printf "a%s" "$password" | base64)" >/dev/null',
    "environment": "PASSWORD=$password /bin/true",
    "written, then deleted": 'printf %s "$password" >"$folder/file"; rm "$folder/file"',
    "written, then overwritten": 'echo "$password" >"$folder/file"; echo other >"$folder/file"',
    "written in two parts": '{ printf %s "${password:0:8}"; printf %s "${password:8}"; } >"$folder/file"',
    "written by a child": 'echo "$password" | tee "$folder/file" | cat >/dev/null',
    "written by bash -x": 'exec 2>"$folder/file"; set -x; : "$password"',
}


def searched(folder: Path, script: str) -> Search:
    """What the script does with the password, which it gets through a pipe."""
    trace = ProcessTrace(folder / "trace")
    command = [*trace.command(), "bash", "-c", f"read -r password; folder=$1; {script}", "bash", str(folder)]
    subprocess.run(command, input=f"{CANARY}\n", text=True, check=True, capture_output=True)
    search = Search(CANARY)
    trace.look(search)
    return search


@pytest.mark.parametrize(("where", "script"), PLANTED.items(), ids=list(PLANTED))
def test_a_planted_password_is_found(where: str, script: str, tmp_path: Path) -> None:
    search = searched(tmp_path, script)
    assert search.found_in(re.split(r"\W", where)[0])
    with pytest.raises(AssertionError, match="the password was found"):
        search.assert_clean()


def test_what_goes_through_pipes_alone_is_not_found(tmp_path: Path) -> None:
    search = searched(tmp_path, 'printf %s "$password" | sha256sum | tee "$folder/hash" | cat')
    search.assert_clean()
    assert any(place.endswith("/sha256sum") for place in search.places), search.places
    assert search.looked_at(f"written to {tmp_path}/hash") == 1


def test_signs_and_long_arguments_are_read_as_they_are(tmp_path: Path) -> None:
    trace = ProcessTrace(tmp_path / "trace")
    signs = 'a "b" ], [ \\x41 é\n<c>'
    long = "x" * 131_000
    folder = tmp_path / 'é, "<d>'
    folder.mkdir()
    script = 'printf "%s" "$1" >"$2/file"'
    environment = {"PATH": "/usr/bin:/bin", "SIGNS": signs}
    command = [*trace.command(), "bash", "-c", script, signs, long, str(folder)]
    subprocess.run(command, env=environment, check=True)
    (started,) = trace.started()
    assert started.arguments == " ".join(command[-6:]).encode()
    assert f"SIGNS={signs}".encode() in started.environment
    assert trace.written() == {f"{folder}/file": long.encode()}


def test_the_exit_status_is_that_of_the_command(tmp_path: Path) -> None:
    command = [*ProcessTrace(tmp_path / "trace").command(), "bash", "-c", "exit 7"]
    assert subprocess.run(command, check=False).returncode == 7
