"""The README's table of settings, made from settings.py: `python -m mailworkers.cli.settings_table [--write]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from mailworkers.settings import Settings

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN = "<!-- settings: made by python -m mailworkers.cli.settings_table --write -->"
END = "<!-- settings: end -->"
RELOADS = "↻"


def table() -> str:
    """All settings as a Markdown table, in the order of settings.py."""
    head = ["| Setting | Default | What it does |", "|---|---|---|"]
    return "\n".join(head + [_row(field, info) for field, info in Settings.model_fields.items()])


def with_table(text: str) -> str:
    """The README's text with the present table between its two marks.

    Raises:
        ValueError: the text does not have both marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the text has no place for the table: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(field: str, info: FieldInfo) -> str:
    extra: Any = info.json_schema_extra
    key = (extra["key"] or field).upper()
    others = [f"`{name}`" for name in extra["names"] if name != key]
    about = (info.description or "") + (f" Also {', '.join(others)}." if others else "")
    return f"| `{key}`{f' {RELOADS}' if extra['reload'] else ''} | {_default(info.default, extra['unit'])} | {about} |"


def _default(value: Any, unit: str) -> str:
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if plain in (None, ""):
        return "none"
    number = f"{plain:g}" if isinstance(plain, float) else str(plain)
    return f"{number} {unit}" if unit not in ("", "port") else number


def main(arguments: list[str]) -> int:
    """Print the table, or write it into the README of this checkout."""
    if arguments == ["--write"]:
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    elif arguments:
        print("usage: python -m mailworkers.cli.settings_table [--write]", file=sys.stderr)  # noqa: T201 -- a command
        return 2
    else:
        print(table())  # noqa: T201 -- its purpose
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
