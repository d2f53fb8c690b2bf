"""Run functions of deploy/*.sh in a bash of their own, with stubs in place of the programs they start."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# What deploy.sh sources before anything else.
FIRST = ["output", "processes", "arguments", "cluster", "outcome"]
# Never the real ones: a test that forgets a stub must not reach a cluster.
TOOLS = ["kubectl", "helm", "docker", "podman", "curl"]
PROJECT = {"project": "shop", "namespace": "shop", "context": "testing", "environment": "dev"}
STUB = r"""#!/usr/bin/env bash
# The nth call of a case gets its nth reply, all later ones the last.
printf '%s\n' "${*//$'\n'/ }" >>CALLS
case " $* " in *' -f - '*) cat >>STDIN ;; esac
reply() {
  echo >>"$1.count"
  local count
  count=$(wc -l <"$1.count")
  while [ ! -e "$1.$count.status" ]; do count=$((count - 1)); done
  cat "$1.$count.out"
  cat "$1.$count.error" >&2
  exit "$(cat "$1.$count.status")"
}
case "$*" in
CASES
esac
echo "the stub was not told to answer: ${0##*/} $*" >&2
exit 97
"""


class Reply(NamedTuple):
    """What a stub says, and its exit status."""

    out: str = ""
    status: int = 0
    error: str = ""


class Done(NamedTuple):
    """How a snippet ended."""

    status: int
    stdout: str
    stderr: str


def failure(error: str, status: int = 1) -> Reply:
    return Reply("", status, f"{error}\n")


class Shell:
    """A folder of stubs before the PATH, and a folder for $work."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.bin = folder, folder / "work", folder / "bin"
        self.work.mkdir()
        self.bin.mkdir()
        for tool in TOOLS:
            self.stub(tool, {})

    def script(self, tool: str, text: str) -> None:
        """A program of one's own in a tool's place."""
        program = self.bin / tool
        program.write_text(text)
        program.chmod(0o755)

    def stub(self, tool: str, replies: Mapping[str, str | Reply | Sequence[str | Reply]]) -> None:
        """Answer calls whose arguments hold the key; the first key that fits counts."""
        cases = []
        for old in self.folder.glob(f"{tool}-*"):
            old.unlink()
        for number, (part, given) in enumerate(replies.items()):
            name = self.folder / f"{tool}-{number}"
            for count, one in enumerate([given] if isinstance(given, str | Reply) else given, 1):
                reply = Reply(one) if isinstance(one, str) else one
                Path(f"{name}.{count}.out").write_text(reply.out)
                Path(f"{name}.{count}.error").write_text(reply.error)
                Path(f"{name}.{count}.status").write_text(str(reply.status))
            cases.append(f"  *{shlex.quote(part)}*) reply {shlex.quote(str(name))} ;;")
        text = STUB.replace("CALLS", shlex.quote(str(self.folder / f"{tool}.calls")))
        text = text.replace("STDIN", shlex.quote(str(self.folder / f"{tool}.stdin")))
        self.script(tool, text.replace("CASES", "\n".join(cases)))

    def real(self, tool: str) -> None:
        (self.bin / tool).unlink()

    def no_sleep(self) -> None:
        """Waiting takes no time here."""
        self.script("sleep", "#!/bin/sh\n")

    def calls(self, tool: str, part: str = "") -> list[str]:
        """With which arguments a stub was called, those that hold this part."""
        log = self.folder / f"{tool}.calls"
        return [line for line in log.read_text().splitlines() if part in line] if log.exists() else []

    def stdin(self, tool: str) -> str:
        return (self.folder / f"{tool}.stdin").read_text()

    def command(self, snippet: str, *files: str, **variables: object) -> list[str]:
        """A bash with these files of deploy/ sourced, then these variables set, then the snippet."""
        lines = ["set -Eeuo pipefail", "export LC_ALL=C", f"root={shlex.quote(str(ROOT))}"]
        lines += [f'. "$root/deploy/{file}.sh"' for file in [*FIRST, *files]]
        lines += [f"work={shlex.quote(str(self.work))}", "kubectl=(kubectl) helm=(helm)"]
        lines += [f"{name}={shlex.quote(str(value))}" for name, value in {**PROJECT, **variables}.items()]
        return ["bash", "-c", "\n".join([*lines, snippet])]

    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("DEPLOY_", "GITHUB_"))
        }
        return kept | {"PATH": f"{self.bin}:{os.environ['PATH']}", "KUBECONFIG": "/dev/null", "NO_COLOR": "1"}

    def run(self, snippet: str, *files: str, **variables: object) -> Done:
        done = subprocess.run(
            self.command(snippet, *files, **variables),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def says(self, snippet: str, *files: str, **variables: object) -> str:
        """What a snippet prints that must succeed."""
        done = self.run(snippet, *files, **variables)
        assert done.status == 0, done
        return done.stdout.strip(" \n")
