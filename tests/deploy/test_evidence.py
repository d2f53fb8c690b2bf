"""What is saved of a version that failed: never a secret, and never instead of the rollback."""

import json

import pytest

from tests.deploy.shell import Reply, Shell, failure
from tests.deploy.test_outcome import FILES

WITH_DATA = """apiVersion: v1
kind: Secret
metadata:
  name: shown
  labels:
    app: shown
{}:
  PASSWORD: hidden
type: Opaque
"""
BLOCKS = """kind: Secret
data:
  literal: |
    hidden one
      hidden two

    hidden three
  folded: >-
    hidden: four
  plain: "hidden
    five"
  last: hidden
metadata:
  name: shown
---
kind: ConfigMap
data:
  text: |
    shown
"""


def masked(shell: Shell, text: str) -> str:
    (shell.work / "manifest").write_text(text)
    return shell.says('masked <"$work/manifest"', "evidence") + "\n"


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_the_data_of_a_secret_is_masked(field: str, shell: Shell) -> None:
    text = WITH_DATA.format(field)
    assert masked(shell, text) == text.replace("hidden", "(masked)")


def test_a_value_of_several_lines_is_masked_whole(shell: Shell) -> None:
    said = masked(shell, BLOCKS)
    assert "hidden" not in said
    assert [line.strip() for line in said.splitlines() if "(masked)" in line] == [
        f"{key}: (masked)" for key in ["literal", "folded", "plain", "last"]
    ]
    assert said.count("shown") == 2


def test_keys_indented_otherwise_are_masked_in_each_secret(shell: Shell) -> None:
    one, other = "kind: Secret\ndata:\n    a: hidden\n", "kind: Secret\ndata:\n  a: hidden\n  b: hidden\n"
    said = masked(shell, f"{other}---\n{one}---\n{other}")
    assert said.count("(masked)") == 5
    assert "hidden" not in said


def test_other_kinds_are_left_as_they_are(shell: Shell) -> None:
    text = WITH_DATA.format("data").replace("Secret", "ConfigMap")
    assert masked(shell, text) == text


def saved(
    shell: Shell, snippet: str = "save_evidence shop deployment 'it failed'", **variables: object
) -> str:
    shell.stub(
        "kubectl", {"get pods -l": "pod/one\npod/two\n", "--previous": failure("no previous"), "": "text\n"}
    )
    shell.stub("helm", {"get manifest": WITH_DATA.format("data"), "history": Reply("4 failed\n")})
    snippet = f'export DEPLOY_EVIDENCE="$work/kept"; {snippet}; echo "$evidence"'
    return shell.says(snippet, "evidence", **variables)


def test_evidence_is_saved_without_secrets(shell: Shell) -> None:
    folder = shell.work / "kept" / "shop"
    assert saved(shell).startswith(f"{folder}/2")
    (found,) = folder.iterdir()
    expected = ["describe", "events", "history", "logs-one", "logs-two", "objects", "reason"]
    assert sorted(file.stem for file in found.glob("*.txt")) == expected, "what cannot be had leaves no file"
    assert (found / "reason.txt").read_text() == "it failed\n"
    assert "hidden" not in (found / "manifest.yaml").read_text()


def test_a_disk_that_takes_no_evidence_is_no_reason_to_stop(shell: Shell) -> None:
    (shell.work / "kept").write_text("a file where the folder would be")
    assert saved(shell).startswith("none, ")
    told = shell.says("outcome 8", *FILES, evidence="none, /full/shop cannot be written")
    assert json.loads(told)["evidence"] == ""
    assert shell.calls("kubectl") == []


def test_saving_ends_in_time(shell: Shell) -> None:
    saved(shell, evidence_seconds=0)
    assert shell.calls("kubectl", "logs") == []
