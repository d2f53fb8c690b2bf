"""The dashboard is what its source says, and Prometheus can read every query of it."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from dev import alerts_docs, dashboard, dashboard_run
from tests.alerts.promtool import NEEDS_PROMTOOL, promtool, rules
from tests.deploy.charts import PROJECT, ROOT, SERVICE, Document, document, merged

PICTURE = ROOT / "docs" / "dashboard.svg"
SVG = "{http://www.w3.org/2000/svg}"
STALE = "docs/dashboard.svg shows another dashboard: run `make dashboard`, with Prometheus 3 on PATH"
ON = {"monitoring": {"dashboard": {"enabled": True}}}


def rendered() -> Document:
    """What Grafana is given."""
    found = document(SERVICE, "ConfigMap", values=ON, name=f"{PROJECT}-dashboard")
    (text,) = found["data"].values()
    parsed: Document = json.loads(text)
    return parsed


def expressions() -> list[str]:
    """Every query, with Grafana's own variable in place."""
    found = [target["expr"] for panel in rendered()["panels"] for target in panel.get("targets", [])]
    found += [one["expr"] for one in rendered()["annotations"]["list"]]
    return [one.replace("$__rate_interval", "2m") for one in found]


def test_it_is_fresh() -> None:
    assert dashboard.FILE.read_text() == dashboard.written(), "run `make docs`"


def test_the_table_of_alerts_is_fresh() -> None:
    assert alerts_docs.PAGE.read_text() == alerts_docs.written(), "run `make docs`"


def test_grafana_looks_at_four_scrapes_for_a_rate() -> None:
    slow = merged(ON, {"monitoring": {"podMonitor": {"interval": "1m"}}})
    (text,) = document(SERVICE, "ConfigMap", values=slow, name=f"{PROJECT}-dashboard")["data"].values()
    targets = [target for panel in json.loads(text)["panels"] for target in panel.get("targets", [])]
    assert {target["interval"] for target in targets} == {"1m"}


def test_grafanas_sidecar_finds_it() -> None:
    found = document(SERVICE, "ConfigMap", values=ON, name=f"{PROJECT}-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert list(found["data"]) == ["shop-shop.json"]


def test_nothing_is_left_to_fill_in() -> None:
    text = json.dumps(rendered(), ensure_ascii=False)
    assert "<" not in text
    assert rendered()["title"] == "Visits: shop in shop"
    assert len(rendered()["uid"]) == 40
    assert 'job=\\"shop/shop\\"' in text


def test_panels_stand_side_by_side() -> None:
    places = [panel["gridPos"] for panel in rendered()["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    # A row is as wide as the page, however many panels it has.
    rows = {place["y"] for place in places}
    assert {max(x for x, y in cells if y == top) + 1 for top in rows} == {dashboard.COLUMNS}
    identifiers = [panel["id"] for panel in rendered()["panels"]]
    assert len(identifiers) == len(set(identifiers))


def test_every_panel_says_what_to_make_of_it() -> None:
    panels = [panel for panel in rendered()["panels"] if panel["type"] != "row"]
    assert len(panels) > 15
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]


@NEEDS_PROMTOOL
def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))
    rules[0]["expr"] += " )"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    with pytest.raises(AssertionError, match="parse error"):
        promtool("check", "rules", str(file))


def test_the_values_of_the_alerts_fill_it_too() -> None:
    slower = {"monitoring": {"rules": {"latencySeconds": 1, "objective": 99.5}}}
    assert 'le="1.0"' in "".join(rule["expr"] for rule in rules(slower))
    found = document(SERVICE, "ConfigMap", values=merged(ON, slower), name=f"{PROJECT}-dashboard")
    text = "".join(found["data"].values())
    assert 'le=\\"1.0\\"' in text
    assert "99.5 %" in text


def picture() -> ET.Element:
    return ET.parse(PICTURE).getroot()  # noqa: S314 - our own


def test_the_picture_shows_every_row_and_panel() -> None:
    shown = {"".join(text.itertext()).strip() for text in picture().iter(f"{SVG}text")}
    assert {panel["title"] for panel in rendered()["panels"]} <= shown, STALE


def test_the_picture_was_drawn_from_these_queries() -> None:
    (identifier,) = picture().iter("{http://purl.org/dc/elements/1.1/}identifier")
    assert identifier.text == f"queries:{dashboard_run.digest()}", STALE


def test_the_page_that_shows_the_picture_says_what_drew_it() -> None:
    """The same versions as stand in the picture."""
    shown = ["".join(text.itertext()).strip() for text in picture().iter(f"{SVG}text")]
    (said,) = [text for text in shown if "drawn with" in text]
    versions = re.findall(r"(?:Prometheus|valkey|Matplotlib) [0-9.]+[0-9]", said)
    assert len(versions) == 3, said
    page = alerts_docs.PAGE.read_text().lower()
    assert [one for one in versions if one.lower() not in page] == []


def test_the_picture_is_small_and_stands_on_its_own() -> None:
    assert PICTURE.stat().st_size < 300_000
    assert "<image" not in PICTURE.read_text(), "its text and lines are no pixels"
