"""What --plan says would change."""

import pytest

from tests.deploy.shell import Done, Reply, Shell, failure

BEFORE = "kind: Deployment\nspec:\n  replicas: 3\n"
AFTER = "kind: Deployment\nspec:\n  replicas: 4\n"
WITH_DATA = "kind: Secret\nstringData:\n  PASSWORD: hidden-{}\n"


def difference(shell: Shell, before: str, after: str, revision: str = "4") -> list[str]:
    shell.stub("helm", {"get manifest shop --revision 4": before})
    (shell.work / "shop.yaml").write_text(after)
    call = f'compare_with_revision shop "{revision}"; cat "$work/difference"'
    return shell.says(call, "charts", "evidence", "plan").splitlines()


def test_the_same_has_no_difference(shell: Shell) -> None:
    assert difference(shell, BEFORE, "\n" + BEFORE.replace("spec", "\n  \nspec")) == []


def test_a_difference_shows_both_sides_and_no_temporary_file(shell: Shell) -> None:
    lines = difference(shell, BEFORE, AFTER)
    assert [line for line in lines if line[0] in "+-"] == ["-  replicas: 3", "+  replicas: 4"]
    assert lines[0].startswith("@@")


def test_what_would_be_removed_is_shown(shell: Shell) -> None:
    lines = difference(shell, BEFORE + "---\nkind: Ingress\n", BEFORE)
    assert "-kind: Ingress" in lines


def test_with_nothing_verified_all_is_new(shell: Shell) -> None:
    lines = difference(shell, BEFORE, AFTER, revision="")
    assert [line for line in lines if line[0] != "+"] == ["@@ -0,0 +1,3 @@"]
    assert shell.calls("helm") == []


def test_no_difference_shows_a_secret(shell: Shell) -> None:
    lines = difference(shell, WITH_DATA.format("old"), WITH_DATA.format("new") + "  MORE: hidden-more\n")
    assert "+  MORE: (masked)" in lines
    assert "hidden" not in "".join(lines)


def planned(
    shell: Shell,
    diff: Reply | str = "",
    history: str = "4 d deployed",
    entries: str = "4/d",
    after: str = BEFORE,
    namespace: str = "shop/dev Active",
) -> Done:
    """--plan of a build that would give what was deployed."""
    shell.stub("helm", {"get manifest shop --revision 4": BEFORE, "get manifest shop --revision 3": BEFORE})
    shell.stub(
        "kubectl",
        {
            "get namespace": namespace,
            "get secrets": history,
            "{.data.content}": "built sha256:ab",
            "{.data.service}": entries,
            "diff": diff,
        },
    )
    (shell.work / "shop.yaml").write_text(after)
    # The build's content and the rendering are tested elsewhere.
    snippet = "content_checksum() { echo built; }; render_service() { :; }; show_plan"
    return shell.run(
        snippet,
        *["charts", "record", "namespace", "evidence", "plan", "image"],
        action="plan",
        redis_mode="external",
    )


def test_nothing_differs(shell: Shell) -> None:
    done = planned(shell)
    assert done.status == 0, done
    assert "# release shop: unchanged\n" in done.stdout
    assert "No differences" in done.stdout


@pytest.mark.parametrize(
    ("namespace", "status"), [("other/dev Active", 3), ("shop/prod Active", 3), ("", 20)]
)
def test_a_plan_looks_whose_namespace_it_is(namespace: str, status: int, shell: Shell) -> None:
    """As the deploy would: it would refuse it."""
    done = planned(shell, namespace=namespace)
    assert done.status == status
    assert ("# namespace shop: new\n" in done.stdout) == (status == 20)


def test_a_deploy_asks_the_entrance_before_anything_changes(shell: Shell) -> None:
    call = 'make_plan() { :; }; read_baseline() { echo before $*; }; : >"$work/plan"; announce_plan'
    assert shell.says(call, "plan", base_url="shop.test") == "before shop.test"


def test_a_difference_ends_with_20(shell: Shell) -> None:
    done = planned(shell, after=AFTER)
    assert done.status == 20
    assert "# release shop: 1 lines added, 1 removed since revision 4\n" in done.stdout


def test_a_change_that_cannot_be_made_ends_with_6(shell: Shell) -> None:
    error = 'The Service "shop" is invalid: spec.clusterIP: field is immutable'
    done = planned(shell, failure(error, 2), after=AFTER)
    assert done.status == 6
    assert f"! release shop: impossible: {error}\n" in done.stdout
    assert (
        f"deploy.sh: shop cannot become what was asked: {error}\n       nothing was changed; " in done.stderr
    )


def test_what_was_changed_by_hand_is_shown(shell: Shell) -> None:
    done = planned(
        shell, Reply("diff -u a b\n--- a\n+++ b\n@@ -1 +1 @@\n-  replicas: 9\n+  replicas: 3\n", 1)
    )
    assert done.status == 20
    assert "! release shop: changed by hand in the cluster\n" in done.stdout
    assert "-  replicas: 9" in done.stdout


@pytest.mark.parametrize(
    ("history", "entries", "what"),
    [
        ("", "", "new"),
        (
            "3 c superseded\n4 d failed",
            "3/c",
            "revision 4 (failed) was not verified; the last verified one is 3",
        ),
        ("4 d deployed", "", "revision 4 (deployed) was not verified; the last verified one is none"),
    ],
)
def test_what_is_not_verified_is_no_sameness(history: str, entries: str, what: str, shell: Shell) -> None:
    done = planned(shell, history=history, entries=entries)
    assert done.status == 20, done
    assert f"# release shop: {what}\n" in done.stdout
