"""The README's table of settings says what app/settings.py does."""

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from app.settings import Settings

README = Path(__file__).resolve().parents[1] / "README.md"
# Told in words there, because the default depends on something.
IN_WORDS = {"ADMIN_HOST": "HOST", "LOG_FORMAT": "console` on a terminal"}


def documented() -> dict[str, str]:
    """Each setting with its default, as the table writes them."""
    settings: dict[str, str] = {}
    for names, defaults, _ in re.findall(
        r"^\| (`[A-Z].*?) \| (.*?) \| (.*?) ?\|$", README.read_text(), re.MULTILINE
    ):
        told = defaults.split(", ")
        for position, name in enumerate(names.replace("`", "").split(", ")):
            settings[name] = told[min(position, len(told) - 1)].strip("`")
    return settings


def actual() -> dict[str, str]:
    defaults: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        if name.upper() in IN_WORDS:
            text = IN_WORDS[name.upper()]
        elif default is None or default == ():
            text = "none"
        elif default is PydanticUndefined:
            raise AssertionError(f"{name} has no default")
        else:
            text = f"{default:g}" if isinstance(default, float) else str(default)
        defaults[name.upper()] = text.lower() if isinstance(default, bool) else text
    return defaults


def test_the_table_of_settings_is_true() -> None:
    assert documented() == actual()
