"""The plot of docs/speed.md, an SVG from the raw results: requests a second and p99, with the spread."""

from typing import Any
from xml.sax.saxutils import escape

from bench.http.report import endpoints, fastest_first, median, number, of_endpoint

WIDTH = 900
NAME_WIDTH = 310
BAR_WIDTH = 400
ROW = 30
BAR = 16
# It brings its own background, so it reads on any page; the colours follow what the reader's system prefers.
LIGHT = {"paper": "#ffffff", "ink": "#1f2328", "faint": "#59636e", "peer": "#8c959f", "service": "#0969da"}
DARK = {"paper": "#0d1117", "ink": "#e6edf3", "faint": "#9198a1", "peer": "#6e7681", "service": "#4493f8"}


def colours(of: dict[str, str]) -> str:
    return (
        f".paper {{ fill: {of['paper']} }} text {{ fill: {of['ink']} }} .note {{ fill: {of['faint']} }} "
        f".peer {{ fill: {of['peer']} }} .service {{ fill: {of['service']} }} "
        f".spread {{ stroke: {of['ink']} }} .axis {{ stroke: {of['faint']} }}"
    )


STYLE = f"""
text {{ font: 14px system-ui, sans-serif }} .head {{ font-weight: 600 }} .note {{ font-size: 13px }}
.spread {{ fill: none; stroke-width: 1.5 }}
{colours(LIGHT)}
@media (prefers-color-scheme: dark) {{ {colours(DARK)} }}
"""


def plot(raw: dict[str, Any]) -> str:
    """Return the SVG. The limits are told in words: beside them every bar would be short."""
    parts: list[str] = []
    y = 34
    if raw["short"]:
        parts.append(text(20, y, "Short run: no figures to compare by", "head"))
        y += 30
    for endpoint in endpoints(raw):
        panel, y = endpoint_panel(raw, endpoint, y)
        parts += panel
        y += 24
    parts.append(text(20, y, note(raw), "note"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 20}" role="img" '
        f'aria-label="Requests a second of this service and its peers">\n<style>{STYLE}</style>\n'
        f'<rect class="paper" width="{WIDTH}" height="{y + 20}" rx="6"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def endpoint_panel(raw: dict[str, Any], endpoint: str, y: int) -> tuple[list[str], int]:
    """Return one endpoint's bars, and where they end."""
    servers = [server for server in fastest_first(raw, endpoint) if server["kind"] != "limit"]
    most = max((max(of_endpoint(server, endpoint, "requests_a_second")) for server in servers), default=1.0)
    parts = [
        text(20, y, endpoint, "head"),
        text(NAME_WIDTH, y, "requests a second", "note"),
        text(WIDTH - 20, y, "p99, ms", "note", anchor="end"),
    ]
    top = y + 12
    for index, server in enumerate(servers):
        parts += bar(server, endpoint, top + index * ROW, BAR_WIDTH / most)
    end = top + len(servers) * ROW
    parts.append(f'<line class="axis" x1="{NAME_WIDTH}" x2="{NAME_WIDTH}" y1="{top}" y2="{end}"/>')
    return parts, end


def bar(server: dict[str, Any], endpoint: str, y: int, scale: float) -> list[str]:
    rates = of_endpoint(server, endpoint, "requests_a_second")
    middle, base = y + BAR // 2 + 5, y + 5
    least, rate, most = (NAME_WIDTH + value * scale for value in (min(rates), median(rates), max(rates)))
    drawn = [
        text(NAME_WIDTH - 12, middle + 5, str(server["name"]), anchor="end"),
        f'<rect class="{server["kind"]}" x="{NAME_WIDTH}" y="{base}" '
        f'width="{rate - NAME_WIDTH:.1f}" height="{BAR}"/>',
        text(most + 10, middle + 5, number(median(rates), 0)),
        text(
            WIDTH - 20, middle + 5, number(median(of_endpoint(server, endpoint, "p99_ms")), 1), anchor="end"
        ),
    ]
    if least < most:
        drawn.append(
            f'<path class="spread" d="M{least:.1f} {middle}H{most:.1f}M{least:.1f} {middle - 4}v8'
            f'M{most:.1f} {middle - 4}v8"/>'
        )
    return drawn


def note(raw: dict[str, Any]) -> str:
    limits = [
        f"{server['name']} without duties: "
        f"{number(median(of_endpoint(server, endpoint, 'requests_a_second')), 0)}"
        for endpoint in endpoints(raw)
        for server in fastest_first(raw, endpoint)
        if server["kind"] == "limit"
    ]
    machine = raw["machine"]
    return f"{'; '.join(limits)}{'.  ' if limits else ''}One core of {machine['cpu']}, {raw['date']}"


def text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:g}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
