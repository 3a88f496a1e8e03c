"""What people see and change of limits: what is set, and to forget what was learned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mailworkers.errors import LimitError
from mailworkers.limits.bucket import Limit
from mailworkers.limits.keys import EACH, SYSTEM_NAME, Limits, Scope
from mailworkers.limits.ledger import Gateway

MOST_LINES: Final = 10_000
UNITS: Final = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
NONE: Final = "none"
_RATE: Final = re.compile(r"(\d{1,9})/(\d{0,7}(?:\.\d{1,3})?)(s|sec|m|min|h|d)", re.IGNORECASE)
LIKE: Final = "Write it like 50/s, 100/min, 1000/h or 20/90s; `none` for no limit."


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit in force: `tokens` mails in any `seconds`; None for none. `source` tells where it comes from: `settings`, `set`, or
    where a destination publishes it. `floor`: no rate below it, in mails a second, is learned."""

    scope: str
    name: str
    tokens: int | None
    seconds: float | None
    burst: int | None
    floor: float | None
    source: str
    changed_at: datetime | None


async def read_limits(database: Gateway, from_settings: Limits) -> list[LimitLine]:
    """All limits in force, by scope and name; those of the settings first. Raises DatabaseError.

    Args:
        database: read.
        from_settings: this host's; a daemon elsewhere may have others.
    """
    rows = await database.fetch("limits/list", MOST_LINES)
    own = [
        LimitLine(scope.value, EACH, limit.tokens, limit.period, limit.burst, None, "settings", None)
        for (scope, _), limit in from_settings.items()
    ]
    return own + [LimitLine(**row) for row in rows]


async def set_limit(
    database: Gateway, scope: Scope, name: str, rate: str, *, burst: int | None = None, floor: str | None = None
) -> LimitLine:
    """Set a limit for all daemons, in force within a second.

    Args:
        database: written.
        scope: whose.
        name: the one that is meant, or `*` for each that has none of its own.
        rate: such as "100/min", "none", or "" to set a floor alone.
        burst: mails that may leave at once after a pause.
        floor: the rate below which none is learned, such as "1/min".

    Raises:
        LimitError: it cannot be a limit.
        DatabaseError: as every statement.
    """
    name = full_name(scope, name)
    tokens, seconds = (None, None) if rate.lower() in ("", NONE) else _parsed(rate)
    if not rate and floor is None:
        raise LimitError("neither a rate nor a floor is given", LIKE)
    least = None
    if floor is not None:
        mails, period = _parsed(floor)
        least = mails / period
        if rate.lower() == NONE:
            raise LimitError("a floor cannot go with `none`", "Leave the rate out to set a floor alone.")
    if tokens is not None and seconds is not None:
        try:
            Limit(tokens, seconds, burst=burst)
        except ValueError as problem:
            raise LimitError(str(problem), "A burst is paid for with the sustained rate.") from None
    elif burst is not None:
        raise LimitError("a burst needs a rate", LIKE)
    await database.fetch("limits/set", scope.value, name, tokens, seconds, burst, least)
    return LimitLine(scope.value, name, tokens, seconds, burst, least, "set", None)


async def reset_limit(database: Gateway, scope: Scope, name: str, *, learned_only: bool = False) -> Mapping[str, Any]:
    """Take back what was set of one, and forget what was learned: as if there had been nothing. Raises as `set_limit`.

    Returns:
        `settings`: limits that are no more; `learned`: rates that were forgotten.
    """
    name = full_name(scope, name)
    forgotten = await database.fetch("limits/forget", scope.value, None if name == EACH else name)
    taken = [] if learned_only else await database.fetch("limits/unset", scope.value, name)
    return {"settings": len(taken), "learned": forgotten[0]["rates"]}


async def forget_all(database: Gateway) -> int:
    """Forget every learned rate; how many those were. Raises DatabaseError."""
    rows = await database.fetch("limits/forget", None, None)
    return int(rows[0]["rates"])


def full_name(scope: Scope, name: str) -> str:
    """A name as it is stored: a lane without a group is the workspace's mails to all destinations that have no group."""
    if scope is Scope.LANE and name != EACH and "/" not in name:
        return f"{name}/"
    if scope is Scope.SYSTEM and name not in (EACH, SYSTEM_NAME):
        raise LimitError(f"the system has no part named {name}", f"Its name is {SYSTEM_NAME}.")
    return name


def _parsed(rate: str) -> tuple[int, float]:
    found = _RATE.fullmatch(rate.strip())
    if found is None or int(found[1]) < 1:
        raise LimitError(f"{rate!r} is no rate", LIKE)
    seconds = float(found[2] or 1) * UNITS[found[3].lower()]
    if not 0 < seconds <= 31 * 86_400:
        raise LimitError(f"{rate!r} has no period between 0 s and 31 d", LIKE)
    return int(found[1]), seconds
