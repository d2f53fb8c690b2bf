"""Signals, what is cleaned up, and what a person is told to do after an end in the middle."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.shell import Shell, failure
from tests.processes import children
from tests.service import eventually

FILES = ["record", "lock", "forward", "candidate", "image", "entrance", "evidence", "release"]


@pytest.mark.parametrize(
    ("step", "changing", "advice", "rollback"),
    [
        ("build", "", "what runs in the cluster was not changed", False),
        ("candidate", "", "what runs in the cluster was not changed", False),
        ("Redis", "shop-redis", "the service was not changed; run the same command again", False),
        ("watch", "shop", "the new version may be rolling out", True),
        ("rollback", "shop", "the rollback may be half-way; finish it", True),
        ("rollback", "shop-redis", "Redis may be half-way through a change", False),
        ("rollback", "", "what runs in the cluster was not changed", False),
        ("uninstall", "", "run the same command again to finish", False),
    ],
)
def test_the_way_on_depends_on_what_was_changed(
    step: str, changing: str, advice: str, rollback: bool, shell: Shell
) -> None:
    call = "verified[shop]=3; way_on"
    said = shell.says(call, "record", current_step=step, changing=changing, namespace="other")
    assert advice in said
    assert said.endswith("./deploy.sh shop --rollback --context testing --namespace other") == rollback


@contextlib.contextmanager
def signals_at_their_defaults() -> Iterator[None]:
    """A shell cannot trap what was ignored when it started, as under nohup or in the background."""
    before = {
        number: signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(shell: Shell, snippet: str) -> subprocess.Popen[str]:
    """A deploy with a session of its own, as a terminal has one."""
    with signals_at_their_defaults():
        return subprocess.Popen(
            shell.command(snippet, *FILES),
            env=shell.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def running(shell: Shell) -> Iterator[subprocess.Popen[str]]:
    """A deploy whose command takes a minute; its $work is named on stdout."""
    shell.stub("kubectl", {"delete": "", "get lease": "5 me then"})
    snippet = 'set_traps; echo "$work"; candidate_made=yes lock_identity=me; current_step=build; run sleep 60'
    process = start(shell, snippet)
    yield process
    process.kill()
    process.communicate()


def commands(process: subprocess.Popen[str]) -> list[str]:
    return [Path(f"/proc/{child}/comm").read_text().strip() for child in children(process.pid)]


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="children are looked up in /proc"
)


@needs_proc
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)]
)
def test_a_signal_acts_at_once_and_leaves_nothing(
    number: signal.Signals, status: int, running: subprocess.Popen[str], shell: Shell
) -> None:
    assert running.stdout is not None
    work = Path(running.stdout.readline().strip())
    eventually(lambda: commands(running) == ["sleep"], "its command runs")
    (child,) = children(running.pid)
    since = time.monotonic()
    running.send_signal(number)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == status
    assert time.monotonic() - since < 20
    assert "interrupted in the step «build»\n       what runs in the cluster was not changed" in stderr
    assert not work.exists()
    assert not Path(f"/proc/{child}").exists()
    assert len(shell.calls("kubectl", "delete pod")) == 1, "the candidate is removed"


@needs_proc
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 5)]
)
def test_a_signal_during_a_command_substitution_is_no_bug(
    number: signal.Signals, status: int, shell: Shell
) -> None:
    """Ctrl-C reaches the substitution, too: its status is in $? when the trap begins."""
    shell.stub("kubectl", {"": ""})
    snippet = 'set_traps; current_step=build; echo they >"$work/lock-lost"; echo on; '
    snippet += "said=$(exec sleep 60) || return 0"
    with start(shell, f"deploy() {{ {snippet}; }}; deploy") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        eventually(lambda: commands(process) == ["sleep"], "the substitution's command runs")
        os.killpg(process.pid, number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == status, stderr
    assert "bug" not in stderr


@pytest.mark.parametrize(
    ("started", "start"), [("child", "run {}"), ("forward", "start_forward other pod/it http")]
)
def test_a_signal_ends_a_child_that_is_just_being_started(started: str, start: str, shell: Shell) -> None:
    """It comes when the child runs, and its number is not known yet."""
    endless = f"sleep 60.{os.getpid()}"
    shell.script("kubectl", f"#!/bin/sh\nexec {endless}\n")
    between = f"trap 'case $BASH_COMMAND in {started}=*!) trap - DEBUG; kill -TERM $$ ;; esac' DEBUG"
    done = shell.run(f"sleep 0 & wait; set_traps; set -T; {between}\n{start.format(endless)}", *FILES)
    assert done.status == 143, done
    assert subprocess.run(["pgrep", "-fx", endless], capture_output=True, text=True).stdout == ""  # noqa: PLW1510


def test_a_signal_that_its_child_did_not_hear_is_sent_again(shell: Shell) -> None:
    """As one that comes after the fork, and before the program begins."""
    deaf = "trap 'trap - TERM' TERM; while :; do sleep 0.1; done"
    began = time.monotonic()
    done = shell.run('bash -c "$deaf" & id=$!; sleep 0.3; stop_process "$id"; kill -0 "$id"', deaf=deaf)
    assert "No such process" in done.stderr, done
    assert 1 < time.monotonic() - began < 9


def test_a_child_that_never_hears_is_killed(shell: Shell) -> None:
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    done = shell.run('bash -c "$deaf" & id=$!; sleep 0.3; stop_process "$id"; kill -0 "$id"', deaf=deaf)
    assert "No such process" in done.stderr, done


def test_a_child_that_has_ended_is_not_waited_for(shell: Shell) -> None:
    """A signal in that moment may have made Bash forget it: a deploy that got Ctrl-C waited for ever."""
    done = shell.run('wait() { echo waited; }; sleep 60 & stop_process "$!"', *FILES)
    assert (done.status, done.stdout) == (0, ""), done


def test_nothing_is_ended_in_place_of_a_child_that_was_not_started(shell: Shell) -> None:
    assert shell.says('sleep 5 & stop_process "after:$!"; kill -0 "$!" && echo runs; kill "$!"') == "runs"


@pytest.mark.parametrize("ends_with", [2, 130])
def test_an_interrupt_of_which_bash_lost_the_trap_is_told_as_one(ends_with: int, shell: Shell) -> None:
    """Once in some hundred times Bash 5.2 ends so: "interrupt trap: line 2: unexpected EOF", status 2; or
    without a word, 130."""
    done = shell.run(f"set_traps; current_step=build; exit {ends_with}", *FILES)
    assert done.status == 130
    assert "interrupted in the step «build»\n       what runs in the cluster was not changed" in done.stderr


def test_a_usage_error_is_no_interrupt(shell: Shell) -> None:
    done = shell.run('set_traps; fail 2 "what is that?"', *FILES)
    assert (done.status, done.stderr) == (2, "deploy.sh: what is that?\n")


def test_a_command_that_fails_is_a_bug_with_its_place(shell: Shell) -> None:
    done = shell.run('set_traps; echo why >"$work/error"; step build false', *FILES)
    assert done.status == 1
    assert "deploy.sh: bug: line " in done.stderr
    assert '/deploy/output.sh: «"${@:2}"» ended with status 1\n' in done.stderr
    assert done.stderr.endswith("       why\n       what runs in the cluster was not changed\n")


def test_what_cannot_be_cleaned_up_does_not_change_the_status(shell: Shell) -> None:
    """No stub of kubectl answers here."""
    done = shell.run('set_traps; candidate_made=yes; echo "$work"; fail 8 "it failed"', *FILES)
    assert done.status == 8
    assert not Path(done.stdout.strip()).exists()


def test_what_a_deploy_writes_is_for_its_user_alone(shell: Shell) -> None:
    """Whatever the umask was: others have accounts on the machine, too."""
    evidence = shell.folder / "evidence"
    snippet = f'umask 000; set_traps; mkdir "{evidence}"; echo >"{evidence}/reason.txt"; ls -ld "$work"'
    done = shell.run(snippet, *FILES)
    assert done.stdout.startswith("drwx------"), done
    assert evidence.stat().st_mode & 0o777 == 0o700
    assert (evidence / "reason.txt").stat().st_mode & 0o777 == 0o600


def test_who_reads_the_output_may_leave(shell: Shell) -> None:
    """A terminal that is closed, or `| head`, must not end a deploy half-way."""
    reached = shell.folder / "reached"
    with start(shell, f"set_traps; read -r; note on; on_stdout on; echo >{reached}; exit 0") as process:
        assert process.stdin is not None
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(30) == 0
    assert reached.exists()


def test_a_port_forward_listens_on_this_machine_alone(shell: Shell) -> None:
    """Whoever reaches it is asked for no login."""
    shell.stub("kubectl", {"port-forward": failure("no")})
    shell.run("start_forward other pod/it http", *FILES)
    (call,) = shell.calls("kubectl", "port-forward")
    assert "--address 127.0.0.1 " in call


def test_what_is_cleaned_up_at_the_end_is_not_waited_for_long(shell: Shell) -> None:
    """The person who pressed Ctrl-C waits, and the API server may hang."""
    shell.stub("helm", {"version --short": "v4.1.4"})
    shell.stub("kubectl", {"get lease": "5 me then", "": ""})
    call = "set_traps; use_context; lock_identity=me candidate_made=yes; fail {} no"
    assert shell.run(call.format(8), *FILES).status == 8
    assert shell.calls("kubectl", "timeout 3s") == [], "an API server that is slow has done all the rest, too"
    (shell.folder / "kubectl.calls").unlink()
    assert shell.run(call.format(143), *FILES).status == 143
    calls = shell.calls("kubectl")
    assert [word for call in calls for word in ("get", "delete") if f" {word} " in call] == [
        *["get", "delete"],
        *["get", "delete"],
    ], "whose the lock is, then the candidate; whose it is now, then the lock"
    for call in calls:
        limits = [
            word for word, before in zip(call.split()[1:], call.split(), strict=False) if "timeout" in before
        ]
        assert limits[-1] == "3s", call


def test_an_end_before_the_cluster_is_known_asks_nothing(shell: Shell) -> None:
    done = shell.run("kubectl=() helm=(); set_traps; fail 3 no", *FILES)
    assert (done.status, done.stderr) == (3, "deploy.sh: no\n")


def test_an_authoritys_certificate_may_come_through_a_pipe_and_go(shell: Shell) -> None:
    """It is looked at more than once."""
    snippet = (
        'deploy() { set_option --ca "$1"; set_traps; cat "$ca_file" "$ca_file"; }; deploy <(echo signed)'
    )
    assert shell.says(snippet, *FILES).split() == ["signed", "signed"]


def test_an_authoritys_certificate_that_went_is_no_bug(shell: Shell) -> None:
    done = shell.run("set_traps; echo on", *FILES, ca_file="/nowhere/ca.pem")
    assert (done.status, done.stdout) == (3, "")
    assert done.stderr.startswith("deploy.sh: --ca: «/nowhere/ca.pem» cannot be read: ")


def test_a_command_keeps_its_status_and_its_input(shell: Shell) -> None:
    assert shell.says('echo in | run cat; run bash -c "exit 7" || echo "$?"') == "in\n7"


def test_a_child_does_not_hold_the_locks_pipe(shell: Shell) -> None:
    """Its end would not be the deploy's end then."""
    call = """exec 9>"$work/pipe"; run bash -c '{ : >&9; } 2>/dev/null && echo open || echo closed'"""
    assert shell.says(call) == "closed"


def test_a_port_forward_does_not_hold_what_the_deploy_writes_to(shell: Shell) -> None:
    """Whoever reads the deploy's output to its end would wait for a port-forward that outlived it."""
    look = 'for number in 3 5 9; do { : >&"$number"; } 2>/dev/null && echo "holds $number" >&2; done'
    shell.script("kubectl", f"#!/bin/bash\n{look}\nexit 1\n")
    call = 'exec 9>"$work/pipe"; start_forward other pod/it http || cat "$work/forward-error"'
    assert shell.says(call, *FILES) == ""


def test_redis_that_changed_is_not_called_unchanged(shell: Shell) -> None:
    said = shell.says("changes=(shop-redis); way_on", current_step="release", changing="")
    assert "shop-redis" in said


def test_a_first_installation_offers_no_rollback(shell: Shell) -> None:
    """It could only end with 10."""
    said = shell.says("verified[shop]=''; way_on", "record", current_step="watch", changing="shop")
    assert said.endswith("run the same command again to finish")
