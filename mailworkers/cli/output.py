"""What commands print: tables for people, JSON for scripts. NO_COLOR is honoured by rich itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 200  # of tables that no terminal bounds, so that a file's lines are whole


def console() -> Console:
    """Standard output: as wide as the terminal, wide and plain where it is none."""
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def say(line: str) -> None:
    """One line to standard error, for what is not the command's result."""
    print("mailworkers:", line, file=sys.stderr, flush=True)  # noqa: T201


def print_json(value: Any) -> None:
    """One JSON document with sorted times in ISO 8601 and UTC."""
    print(json.dumps(value, default=plain, ensure_ascii=False, indent=2))  # noqa: T201


def plain(value: Any) -> Any:
    """What json.dumps does not know, for its `default`."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> Table:
    """A table without vertical lines; columns whose name ends with `#` are numbers and stand to the right."""
    made = Table(box=None, title=title or None, title_justify="left", title_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name.rstrip("#"), justify="right" if name.endswith("#") else "left", header_style="dim")
    for row in rows:
        made.add_row(*row)
    return made


def facts(pairs: Mapping[str, str]) -> Table:
    """Names and values, one pair a line."""
    made = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(name, value)
    return made


def span(seconds: float | None) -> str:
    """A duration for people: "0.4 s", "12 s", "3 min", "5.2 h", "4 d"; "-" for none."""
    if seconds is None:
        return "-"
    for bound, size, unit in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < bound:
            return f"{seconds / size:.1f} {unit}" if bound in (10, 172_800) else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
