"""Make the dashboard that the chart brings to Grafana.

python -m dev.dashboard           # write it (`make docs`)
python -m dev.dashboard --check   # exit 1 if it is not as it would be written

What stands in <…> is filled by the chart, as in .helm/files/alerts.yaml.
"""

import json
import sys
from pathlib import Path
from typing import Any

from dev.dashboard_rows import DEPLOYS, ROWS, Panel

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / ".helm" / "files" / "dashboard.json"
Document = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${source}"}
COLUMNS = 24
HEIGHT = 8


def panel(number: int, place: Document, what: Panel) -> Document:
    custom = {
        "stacking": {"mode": "normal" if what.stacked else "none"},
        "fillOpacity": 20 if what.stacked else 0,
    }
    return {
        "id": number,
        "type": what.kind,
        "title": what.title,
        "description": what.meaning,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": what.unit, "min": 0, "custom": custom}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "expr": query.expression,
                "legendFormat": query.legend,
                # Of which Grafana makes $__rate_interval four, else it knows its data source's default alone.
                "interval": "<interval>",
            }
            for index, query in enumerate(what.queries)
        ],
    }


def panels() -> list[Document]:
    """Each row's heading, and below it its pictures side by side."""
    found: list[Document] = []
    top = 0
    for row in ROWS:
        heading = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        found.append(
            {"id": len(found) + 1, "type": "row", "title": row.title, "gridPos": heading, "panels": []}
        )
        edges = [COLUMNS * index // len(row.panels) for index in range(len(row.panels) + 1)]
        for left, right, one in zip(edges, edges[1:], row.panels, strict=False):
            place = {"h": HEIGHT, "w": right - left, "x": left, "y": top + 1}
            found.append(panel(len(found) + 1, place, one))
        top += 1 + HEIGHT
    return found


def dashboard() -> Document:
    deploys = {
        "name": "Deploys",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": DEPLOYS,
        "step": "60s",
        "titleFormat": "{{version}}",
        "textFormat": "{{commit}}",
    }
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "<uid>",
        "title": "Visits: <release> in <namespace>",
        "tags": ["visits"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source]},
        "annotations": {"list": [deploys]},
        "panels": panels(),
    }


def queries() -> list[str]:
    """Every expression of the dashboard, its marks' too."""
    return [query.expression for row in ROWS for one in row.panels for query in one.queries] + [DEPLOYS]


def written() -> str:
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    if "--check" not in sys.argv[1:]:
        FILE.write_text(written())
    elif not FILE.exists() or FILE.read_text() != written():
        print(f"{FILE.relative_to(ROOT)} is not what dev/dashboard.py says: run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
