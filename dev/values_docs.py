"""Document the charts' values, in the schemas and in docs/values.md, from the comments of values.yaml.

python -m dev.values_docs           # write them (`make docs`)
python -m dev.values_docs --check   # exit 1 if they are not as they would be written
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / ".helm"
REDIS = SERVICE / "redis"
TABLE = ROOT / "docs" / "values.md"
Schema = dict[str, Any]

INTRODUCTION = """\
<!-- Made from the charts' values.yaml and values.schema.json by `make docs`: change those. -->
# Values

What can be set in the two charts. A value that is not listed here, or of another form, is an error. What
differs between the environments is in `values-dev.yaml`, `values-staging.yaml` and `values-prod.yaml` beside
each chart; give your own with `./deploy.sh … --values FILE` and `--redis-values FILE`, or Helm's `--values`.
"""


@dataclass(frozen=True)
class Value:
    """One value: its name with dots, what values.yaml says of it, its default and its schema."""

    name: str
    comment: str
    default: object
    schema: Schema

    @property
    def is_group(self) -> bool:
        return "properties" in self.schema


def comments(text: str) -> dict[str, str]:
    """The comment above each key of a values.yaml, by the key's name with dots. Keys in lists have none."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        comment = re.fullmatch(r" *# ?(.*)", line)
        key = re.match(r"( *)([A-Za-z_]+):", line)
        if comment:
            above.append(comment[1])
            continue
        if key:
            path = [(indent, name) for indent, name in path if indent < len(key[1])]
            path.append((len(key[1]), key[2]))
            if above:
                found[".".join(name for _, name in path)] = " ".join(above)
        above = []
    return found


def resolved(schema: Schema, root: Schema) -> Schema:
    """Follow a $ref; what stands beside it wins."""
    if "$ref" not in schema:
        return schema
    referred = root["definitions"][schema["$ref"].rpartition("/")[2]]
    return {**resolved(referred, root), **{name: part for name, part in schema.items() if name != "$ref"}}


def values(chart: Path, root: Schema) -> Iterator[Value]:
    """Every value of a chart in the order of values.yaml; an error names one without a comment."""
    text = (chart / "values.yaml").read_text()
    said = comments(text)

    def walk(part: dict[str, object], schema: Schema, prefix: str) -> Iterator[Value]:
        properties = resolved(schema, root).get("properties", {})
        for name, default in part.items():
            path = f"{prefix}{name}"
            if name not in properties:  # the names in here are the operator's own
                continue
            if path not in said:
                raise SystemExit(f"{chart.name}/values.yaml: {path} has no comment above it: write one")
            value = Value(path, said[path], default, resolved(properties[name], root))
            yield value
            if isinstance(default, dict):
                yield from walk(default, properties[name], f"{path}.")

    yield from walk(yaml.safe_load(text), root, "")


def described(chart: Path) -> Schema:
    """The chart's schema with the descriptions that values.yaml gives."""
    root: Schema = json.loads((chart / "values.schema.json").read_text())
    for value in values(chart, root):
        place = root
        *outer, last = value.name.split(".")
        for name in outer:
            place = place["properties"][name]
            if "$ref" in place:
                place = root["definitions"][place["$ref"].rpartition("/")[2]]
        rest = {name: part for name, part in place["properties"][last].items() if name != "description"}
        place["properties"][last] = {"description": value.comment, **rest}
    return root


def table(chart: Path, root: Schema) -> str:
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for value in values(chart, root):
        default = "" if value.is_group else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        lines.append(row(f"`{value.name}`", default, value.comment))
        if value.name == "settings":
            lines += settings_rows(value)
    return "\n".join(lines) + "\n"


def settings_rows(settings: Value) -> Iterator[str]:
    """The settings that values.yaml leaves to the service."""
    given = settings.default if isinstance(settings.default, dict) else {}
    for name, schema in settings.schema["properties"].items():
        if name not in given:
            yield row(f"`settings.{name}`", "the service's", schema["description"])


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def written() -> dict[Path, str]:
    """Every file that is made, as it should be."""
    schemas = {chart: described(chart) for chart in (SERVICE, REDIS)}
    texts = {
        chart / "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for chart, schema in schemas.items()
    }
    chapters = [
        INTRODUCTION,
        "## The service: `.helm/`\n",
        table(SERVICE, schemas[SERVICE]),
        "## Redis: `.helm/redis/`\n",
        table(REDIS, schemas[REDIS]),
    ]
    texts[TABLE] = "\n".join(chapters)
    return texts


def stale() -> list[Path]:
    """The files that are not as they should be."""
    return [path for path, text in written().items() if not path.exists() or path.read_text() != text]


def main() -> int:
    if "--check" in sys.argv[1:]:
        for path in stale():
            print(f"{path.relative_to(ROOT)} is not what values.yaml says: run `make docs`", file=sys.stderr)
        return 1 if stale() else 0
    for path, text in written().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
