"""What `make` says on a machine that lacks something: one line, and none of it half done."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Which version it is, it answers as the Python of these tests.
RECORDER = f"""#!/bin/sh
if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi
echo "$@" >>"$0.calls"
mkdir -p .venv
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing installed, and a python that only notes what it is told."""
    folder = tmp_path / "checkout"
    (folder / "dev").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "dev" / "install", folder / "dev")
    script(folder / "recorder", RECORDER)
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def make(checkout: Path, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": str(checkout)}
    command = ["/usr/bin/env", "make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Without the line in which make itself names the target."""
    return [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]


@pytest.mark.parametrize("version", ["3.9.18", "3.14.2"])
def test_a_python_that_the_packages_are_not_built_for(checkout: Path, version: str) -> None:
    """Its own answer to what make asks is taken from the numbers in this test."""
    binaries = checkout / "bin"
    binaries.mkdir()
    answer = f"echo 'Python {version}'"
    for name in ["python3", "python3.13", "python3.12", "python3.11"]:
        script(binaries / name, f"#!/bin/sh\ncase $1 in -c) exit 1 ;; --version) {answer} ;; esac\n")
    for target, given, named in [("run", [], "python3"), ("test", [f"PYTHON={binaries}/python3.11"], None)]:
        done = make(checkout, target, *given, path=f"{binaries}:/usr/bin:/bin")
        assert done.returncode != 0
        program = named or f"{binaries}/python3.11"
        assert told(done) == [f"make: needs Python 3.11, 3.12 or 3.13; {program} is Python {version}"]
        assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there(checkout: Path) -> None:
    done = make(checkout, "run", "PYTHON=python3.99")
    assert done.returncode != 0
    assert told(done) == ["make: needs Python 3.11, 3.12 or 3.13; python3.99 is not found"]


@pytest.mark.parametrize(("minor", "taken"), [(9, False), (11, True), (13, True), (14, False)])
def test_which_python_is_taken(checkout: Path, minor: int, taken: bool) -> None:
    """What make asks is answered by a real Python that says it is another version."""
    binaries = checkout / "bin"
    binaries.mkdir()
    pretend = f"import sys; sys.version_info = (3, {minor}, 0, 'final', 0); exec(sys.argv[1])"
    script(binaries / "python3", f'#!/bin/sh\nexec {sys.executable} -c "{pretend}" "$2"\n')
    for name in ["python3.13", "python3.12", "python3.11"]:
        script(binaries / name, "#!/bin/sh\nexit 1\n")
    (checkout / "print.mk").write_text("include Makefile\nprint:\n\t@echo '$(PYTHON)'\n")
    done = make(checkout, "-f", "print.mk", "print", path=f"{binaries}:/usr/bin:/bin")
    assert done.stdout.strip() == (str(binaries / "python3") if taken else "")


def test_a_python_of_pyenv_is_found_where_it_lies(checkout: Path) -> None:
    """Its shim refuses every version but the chosen one."""
    binaries, lies = checkout / "bin", checkout / ".pyenv" / "versions" / "3.13.7" / "bin"
    for folder in [binaries, lies]:
        folder.mkdir(parents=True)
    script(binaries / "python3.13", "#!/bin/sh\nexit 127\n")
    script(lies / "python3.13", "#!/bin/sh\nexit 0\n")
    (checkout / "print.mk").write_text("include Makefile\nprint:\n\t@echo '$(PYTHON)'\n")
    done = make(checkout, "-f", "print.mk", "print", path=f"{binaries}:/usr/bin:/bin")
    assert done.stdout.strip() == str(lies / "python3.13")


def installed(checkout: Path, python: str, first_line: str) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "python").touch()
    (checkout / ".venv" / "bin" / "python").symlink_to(python)
    script(checkout / ".venv" / "bin" / "pip", f"{first_line}\n")


@pytest.mark.parametrize(
    ("python", "first_line", "dead"),
    [
        (sys.executable, f"#!{sys.executable}", False),
        ("/removed/python3.11", "#!/removed/python3.11", True),
        ("/bin/false", f"#!{sys.executable}", True),
        (sys.executable, "#!/moved/.venv/bin/python", True),
    ],
    ids=["alive", "its Python is gone", "its Python does not run", "its folder was moved"],
)
def test_a_dead_venv_is_made_anew(checkout: Path, python: str, first_line: str, dead: bool) -> None:
    installed(checkout, python, first_line)
    binaries = checkout / "bin"
    binaries.mkdir()
    script(binaries / "python3.13", RECORDER)
    done = make(checkout, ".venv/python", path=f"{binaries}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    calls = binaries / "python3.13.calls"
    assert (calls.read_text().split() if calls.exists() else []) == (
        ["-m", "venv", "--clear", ".venv"] if dead else []
    )


@pytest.mark.parametrize(("asked", "anew"), [("the same", False), ("another", True)])
def test_a_venv_of_another_version_than_asked_is_made_anew(checkout: Path, asked: str, anew: bool) -> None:
    installed(checkout, sys.executable, f"#!{sys.executable}")
    if asked == "another":
        script(
            checkout / "recorder",
            RECORDER.replace("then exec", "then case $2 in *print*) echo 3.0; exit;; esac; exec"),
        )
    done = make(checkout, ".venv/python", "PYTHON=./recorder")
    assert done.returncode == 0, done.stderr
    assert (checkout / "recorder.calls").exists() == anew


def test_a_python_that_cannot_make_a_venv(checkout: Path) -> None:
    script(checkout / "recorder", "#!/bin/sh\n[ \"$1\" = -c ] && exit\necho 'No module named venv'\nexit 1\n")
    done = make(checkout, ".venv/python", "PYTHON=./recorder")
    assert done.returncode != 0
    assert told(done)[1:] == [
        "make: ./recorder cannot make .venv: No module named venv;"
        " install its venv module (Debian: python3-venv)"
    ]
    assert not (checkout / ".venv" / "python").exists()


def test_no_package_index_is_one_line(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    script(checkout / ".venv" / "bin" / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (checkout / "wanted.txt").write_text(f"not-installed==1.0 --hash=sha256:{'0' * 64}\n")
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_CONFIG_FILE": os.devnull}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(checkout)} | nowhere
    done = subprocess.run(
        ["dev/install", "wanted.txt"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "make: cannot install wanted.txt: no package index answers;"
        " check the network, or name your index in PIP_INDEX_URL\n"
    )


def test_a_link_to_a_tool_that_is_gone_is_made_anew(checkout: Path) -> None:
    (checkout / ".tools").mkdir()
    done_before = checkout / ".tools" / "done"
    done_before.touch()
    make(checkout, "help")
    assert done_before.exists()
    (checkout / ".tools" / "helm").symlink_to("/removed/helm")
    make(checkout, "help")
    assert not done_before.exists()


@pytest.mark.parametrize(("version", "anew"), [("the same", False), ("another", True), ("none", True)])
def test_peers_on_another_version_than_the_service_are_made_anew(
    checkout: Path, version: str, anew: bool
) -> None:
    installed(checkout, sys.executable, f"#!{sys.executable}")
    (checkout / ".venv-bench" / "bin").mkdir(parents=True)
    done = checkout / ".venv-bench" / "done"
    done.touch()
    python = {"the same": f'exec {sys.executable} "$@"', "another": "echo 3 0", "none": "exit 127"}[version]
    script(checkout / ".venv-bench" / "bin" / "python", f"#!/bin/sh\n{python}\n")
    make(checkout, "help")
    assert done.exists() != anew
