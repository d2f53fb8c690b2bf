"""What a person is told."""

import pytest

from tests.deploy.shell import Shell


@pytest.mark.parametrize(
    ("context", "namespace", "command"),
    [
        ("", "shop", "./deploy.sh shop --rollback"),
        ("prod", "shop", "./deploy.sh shop --rollback --context prod"),
        ("prod", "other", "./deploy.sh shop --rollback --context prod --namespace other"),
    ],
)
def test_advice_is_for_this_project_and_no_other(
    context: str, namespace: str, command: str, shell: Shell
) -> None:
    assert shell.says("this_project --rollback", context=context, namespace=namespace) == command


def test_advice_keeps_the_projects_own_namespace(shell: Shell) -> None:
    """A variable of the caller must not lose it."""
    assert shell.says('this_project --status >"$work/x"; echo $namespace', namespace="other") == "other"


def test_a_failure_says_what_and_what_to_do(shell: Shell) -> None:
    done = shell.run('fail 7 "it failed: 50 % of %s" "mend it"; echo on')
    assert done == (7, "", "deploy.sh: it failed: 50 % of %s\n       mend it\n")


def test_a_step_says_its_name_and_runs_its_function(shell: Shell) -> None:
    done = shell.run('SECONDS=12; step release echo one "two three"; echo "$current_step"')
    assert done == (0, "one two three\nrelease\n", "-----> [ 12s] release\n")


def test_a_failing_step_ends_the_deploy(shell: Shell) -> None:
    done = shell.run("bad() { false; echo on; }; step release bad; echo on")
    assert (done.status, done.stdout) == (1, "")


def test_github_folds_the_steps_and_marks_what_matters(shell: Shell) -> None:
    done = shell.run("export GITHUB_ACTIONS=true; step plan warn look; fail 3 no")
    marks = [line for line in done.stderr.splitlines() if line.startswith("::")]
    assert marks == ["::group::plan", "::warning::look", "::endgroup::", "::endgroup::", "::error::no"]


def test_a_reader_that_is_gone_does_not_end_the_deploy(shell: Shell) -> None:
    done = shell.run(
        "trap '' PIPE; exec 3> >(exit 0); wait $!; note one; step two echo on; warn three; echo end"
    )
    assert done.stdout == "on\nend\n"
    assert done.status == 0


def test_a_warning_is_given_once(shell: Shell) -> None:
    done = shell.run("warn one; warn two; warn one; warn 'one more'")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["one", "two", "one more"]


def test_last_words(shell: Shell) -> None:
    (shell.work / "error").write_text("first\n\nsecond \n\nthird\n\n")
    assert shell.run('echo "«$(last_words)» «$(last_words 2)»"').stdout == "«third» «second  third»\n"
