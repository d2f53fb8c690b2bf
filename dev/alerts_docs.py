"""Make the table of docs/alerts.md from the chart's alerts.

python -m dev.alerts_docs           # write it (`make docs`)
python -m dev.alerts_docs --check   # exit 1 if it is not as it would be written
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ALERTS = ROOT / ".helm" / "files" / "alerts.yaml"
VALUES = ROOT / ".helm" / "values.yaml"
PAGE = ROOT / "docs" / "alerts.md"
BEGIN = "<!-- Made from .helm/files/alerts.yaml by `make docs`: change that. -->\n"
END = "\n<!-- End of what is made. -->"
NEEDS = {
    None: "the service",
    "kubelet": "the kubelet's metrics; with `redis.mode: bundled`",
    "probes": "the kubelet's metrics of its probes (`/metrics/probes`)",
    "entrance": "the entrance's metrics: `monitoring.rules.entrance`",
    "redisExporter": "Redis' exporter: `monitoring.rules.redisExporter`",
    "kubeStateMetrics": "`monitoring.rules.kubeStateMetrics`",
    "certManager": "cert-manager's metrics: `monitoring.rules.certManager`",
}


def filled(text: str) -> str:
    """With the chart's defaults in place of <…>."""
    rules: dict[str, Any] = yaml.safe_load(VALUES.read_text())["monitoring"]["rules"]
    return re.sub(r"<(\w+)>", lambda match: str({**rules, **rules["windows"]}[match[1]]), text)


def rows() -> Iterator[str]:
    yield "| alert | severity | when | needs |"
    yield "|---|---|---|---|"
    for rule in yaml.safe_load(ALERTS.read_text())["rules"]:
        name = f"[{rule['alert']}](runbook.md#{rule['alert'].lower()})"
        yield f"| {name} | {rule['severity']} | {filled(rule['when'])} | {NEEDS[rule.get('needs')]} |"


def written() -> str:
    """The page, with the table as it should be."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"docs/alerts.md has lost the lines between which its table stands: {BEGIN}…{END}")
    return before + begin + "\n".join(rows()) + "\n" + end + after


def main() -> int:
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(written())
    elif PAGE.read_text() != written():
        print("docs/alerts.md is not what the chart's alerts say: run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
