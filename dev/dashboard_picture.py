"""Draw the dashboard from what dev/dashboard_run.py found, with Matplotlib.

python -m dev.dashboard_picture FILE PICTURE   # `make dashboard`
"""

import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dev.dashboard_units import MIB, UNITS, Writer, most

Document = dict[str, Any]

DOT = 1 / 72
"""Inches: Matplotlib's SVG has 72 dots an inch."""
WIDTH, MARGIN, GAP = 1400, 12, 10
TOP = 74
"""The title, what happened, and what it was drawn with."""
COLUMNS = 24
UNIT = 31
"""Dots of one row of Grafana's grid."""
LEGEND_LINE, MOST_LINES = 15, 5
MOST_NAMES = 6
"""Of a panel with more series, those that are not 0 all the time are named."""
# Light on every page: it brings its own paper.
PAGE, PAPER, INK, FAINT, LINE, TROUBLE, DEPLOY = (
    "#f4f5f5",
    "#ffffff",
    "#1f2328",
    "#59636e",
    "#dfe3e8",
    "#ecebe4",
    "#0969da",
)
COLOURS = ["#2f7d32", "#c77700", "#0969da", "#c62828", "#7b3fb5", "#00838f", "#8d6e00", "#d1477a", "#5d4037"]
FONTS = ["DejaVu Sans", "Verdana", "Segoe UI", "system-ui", "sans-serif"]
"""The first is measured; those that a reader's machine has instead are as wide or narrower."""
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "dashboard",  # the same picture from the same data
    "font.family": "sans-serif",
    "font.sans-serif": FONTS,
    "text.color": INK,
    "path.simplify_threshold": 0.3,
}
DIGITS = re.compile(r"-?\d+\.\d{2,}(?=[ \n\")])")
EXIT_USAGE = 2


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


class Picture:
    """All panels on one sheet; places are in dots from its upper left corner."""

    def __init__(self, found: Document) -> None:
        self._found = found
        places = [panel["gridPos"] for panel in found["panels"]]
        self._height = TOP + UNIT * max(place["y"] + place["h"] for place in places) + MARGIN
        self.figure = Figure(figsize=(WIDTH * DOT, self._height * DOT), facecolor=PAGE)

    def draw(self) -> Figure:
        found = self._found
        self._text(MARGIN, 24, found["title"], size=17, weight="bold")
        self._text(MARGIN, 42, f"{found['ran']}; drawn with Matplotlib {mpl.__version__}", colour=FAINT)
        self._story()
        for panel in found["panels"]:
            place = panel["gridPos"]
            left = MARGIN + place["x"] * (WIDTH - 2 * MARGIN) / COLUMNS
            top = TOP + place["y"] * UNIT
            if panel["type"] == "row":
                self._text(left, top + 22, panel["title"], size=14, weight="bold")
            else:
                width = place["w"] * (WIDTH - 2 * MARGIN) / COLUMNS - GAP
                self._panel(panel, left, top, width, place["h"] * UNIT - GAP)
        return self.figure

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self._height - top - height
        return self.figure.add_axes(
            (left / WIDTH, bottom / self._height, width / WIDTH, height / self._height), facecolor=PAPER
        )

    def _text(
        self,
        left: float,
        base: float,
        words: str,
        *,
        size: float = 11,
        weight: str = "normal",
        colour: str = INK,
        anchor: str = "left",
    ) -> None:
        self.figure.text(
            left / WIDTH,
            1 - base / self._height,
            # A lone dollar would begin a formula.
            words.replace("$", r"\$"),
            fontsize=size,
            fontweight=weight,
            color=colour,
            horizontalalignment=anchor,
        )

    def _story(self) -> None:
        """What the shades and marks of all panels are."""
        words = [
            f"({letter}) {one['name']}"
            for letter, one in zip("ABCDEFGHI", self._found["happened"], strict=False)
        ]
        self._text(MARGIN, 62, "Shaded: " + ",  ".join(words), colour=FAINT)
        names = ", ".join(mark["name"] for mark in self._found["marks"])
        self._text(
            WIDTH - MARGIN, 62, f"Dashed: deploy of {names}", colour=DEPLOY, anchor="right", weight="bold"
        )

    def _panel(self, panel: Document, left: float, top: float, width: float, height: float) -> None:
        sheet = self._axes(left, top, width, height)
        sheet.set(xticks=[], yticks=[])
        for spine in sheet.spines.values():
            spine.set_color(LINE)
        self._text(left + 10, top + 20, panel["title"], size=13, weight="bold")
        write = UNITS[panel["fieldConfig"]["defaults"]["unit"]]
        if panel["type"] == "stat":
            self._stat(panel, left, top, width, height, write)
        else:
            self._lines(panel, left, top, width, height, write)

    def _stat(
        self,
        panel: Document,
        left: float,
        top: float,
        width: float,
        height: float,
        write: Writer,
    ) -> None:
        """Each series as its last number, over its course."""
        each = (width - 20) / len(panel["series"])
        for index, one in enumerate(panel["series"]):
            start = left + 10 + index * each
            last = [value for _, value in one["values"] if value is not None][-1]
            self._text(start + 4, top + 50, one["name"], size=12, colour=FAINT)
            self._text(start + 4, top + 100, write(last), size=40, weight="bold", colour=colour(index))
            course = self._axes(start, top + height * 0.55, each - 8, height * 0.4)
            course.axis("off")
            self._plot(course, [one], is_stacked=False, first=index)
            course.set_xlim(self._found["start"], self._found["end"])
            course.set_ylim(0, most([one], is_stacked=False) * 1.08 or 1)

    def _lines(
        self,
        panel: Document,
        left: float,
        top: float,
        width: float,
        height: float,
        write: Writer,
    ) -> None:
        lines = self._legend(panel["series"], left + 10, top + height - 10, width - 20)
        beneath = 26 + LEGEND_LINE * lines
        axes = self._axes(left + 62, top + 46, width - 74, height - 46 - beneath)
        is_stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
        self._plot(axes, panel["series"], is_stacked=is_stacked)
        axes.set_xlim(self._found["start"], self._found["end"])
        highest = most(panel["series"], is_stacked=is_stacked) * 1.08 or 1
        axes.set_ylim(0, highest)
        self._shade(axes)
        axes.set_xticks([self._found["start"] + 60 * minute for minute in range(0, 7, 2)])
        axes.xaxis.set_major_formatter(FuncFormatter(self._minute))
        size = MIB if panel["fieldConfig"]["defaults"]["unit"] == "bytes" else 1
        axes.set_yticks([tick * size for tick in MaxNLocator(4).tick_values(0, highest / size)])
        axes.set_ylim(0, highest)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
        axes.tick_params(labelsize=10, colors=FAINT, length=0, pad=5)
        axes.grid(color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)

    def _minute(self, moment: float, _: int) -> str:
        return f"{(moment - self._found['start']) / 60:.0f} min"

    def _plot(self, axes: Axes, series: Sequence[Document], *, is_stacked: bool, first: int = 0) -> None:
        """Lines with gaps where there is nothing; stacked ones over the sum of those below."""
        start, end, step = (round(self._found[name]) for name in ("start", "end", "step"))
        moments = range(start, end + 1, step)
        below = [0.0] * len(moments)
        for index, one in enumerate(series, first):
            known = {round(moment): value for moment, value in one["values"] if value is not None}
            values = [known.get(round(moment)) for moment in moments]
            heights = [
                float("nan") if value is None else value + (base if is_stacked else 0)
                for value, base in zip(values, below, strict=True)
            ]
            if is_stacked:
                tops = [base + (value or 0) for value, base in zip(values, below, strict=True)]
                axes.fill_between(moments, below, tops, color=colour(index), alpha=0.25, linewidth=0)
                below = tops
            # Nothing leads to a number that stands alone.
            alone = [
                at
                for at, value in enumerate(values)
                if value is not None
                and values[at - 1 : at] in ([], [None])
                and values[at + 1 : at + 2] in ([], [None])
            ]
            line = axes.plot(moments, heights, color=colour(index), linewidth=1.4, marker="o", markersize=2.5)
            line[0].set_markevery(alone)

    def _shade(self, axes: Axes) -> None:
        high = axes.get_xaxis_transform()
        for letter, one in zip("ABCDEFGHI", self._found["happened"], strict=False):
            axes.axvspan(one["from"], one["to"], facecolor=TROUBLE, linewidth=0, zorder=0)
            middle = (one["from"] + one["to"]) / 2
            axes.text(middle, 1.02, letter, transform=high, fontsize=9, color=FAINT, ha="center")
        for mark in self._found["marks"]:
            axes.axvline(mark["from"], color=DEPLOY, linewidth=1, linestyle="--")

    def _legend(self, series: Sequence[Document], left: float, base: float, width: float) -> int:
        """Write the names of the series, the last line at `base`; return how many lines they are."""
        names = [(colour(index), one["name"]) for index, one in enumerate(series)]
        if len(names) > MOST_NAMES:
            names = [name for name, one in zip(names, series, strict=True) if most([one], is_stacked=False)]
            if zero := len(series) - len(names):
                names.append((PAPER, f"and {zero} that stay 0"))
        lines: list[list[tuple[float, str, str]]] = [[]]
        at = 0.0
        for of, name in names:
            needs = 14 + 6.4 * len(name) + 10
            if lines[-1] and at + needs > width:
                lines.append([])
                at = 0.0
            lines[-1].append((at, of, name))
            at += needs
        if len(lines) > MOST_LINES:
            left_out = sum(len(line) for line in lines[MOST_LINES - 1 :])
            lines[MOST_LINES - 1 :] = [[(0.0, PAPER, f"and {left_out} more")]]
        for number, line in enumerate(reversed(lines)):
            for at, of, name in line:
                height = base - number * LEGEND_LINE
                self._text(left + at, height, "\N{BLACK SQUARE}", size=10, colour=of)
                self._text(left + at + 13, height, name, size=10)
        return len(lines)


def smaller(svg: str) -> str:
    """Without the digits that nobody sees, and with the font said once."""
    family = re.search(r"font-family: ([^;]+);", svg)
    if family is None:
        raise ValueError("the picture has no text: Matplotlib draws it as lines unless svg.fonttype is none")
    svg = svg.replace(f" {family[0]}", "").replace("*{", f"text{{font-family: {family[1]}}} *{{", 1)
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r"<[^>]*>", lambda tag: DIGITS.sub(lambda found: f"{float(found[0]):.1f}", tag[0]), svg)
    return re.sub(r" *\n *", "\n", svg)


def main() -> int:
    if len(sys.argv) != 3:  # noqa: PLR2004 - its own name and two files
        print("usage: python -m dev.dashboard_picture FILE PICTURE", file=sys.stderr)
        return EXIT_USAGE
    found = json.loads(Path(sys.argv[1]).read_text())
    with mpl.rc_context(STYLE):
        figure = Picture(found).draw()
        told = {"Title": found["title"], "Identifier": f"queries:{found['digest']}", "Date": None}
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata=told)
    Path(sys.argv[2]).write_text(smaller(drawn.getvalue()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
