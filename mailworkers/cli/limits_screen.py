"""Limits and learned rates as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from mailworkers.cli.output import span, table
from mailworkers.limits.keys import period_name
from mailworkers.limits.table import LimitLine
from mailworkers.queue.overview import LoweredLine

REASON_SHOWN = 80  # characters


def limit_table(limits: Sequence[LimitLine]) -> Table:
    """One line a limit."""
    rows = [
        (
            one.scope,
            escape(one.name),
            "" if one.tokens is None and one.floor is not None else rate_text(one.tokens, one.seconds),
            "" if one.burst is None else f"{one.burst:,}",
            "" if one.floor is None else f"{one.floor:.3g}/s",
            escape(one.source),
        )
        for one in limits
    ]
    return table(("whose", "name", "at most#", "burst#", "floor#", "from"), rows)


def lowered_table(lowered: Sequence[LoweredLine]) -> Table:
    """One line a lane, or a relay as a whole."""
    now = datetime.now(UTC)
    rows = [
        (
            escape(one.name.removesuffix("/")),
            f"{one.rate:.3g}",
            span((now - one.since).total_seconds()),
            span(one.rests) if one.rests > 0 else "",
            escape(" ".join(one.reason.split())[:REASON_SHOWN]),
        )
        for one in lowered
    ]
    return table(("lane", "mails/s#", "for#", "rests#", "the relay said"), rows)


def rate_text(tokens: int | None, seconds: float | None) -> str:
    """Such as "100 a minute"."""
    if tokens is None or seconds is None:
        return "no limit"
    name = period_name(seconds)
    if name not in ("second", "minute", "hour"):
        return f"{tokens:,} in {span(seconds)}"
    return f"{tokens:,} {'an' if name == 'hour' else 'a'} {name}"
