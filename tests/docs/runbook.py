"""docs/runbook.md as its tests read it: sections, their commands, and what stands beside them.

A command is followed by what it must show, a comment a line:

    # well: TEXT       what it shows of a service that is well
    # shows: TEXT      what it shows anyway
    # or: TEXT         or this, in place of the line above
    # or fails: TEXT   or it ends with an error that has this

TEXT is found in one line of the output, whatever its blanks; `…` is anything, `nothing` no output at all.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "runbook.md"

_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^# (well|shows|or fails|or): (.+)$")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """Commands, and what stands below them."""

    command: str = ""
    wanted: list[list[str]] = field(default_factory=list)
    """One of each must be shown."""
    failures: list[str] = field(default_factory=list)
    """It may end with an error that has one of these."""

    def complaint(self, status: int, output: str, names: Mapping[str, str]) -> str | None:
        """Say what is not as the page has it, None if all is."""
        lines = [" ".join(line.split()) for line in output.splitlines()]
        lines = [line for line in lines if line]
        if status:
            told = any(_is_shown(text, lines, names) for text in self.failures)
            return None if told else f"it ended with {status}, which the page does not tell"
        missing = [texts for texts in self.wanted if not any(_is_shown(one, lines, names) for one in texts)]
        return f"it does not show {' or '.join(missing[0])}" if missing else None


@dataclass(frozen=True)
class Block:
    """One ```sh of the page."""

    section: str
    number: int
    """Within its section, from 1."""
    text: str

    @property
    def name(self) -> str:
        return f"{self.section}, {self.number}"

    @property
    def steps(self) -> list[Step]:
        """Raises AssertionError for a mark without a command, and for a command without a mark."""
        steps = [Step()]
        for line in self.text.splitlines():
            mark = _MARK.match(line)
            if mark is None:
                if steps[-1].wanted:
                    steps.append(Step())
                steps[-1].command += f"{line}\n"
                continue
            kind, text = mark.groups()
            step = steps[-1]
            assert step.command, f"{self.name}: «{line}» stands below no command"
            if kind in {"well", "shows"}:
                step.wanted.append([text])
                continue
            assert step.wanted, f"{self.name}: «{line}» says «or» of nothing"
            (step.failures if kind == "or fails" else step.wanted[-1]).append(text)
        assert steps[-1].wanted, f"{self.name}: nobody says what «{steps[-1].command}» shows"
        return steps


@dataclass(frozen=True)
class Section:
    """A heading, and what stands below it until the next one."""

    level: int
    title: str
    text: str

    @property
    def anchor(self) -> str:
        return anchor(self.title)

    @property
    def blocks(self) -> list[Block]:
        found = enumerate(_BLOCK.findall(self.text), 1)
        return [Block(self.title, number, text) for number, text in found]


def sections(page: str) -> list[Section]:
    """Return those of a page, in order."""
    # A comment of a shell is no heading.
    outside = _FENCED.sub(lambda fenced: re.sub(r"[^\n]", " ", fenced[0]), page)
    headings = list(_HEADING.finditer(outside))
    ends = [heading.start() for heading in headings[1:]] + [len(page)]
    return [
        Section(len(heading[1]), heading[2], page[heading.end() : end])
        for heading, end in zip(headings, ends, strict=True)
    ]


def anchor(title: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def runbook() -> list[Section]:
    return sections(PAGE.read_text())


def blocks() -> list[Block]:
    """Return every block of the runbook, in order; the first one is pasted before all others."""
    return [block for section in runbook() for block in section.blocks]


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Put these values in the place of the examples that the first block begins with."""
    for name, value in values.items():
        line = f"{name}={shlex.quote(value)}"
        # A backslash in a value is one of its own, not of the pattern's.
        text, count = re.subn(rf"^{name}=.*$", line.replace("\\", r"\\"), text, flags=re.MULTILINE)
        assert count == 1, f"the page sets {name} {count} times"
    return text


def examples(text: str) -> Iterator[str]:
    """Name the variables to which the first block gives an example, which every reader replaces."""
    yield from re.findall(r"^([A-Z_]+)=\S+ +# ", text, re.MULTILINE)


def script(before: str, steps: Sequence[Step], folder: Path) -> str:
    """Return a script that runs the steps in one shell; of each, `folder` gets output and status."""
    parts = [before]
    for number, step in enumerate(steps):
        at = shlex.quote(str(folder / str(number)))
        # Its own group of commands, not a subshell: the next step sees the variables that it sets.
        parts.append(f"{{\n{step.command}}} >{at}.out 2>&1\necho $? >{at}.status\n")
    return "\n".join(parts)


def names_in(values: Mapping[str, str]) -> dict[str, str]:
    """Return what `$NAME` is in a mark."""
    return {**values, "REDIS": f"{values['RELEASE']}-redis"}


def _is_shown(text: str, lines: Sequence[str], names: Mapping[str, str]) -> bool:
    if text == "nothing":
        return not lines
    text = re.sub(r"\$([A-Z_]+)", lambda name: names[name[1]], text)
    pattern = re.compile(".*".join(re.escape(" ".join(part.split())) for part in re.split(r"\s*…\s*", text)))
    return any(pattern.search(line) for line in lines)
