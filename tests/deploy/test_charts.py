"""What the deploy reads out of the rendered charts and of what Helm keeps."""

import functools
import json
from pathlib import Path

import pytest

from tests.deploy import charts
from tests.deploy.shell import Shell, failure


@functools.cache
def manifest(**values: object) -> str:
    """The service's chart as Helm renders it."""
    given = {name: json.loads(str(value)) for name, value in values.items()}
    return charts.rendered(
        "helm",
        charts.SERVICE,
        "prod",
        json.dumps(charts.merged(charts.DEPLOYED[charts.SERVICE], given)),
        "shop",
    )


ONE = '{"enabled": false}'


def said(shell: Shell, text: str, call: str) -> str:
    (shell.work / "shop.yaml").write_text(text)
    return shell.says(call, "charts", "candidate")


def pods(shell: Shell, text: str) -> str:
    return said(shell, text, 'pods_of "$work/shop.yaml"')


@pytest.mark.parametrize(
    "values",
    [
        {"podLabels": '{"team": "shop"}'},
        {"podAnnotations": '{"team": "shop"}'},
        {"image": '{"digest": "sha256:' + "f" * 64 + '"}'},
        {"resources": '{"limits": {"memory": "99Mi"}}'},
        {"settings": '{"LOG_LEVEL": "debug"}'},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_pods_are_made_of_is_in_their_template(values: dict[str, object], shell: Shell) -> None:
    assert manifest(**values) != manifest()
    assert pods(shell, manifest(**values)) != pods(shell, manifest())


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": "7", "autoscaling": ONE},
        {"ingress": '{"host": "y.test"}'},
        {"autoscaling": '{"maxReplicas": 50}'},
    ],
    ids=["replicas", "host", "autoscaler"],
)
def test_what_is_not_of_the_pods_is_not_in_their_template(values: dict[str, object], shell: Shell) -> None:
    assert manifest(**values) != manifest()
    assert pods(shell, manifest(**values)) == pods(shell, manifest())


def test_the_template_is_that_of_the_deployment(shell: Shell) -> None:
    other = "---\nkind: StatefulSet\nspec:\n  template:\n    spec: other\n"
    assert "containers:" in pods(shell, manifest())
    assert pods(shell, other + manifest() + other) == pods(shell, manifest())


@pytest.mark.parametrize(("values", "replicas"), [({"replicas": "7", "autoscaling": ONE}, "7"), ({}, "")])
def test_replicas_of(values: dict[str, object], replicas: str, shell: Shell) -> None:
    other = "---\nkind: StatefulSet\nspec:\n  replicas: 5\n"
    text = other + manifest(**values) + other
    assert said(shell, text, 'replicas_of "$work/shop.yaml"') == replicas


def test_what_the_chart_tells_of_its_values(shell: Shell) -> None:
    names = ["environment", "redis-mode", "secret-mode", "secret-name", "secret-keys"]
    call = f"for name in {' '.join(names)}; do rendered_annotation $name; done"
    told = said(shell, manifest(), call).splitlines()
    documents = charts.documents(charts.SERVICE, "prod", project="shop")
    (config,) = [one for one in documents if one["kind"] == "ConfigMap"]
    expected = [config["metadata"]["annotations"][f"deploy/{name}"] for name in names]
    assert told == expected
    assert all(expected)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("deploy/left-out: a, b", "a, b"),
        ('deploy/left-out: "a: b"', "a: b"),
        ("deploy/left-out-too: a", ""),
        ("", ""),
    ],
)
def test_rendered_annotation(line: str, value: str, shell: Shell) -> None:
    assert said(shell, f"metadata:\n  annotations:\n    {line}\n", "rendered_annotation left-out") == value


VALUES = """USER-SUPPLIED VALUES:
config:
  host: not this
  tag: neither
image:
  digest: sha256:ab
  repository: 'registry.test/shop'
  tag: "1.0"
  nested:
    host: too deep
ingress:
  className: public
  host: shop.test
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image digest", "sha256:ab"),
        ("image repository", "registry.test/shop"),
        ("image tag", "1.0"),
        ("image host", ""),
        ("ingress host", "shop.test"),
        ("secret name", ""),
    ],
)
def test_deployed_value(name: str, value: str, shell: Shell) -> None:
    shell.stub("helm", {"get values shop --revision 4": VALUES})
    assert shell.says(f'deployed_value found 4 {name}; echo "$found"', "charts") == value


def test_a_value_that_cannot_be_read_ends_the_deploy(shell: Shell) -> None:
    shell.stub("helm", {"get values": failure("Error: release: not found")})
    assert shell.run("deployed_value found 4 image tag; echo on", "charts").status == 3


def test_a_manifest_is_asked_for_once(shell: Shell) -> None:
    """A revision never changes."""
    shell.stub("helm", {"get manifest shop --revision 4": "kind: Deployment\n"})
    call = 'deployed_manifest shop 4; deployed_manifest shop 4; cat "$work/shop.4.yaml"'
    assert shell.says(call, "charts") == "kind: Deployment"
    assert len(shell.calls("helm")) == 1


@pytest.mark.parametrize(
    ("error", "status", "impossible"),
    [
        ('The Service "shop" is invalid: spec.clusterIP: Invalid value: field is immutable', 2, "yes"),
        ("Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", 2, "yes"),
        ("field is immutable", 1, "no"),
        ("Unable to connect to the server: EOF", 2, "no"),
        ('secrets is forbidden: User "me" cannot list resource', 2, "no"),
        ('The Service "shop" is invalid: spec.ports[1].name: Duplicate value: "http"', 2, "no"),
    ],
)
def test_is_impossible(error: str, status: int, impossible: str, shell: Shell) -> None:
    shell.stub("kubectl", {"diff": failure(error, status)})
    call = "cluster_difference shop || status=$?; is_impossible $status && echo yes || echo no"
    assert said(shell, manifest(), call) == impossible


def test_no_program_of_ones_own_tells_the_difference(shell: Shell) -> None:
    """Its status may mean something else."""
    shell.script("kubectl", '#!/bin/sh\necho "«$KUBECTL_EXTERNAL_DIFF»"\n')
    call = 'export KUBECTL_EXTERNAL_DIFF=mine; cluster_difference shop; echo "$reply"'
    assert shell.says(call, "charts") == "«»"


CURRENT = {
    "verified and the same": ("4 d deployed", "4/d", "kind: A\n\n", "yes"),
    "not verified": ("4 d deployed", "3/c", "kind: A\n", "no"),
    "another manifest": ("4 d deployed", "4/d", "kind: B\n", "no"),
    "not deployed": ("4 d failed", "4/d", "kind: A\n", "no"),
    "not installed": ("", "", "kind: A\n", "no"),
}


@pytest.mark.parametrize("case", CURRENT)
def test_is_current(case: str, shell: Shell) -> None:
    history, entries, before, current = CURRENT[case]
    shell.stub("kubectl", {"get secrets": history, "get configmap": entries})
    shell.stub("helm", {"get manifest shop --revision 4": before})
    (shell.work / "shop.yaml").write_text("kind: A\n")
    call = "read_revisions shop; is_current shop && echo yes || echo no"
    assert shell.says(call, "charts", "record") == current


def test_what_is_left_out_is_said(shell: Shell) -> None:
    call = "render_service() { :; }; check_charts"
    (shell.work / "shop.yaml").write_text("    deploy/left-out: the HTTPRoute\n")
    assert "left out of the release: the HTTPRoute" in shell.run(call, "charts").stderr
    (shell.work / "shop.yaml").write_text("    deploy/redis-mode: external\n")
    done = shell.run(call, "charts")
    assert (done.status, done.stderr) == (0, "")


def test_values_that_do_not_fit_end_it_before_anything_is_touched(shell: Shell) -> None:
    shell.stub("helm", {"template": failure("Error: replicas: want integer")})
    done = shell.run(
        "render_service sha256:ab; echo on",
        "charts",
        kubernetes_version="v1.33.0",
        api_versions="v1",
        node_architecture="",
    )
    assert (done.status, done.stdout) == (6, "")
    assert "the chart .helm cannot be rendered: Error: replicas: want integer" in done.stderr


def test_a_values_file_that_changes_meanwhile_changes_nothing(shell: Shell, tmp_path: Path) -> None:
    """What the candidate was tested with is what Helm applies. A pipe can be read once only."""
    values = tmp_path / "shop.yaml"
    values.write_text("replicas: 3\n")
    call = f'keep_charts; echo "replicas: 30" >{values}; cat "$values_file"'
    call += '; diff -r "$root/.helm" "$work/charts"'
    assert shell.says(call, "charts", values_file=values, redis_values_file="") == "replicas: 3"
    call = 'rm -r "$work/charts"; given() { values_file=$1; keep_charts; cat "$values_file"; }'
    call += '; given <(echo "replicas: 4")'
    assert shell.says(call, "charts", redis_values_file="") == "replicas: 4"


def test_no_values_file_takes_prod_out_of_its_guards(shell: Shell, tmp_path: Path) -> None:
    """Values copied from staging name its environment: plain HTTP and a single Redis would pass unsaid."""
    shell.script("helm", f'#!/bin/sh\nexec {charts.ROOT}/.tools/helm "$@"\n')
    values = tmp_path / "copied.yaml"
    values.write_text("environment: STAGING\n")
    done = shell.run(
        f"keep_charts; render_service {charts.DIGEST}; echo rendered",
        "charts",
        project="shop",
        environment="prod",
        image_name="registry.test/visits",
        image_tag="1",
        base_url="x.test",
        values_file=values,
        redis_values_file="",
        kubernetes_version="v1.34.0",
        api_versions="v1",
        node_architecture="",
    )
    assert (done.status, done.stdout) == (6, "")
