"""PROD says what it is: what is fit for trying out only is refused, with the lines that would allow it."""

import json
import re
from functools import reduce
from typing import Any

import pytest
import yaml

from tests.deploy.charts import (
    DEPLOYED,
    EXTERNAL_REDIS,
    HELMS,
    INGRESS_TLS,
    PROJECT,
    ROOT,
    SERVICE,
    TLS_ENDS_ELSEWHERE,
    Values,
    merged,
    refusal,
    run,
)

DOCS = (ROOT / "docs" / "charts.md").read_text()
# What a deploy gives of its own accord, without a values file.
UNSAID: Values = {"ingress": {"plainHTTP": "refused"}, "redis": {"singlePod": "refused"}}
ROUTE_ONLY: Values = {
    "ingress": {"enabled": False},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "sectionName": "https"}]},
}
OWN_GATEWAY: Values = {
    "ingress": {"enabled": False},
    "httpRoute": {"enabled": True, "gateway": {"enabled": True, "className": "envoy"}},
}
GATEWAY_TLS: Values = {"httpRoute": {"gateway": {"tls": {"enabled": True}}}}
INGRESS: Values = {"ingress": {"enabled": True}}
PLAIN_HTTP = {"ingress": {"plainHTTP": "allowed"}}
ROUTE_TLS = {"httpRoute": {"tls": True}}
SINGLE_POD = {"redis": {"singlePod": "allowed"}}


def lines(message: str) -> list[Any]:
    """The values that a refusal tells to add, as a values file would have them."""
    return [yaml.safe_load(line) for line in re.findall(r"`([^`]*)`", message)]


def refused(values: Values, helm: str = HELMS[0]) -> str:
    return refusal(SERVICE, merged(UNSAID, values), helm, environment="prod")


def is_taken(values: Values, environment: str = "prod") -> bool:
    given = json.dumps(merged(DEPLOYED[SERVICE], merged(UNSAID, values)))
    return run("helm", SERVICE, environment, given, PROJECT).returncode == 0


def test_nothing_is_allowed_by_default() -> None:
    """With the chart's own values and no other but what only a deploy knows."""
    own = {"image": DEPLOYED[SERVICE]["image"], "ingress": {"host": "x.test"}}
    result = run("helm", SERVICE, "prod", json.dumps(own), PROJECT)
    assert result.returncode != 0
    assert lines(result.stderr) == [PLAIN_HTTP, TLS_ENDS_ELSEWHERE, SINGLE_POD]


@pytest.mark.parametrize("helm", HELMS)
def test_all_that_is_missing_is_told_at_once(helm: str) -> None:
    message = refused({}, helm)
    assert "the environment is PROD" in message
    assert "by plain HTTP (Ingress)" in message
    assert "a single pod" in message
    assert lines(message) == [PLAIN_HTTP, TLS_ENDS_ELSEWHERE, SINGLE_POD]


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        (EXTERNAL_REDIS, [PLAIN_HTTP, TLS_ENDS_ELSEWHERE]),
        (INGRESS_TLS, [SINGLE_POD]),
        (merged(ROUTE_ONLY, EXTERNAL_REDIS), [PLAIN_HTTP, TLS_ENDS_ELSEWHERE, ROUTE_TLS]),
        (
            merged(merged(ROUTE_ONLY, INGRESS_TLS), merged(EXTERNAL_REDIS, INGRESS)),
            [PLAIN_HTTP, ROUTE_TLS],
        ),
        (merged(OWN_GATEWAY, EXTERNAL_REDIS), [PLAIN_HTTP, TLS_ENDS_ELSEWHERE]),
        (merged(merged(OWN_GATEWAY, EXTERNAL_REDIS), INGRESS), [PLAIN_HTTP]),
        (
            merged(merged(OWN_GATEWAY, EXTERNAL_REDIS), merged(INGRESS, GATEWAY_TLS)),
            [PLAIN_HTTP, TLS_ENDS_ELSEWHERE],
        ),
    ],
    ids=["managed redis", "tls", "route", "tls and route", "gateway", "gateway and ingress", "tls gateway"],
)
def test_each_line_that_is_told_is_enough(values: Values, missing: list[Values]) -> None:
    """Those of HTTP are ways to choose from."""
    found = lines(refused(values))
    assert found == missing
    for line in found:
        assert is_taken(merged(values, line))


@pytest.mark.parametrize(
    "values",
    [
        merged(INGRESS_TLS, EXTERNAL_REDIS),
        merged(INGRESS_TLS, SINGLE_POD),
        merged(merged(ROUTE_ONLY, ROUTE_TLS), EXTERNAL_REDIS),
        merged(merged(OWN_GATEWAY, GATEWAY_TLS), EXTERNAL_REDIS),
        # Nobody comes in from outside.
        merged({"ingress": {"enabled": False, "host": ""}}, EXTERNAL_REDIS),
    ],
    ids=["managed", "single pod", "shared gateway", "own gateway", "internal"],
)
def test_what_needs_no_word(values: Values) -> None:
    assert is_taken(values)


def test_a_gateway_of_its_own_without_tls_is_plain_http() -> None:
    assert "by plain HTTP (HTTPRoute)" in refused(merged(OWN_GATEWAY, EXTERNAL_REDIS))


@pytest.mark.parametrize(
    ("route", "tls"),
    [(OWN_GATEWAY, GATEWAY_TLS), (ROUTE_ONLY, ROUTE_TLS)],
    ids=["own gateway", "shared gateway"],
)
def test_tls_before_the_ingress_says_nothing_of_a_gateway(route: Values, tls: Values) -> None:
    """It has an address of its own, before which no load balancer of the Ingress is."""
    both = reduce(merged, [route, INGRESS, TLS_ENDS_ELSEWHERE, EXTERNAL_REDIS])
    message = refused(both)
    assert "by plain HTTP (HTTPRoute)" in message
    assert TLS_ENDS_ELSEWHERE not in lines(message)
    assert is_taken(merged(both, tls))


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_elsewhere_nothing_needs_to_be_said(environment: str) -> None:
    assert is_taken({}, environment)


@pytest.mark.parametrize(
    ("values", "word"),
    [({"ingress": {"plainHTTP": True}}, "plainHTTP"), ({"redis": {"singlePod": "yes"}}, "singlePod")],
    ids=["plainHTTP", "singlePod"],
)
def test_the_words_are_those(values: Values, word: str) -> None:
    assert word in refusal(SERVICE, values)


EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_entrances_are_fit_for_prod(example: str) -> None:
    assert is_taken(merged(EXTERNAL_REDIS, yaml.safe_load(example)))


def test_the_docs_have_every_line_that_is_told() -> None:
    _, _, section = DOCS.partition("\n## PROD says what it is\n")
    told = [*lines(refused(ROUTE_ONLY)), SINGLE_POD]
    documented = [line for line in lines(section.partition("\n\n## ")[0]) if isinstance(line, dict)]
    assert len(EXAMPLES) == 6
    assert [line for line in told if line not in documented] == []
