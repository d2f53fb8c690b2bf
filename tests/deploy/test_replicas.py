"""The number of pods stays when the autoscaler is turned on."""

import base64
import gzip
import json

import pytest

from tests.deploy import charts
from tests.deploy.shell import Shell

AUTOSCALED = json.dumps(charts.DEPLOYED[charts.SERVICE])
FIXED = json.dumps(
    charts.merged(charts.DEPLOYED[charts.SERVICE], {"replicas": 7, "autoscaling": {"enabled": False}})
)


def manifest(values: str) -> str:
    return charts.rendered("helm", charts.SERVICE, "prod", values, "shop")


def record(values: str) -> dict[str, object]:
    """As Helm keeps it; the chart's own templates are in it, too."""
    template = base64.b64encode(b"kind: Deployment\nspec:\n  replicas: 7\n").decode()
    return {
        "name": "shop",
        "info": {"status": "deployed", "notes": "kind: Deployment, replicas: 7 <b>"},
        "chart": {
            "templates": [{"name": "templates/deployment.yaml", "data": template}],
            "values": {"replicas": 3},
        },
        "config": {"replicas": 7},
        "manifest": manifest(values),
        "version": 4,
        "namespace": "shop",
    }


def encoded(record: dict[str, object]) -> str:
    """Go escapes what HTML knows; Helm encodes the compressed text, the API server once more."""
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return base64.b64encode(base64.b64encode(gzip.compress(text.encode()))).decode()


def decoded(value: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(value))))
    return found


def test_helms_record_forgets_the_number_and_nothing_else(shell: Shell) -> None:
    name = "secret sh.helm.release.v1.shop.v4"
    shell.stub("kubectl", {f"get {name}": encoded(record(FIXED)), f"patch {name} --type merge": ""})
    shell.says("forget_replicas sh.helm.release.v1.shop.v4", "replicas")
    patch = json.loads((shell.work / "patch").read_text())
    before = record(FIXED)
    assert "\n  replicas: 7\n" in str(before["manifest"])
    before["manifest"] = str(before["manifest"]).replace("\n  replicas: 7\n", "\n")
    assert decoded(patch["data"]["release"]) == before
    assert decoded(patch["data"]["release"])["manifest"] != manifest(AUTOSCALED), (
        "the rest is what was applied"
    )


def test_the_number_of_another_kind_stays(shell: Shell) -> None:
    """What Helm applies before the Deployment and what it applies after it."""
    before = record(FIXED)
    other = "---\napiVersion: apps/v1\nkind: StatefulSet\nspec:\n  replicas: 5\n"
    before["manifest"] = f"{other}{manifest(FIXED)}{other}"
    shell.stub("kubectl", {"get secret": encoded(before), "patch": ""})
    shell.says("forget_replicas sh.helm.release.v1.shop.v4", "replicas")
    after = decoded(json.loads((shell.work / "patch").read_text())["data"]["release"])
    assert after["manifest"] == str(before["manifest"]).replace("\n  replicas: 7\n", "\n")


@pytest.mark.parametrize(
    ("release", "old", "new", "asked"),
    [
        ("shop", FIXED, AUTOSCALED, 1),
        ("shop", FIXED, FIXED, 0),
        ("shop", AUTOSCALED, AUTOSCALED, 0),
        ("shop", AUTOSCALED, FIXED, 0),
        ("shop-redis", FIXED, AUTOSCALED, 0),
    ],
)
def test_only_a_number_that_would_go_is_forgotten(
    release: str, old: str, new: str, asked: int, shell: Shell
) -> None:
    shell.stub(
        "kubectl",
        {
            "get secret sh.helm.release.v1.shop.v3": encoded(record(old)),
            "patch": "",
        },
    )
    shell.stub("helm", {"--revision 3": manifest(old)})
    (shell.work / "new.yaml").write_text(manifest(new))
    shell.says(f'keep_replicas {release} "$work/new.yaml" 3', "charts", "replicas")
    assert len(shell.calls("kubectl", "patch")) == asked


def test_a_first_installation_has_nothing_to_forget(shell: Shell) -> None:
    (shell.work / "new.yaml").write_text(manifest(AUTOSCALED))
    shell.says('keep_replicas shop "$work/new.yaml" ""', "charts", "replicas")
    assert shell.calls("helm") == []


@pytest.mark.parametrize(
    "kept", [b"not compressed", gzip.compress(b"another format")], ids=["not compressed", "another format"]
)
def test_a_record_that_is_not_understood_is_left_alone(kept: bytes, shell: Shell) -> None:
    told = base64.b64encode(base64.b64encode(kept)).decode()
    shell.stub("kubectl", {"get secret": told, "patch": ""})
    # As upgrade_release runs, where an error ends nothing.
    done = shell.run("forget_replicas sh.helm.release.v1.shop.v4 || true", "replicas")
    assert "cannot be read" in done.stderr
    assert shell.calls("kubectl", "patch") == []
