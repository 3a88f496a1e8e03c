"""What daemons tell each other about limits by way of the database: what a person set, and what each has learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mailworkers.limits.bucket import Limit
from mailworkers.limits.keys import EACH, Limits, NamedLimits, Scope, period_name
from mailworkers.limits.ledger import Gateway

FRESH_SECONDS: Final = (
    30.0  # a daemon tells what it has learned each second; one that is silent for longer sends nothing either
)
MOST_ROWS: Final = 10_000  # of what was learned, read at once
LONGEST_REASON: Final = 500  # characters

Name = tuple[Scope, str]


@dataclass(frozen=True, slots=True)
class Learned:
    """One daemon's rate of one lane or relay: mails a second, and the seconds for which it still rests. `good` is None
    where it is not known yet."""

    scope: Scope
    name: str
    instance: str
    rate: float
    good: float | None
    rests: float
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """What this daemon has to tell of one rate. `is_new`: it has not told before."""

    scope: Scope
    name: str
    rate: float
    good: float | None
    rests: float
    reason: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class LimitSet:
    """A row of `limit_settings`, or what a destination publishes (`is_default`): that gives way to each that is set."""

    scope: Scope
    name: str
    tokens: int | None
    seconds: float | None
    burst: int | None = None
    floor: float | None = None
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """One look: `limits` is None where nothing was changed since the one before."""

    limits: tuple[LimitSet, ...] | None
    learned: Mapping[Name, Sequence[Learned]] = field(default_factory=dict)


class Sharing:
    """One daemon's part of it.

    Args:
        gateway: the database.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._version = 0

    async def read(self) -> Read:
        """What is set, where that changed, and what all daemons have learned. Raises DatabaseError."""
        rows = await self._gateway.fetch("limits/read", self._version, FRESH_SECONDS, MOST_ROWS)
        version = next(row["version"] for row in rows if row["kind"] == "version")
        changed = version != self._version
        self._version = version
        learned: dict[Name, list[Learned]] = defaultdict(list)
        for row in rows:
            if row["kind"] == "learned":
                scope = Scope(row["scope"])
                one = Learned(
                    scope, row["name"], row["instance"], row["rate"], row["good"], row["rests"], row["reason"]
                )
                learned[scope, row["name"]].append(one)
        limits = tuple(_limit_set(row) for row in rows if row["kind"] in ("set", "published")) if changed else None
        return Read(limits, learned)

    async def tell(self, instance: str, told: Sequence[Told], over: Iterable[Name] = ()) -> None:
        """Let the others know what this daemon has learned, and what is over. Raises DatabaseError."""
        over = list(over)
        await self._gateway.fetch(
            "limits/tell",
            instance,
            [one.scope.value for one in told],
            [one.name for one in told],
            [one.rate for one in told],
            [one.good for one in told],
            [one.rests for one in told],
            [one.reason[:LONGEST_REASON].replace("\x00", "") for one in told],
            [one.is_new for one in told],
            [scope.value for scope, _ in over],
            [name for _, name in over],
        )


def combined(limits: Limits, sets: Iterable[LimitSet], buffer_percent: int) -> tuple[Limits, NamedLimits]:
    """The settings' limits, and those of the database over them.

    What is set for each of a scope stands beside the settings' limits of other periods, and instead of the one of the same.
    """
    each: dict[tuple[Scope, str], Limit] = dict(limits)
    named: dict[Name, tuple[str, Limit] | None] = {}
    for one in sorted(sets, key=lambda one: not one.is_default):  # what is set comes last, and wins
        own: tuple[str, Limit] | None = None
        if one.tokens is not None and one.seconds is not None:
            own = (period_name(one.seconds), Limit(one.tokens, one.seconds, buffer_percent, one.burst))
        elif one.floor is not None:
            continue  # only a floor: what else holds stays
        if one.name != EACH:
            named[one.scope, one.name] = own
        elif own is not None:
            each[one.scope, own[0]] = own[1]
        else:
            each = {key: limit for key, limit in each.items() if key[0] is not one.scope}
    return each, named


def _limit_set(row: Mapping[str, Any]) -> LimitSet:
    return LimitSet(
        Scope(row["scope"]),
        row["name"],
        row["tokens"],
        row["seconds"],
        row["burst"],
        row["floor"],
        is_default=row["kind"] == "published",
    )
