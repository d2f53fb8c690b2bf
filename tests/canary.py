"""A password that is looked for in everything that is shown, written and kept."""

import base64
import re
from pathlib import Path

LEAST = 16
"""So many letters and digits in a row are nowhere by chance."""


def forms_of(core: bytes) -> dict[str, bytes]:
    """By name, the forms that letters and digits leak in, wherever they begin in what was encoded."""
    # Of base64's groups of three bytes, those that hold nothing but the password.
    groups = [core[begin : begin + (len(core) - begin) // 3 * 3] for begin in range(3)]
    encoded = {f"in base64 ({begin})": base64.b64encode(group) for begin, group in enumerate(groups)}
    numbers = core.hex()
    escaped = "".join(f"%{byte:02x}" for byte in core)
    written = {
        "in hexadecimal": numbers,
        "in upper hexadecimal": numbers.upper(),
        "URL-encoded": escaped,
        "URL-encoded in upper case": escaped.upper(),
    }
    return {"plainly": core, **encoded, **{name: text.encode() for name, text in written.items()}}


class Search:
    """Looks for one password, and remembers where it looked and what it found; never shows the password.

    It looks for the longest run of letters and digits. Whatever writes the signs around it in another way,
    as a URL, JSON, YAML and a shell do, leaves that as it is.
    """

    def __init__(self, password: str) -> None:
        core = max(re.findall(r"[A-Za-z0-9]*", password), key=len)
        if len(core) < LEAST:
            raise ValueError(
                f"a password that is looked for needs {LEAST} letters and digits in a row; "
                f"in this one there are {len(core)}"
            )
        self._forms = forms_of(core.encode())
        self.places: list[str] = []
        self.found: list[str] = []

    def look(self, place: str, text: str | bytes) -> None:
        raw = text.encode() if isinstance(text, str) else text
        if not raw:
            return
        self.places.append(place)
        # Lines may be wrapped and indented.
        compact = b"".join(raw.split())
        self.found += [f"{place}: {name}" for name, form in self._forms.items() if form in compact]

    def look_at_files(self, place: str, folder: Path) -> None:
        """Their contents and their names."""
        for path in sorted(folder.rglob("*")):
            self.look(f"{place}, a name", path.name)
            if path.is_file() and not path.is_symlink():
                self.look(f"{place}, {path.relative_to(folder)}", path.read_bytes())

    def looked_at(self, place: str) -> int:
        """Return how many places begin so: a search that saw nothing proves nothing."""
        return sum(one.startswith(place) for one in self.places)

    def found_in(self, place: str) -> list[str]:
        return [one for one in self.found if one.startswith(place)]

    def assert_clean(self) -> None:
        assert self.places, "nothing was looked at"
        assert not self.found, "\n".join(["the password was found:", *self.found])
