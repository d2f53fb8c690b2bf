"""Values of a wrong name or type are refused, and so is a project that cannot name its objects."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.charts import (
    CHARTS,
    DEPLOYED,
    HELMS,
    PROJECT,
    REDIS,
    SERVICE,
    Values,
    label,
    merged,
    refusal,
    run,
)

# Objects whose names are the operator's, not the chart's.
FREE = {
    "nodeSelector",
    "labels",
    "annotations",
    "podAnnotations",
    "podLabels",
    "service.annotations",
    "ingress.annotations",
    "httpRoute.annotations",
    "httpRoute.gateway.annotations",
    "serviceAccount.annotations",
    "monitoring.podMonitor.labels",
    "monitoring.rules.labels",
    "monitoring.dashboard.labels",
    "resources.requests",
    "resources.limits",
}
# No value of the type in the key; for texts a list, because a quantity may be a number, too.
WRONG: dict[type, object] = {
    str: ["one"],
    int: "seven",
    float: "half",
    bool: "maybe",
    list: "one",
    dict: "one",
}
Place = tuple[str | int, ...]


def defaults(chart: Path) -> Values:
    values: Values = yaml.safe_load((chart / "values.yaml").read_text())
    return values


def places(value: object, path: Place = ()) -> Iterator[tuple[Place, object]]:
    """Every value with its place, from the outermost object inwards."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield from places(part, (*path, name))


def put(values: Values, place: Place, value: object) -> None:
    inner: Any = values
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value


each_helm = pytest.mark.parametrize("helm", HELMS)
each_chart = pytest.mark.parametrize("chart", CHARTS, ids=label)


@each_helm
@each_chart
def test_a_typo_is_an_error_at_every_level(helm: str, chart: Path) -> None:
    values = defaults(chart)
    closed = [
        place
        for place, value in places(values)
        if isinstance(value, dict) and ".".join(map(str, place)) not in FREE
    ]
    for number, place in enumerate(closed):
        put(values, (*place, f"tpyo{number}"), 1)
    message = refusal(chart, values, helm)
    assert [place for number, place in enumerate(closed) if not re.search(rf"tpyo{number}\b", message)] == []
    assert len(closed) > 3


@each_helm
@each_chart
@pytest.mark.parametrize("depth", range(1, 5))
def test_a_value_of_the_wrong_type_is_an_error(helm: str, chart: Path, depth: int) -> None:
    """Depth by depth, because a wrong object hides what should be in it."""
    values = defaults(chart)
    found = [(place, value) for place, value in places(values) if len(place) == depth]
    for place, value in found:
        put(values, place, WRONG[type(value)])
    if not found:
        assert (chart, depth) == (REDIS, 4)
        return
    separator = "." if helm == "helm3" else "/"
    message = refusal(chart, values, helm)
    assert [place for place, _ in found if separator.join(map(str, place)) not in message] == []


def schema(chart: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((chart / "values.schema.json").read_text())
    return found


def objects(part: object) -> Iterator[dict[str, Any]]:
    """Every schema of an object inside a schema."""
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield part
        for inner in part.values():
            yield from objects(inner)


@each_chart
def test_the_schema_closes_and_describes_everything(chart: Path) -> None:
    found = [one for one in objects(schema(chart)) if "properties" in one]
    assert len(found) > 4
    for one in found:
        assert one["additionalProperties"] is False
        for name, value in one["properties"].items():
            assert "description" in value or "$ref" in value, name


@each_chart
def test_the_schema_and_the_defaults_name_the_same_values(chart: Path) -> None:
    assert set(schema(chart)["properties"]) == set(defaults(chart))


@each_helm
@pytest.mark.parametrize(
    "values",
    [
        {"annotations": None},
        {"ingress": {"annotations": None}},
        {"serviceAccount": {"annotations": None}},
        {"httpRoute": {"gateway": {"annotations": None}}},
    ],
    ids=label,
)
def test_annotations_that_are_all_commented_out_are_none(helm: str, values: Values) -> None:
    gateway: Values = {"httpRoute": {"enabled": True, "gateway": {"enabled": True, "className": "public"}}}
    given = json.dumps(merged(merged(DEPLOYED[SERVICE], gateway), values))
    result = run(helm, SERVICE, "dev", given, PROJECT)
    assert result.returncode == 0, result.stderr


def test_what_both_schemas_define_is_the_same() -> None:
    first, second = (schema(chart)["definitions"] for chart in CHARTS)
    shared = first.keys() & second.keys()
    assert len(shared) > 8
    assert {name: first[name] for name in shared} == {name: second[name] for name in shared}


@each_chart
@pytest.mark.parametrize("project", ["1shop", "my.shop"])
def test_a_project_that_cannot_name_a_service_is_refused(chart: Path, project: str) -> None:
    assert "names a Service" in refusal(chart, {}, project=project)


@each_helm
@each_chart
@pytest.mark.parametrize("project", ["on", "null", "y"])
def test_a_project_that_yaml_takes_for_no_text_is_refused(helm: str, chart: Path, project: str) -> None:
    assert f'the project name "{project}" is no text in YAML' in refusal(chart, {}, helm, project)


@each_chart
def test_a_project_too_long_for_its_names_is_refused(chart: Path) -> None:
    message = refusal(chart, {}, project="p" * 41)
    assert "p" * 41 in message
    assert "characters" in message
