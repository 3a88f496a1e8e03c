"""Whose limit it is, and over what time: the names of the token buckets, and which of them the settings ask for.

A limit belongs to a scope and a name. Where several hold for one mail, it counts against all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from mailworkers.limits.bucket import Limit
from mailworkers.settings import Settings

SYSTEM_NAME: Final = "all"  # the system has one bucket a period
EACH: Final = "*"  # instead of a name: each of the scope that has no limit of its own
OTHERS: Final = "others"  # the group of all destinations without a group
REMEMBERED_WORKSPACES: Final = 10_000  # built keys kept: a workspace at work is looked up for every mail


class Scope(StrEnum):
    """Whose mails a bucket counts; stored in `worker_rate_limits.scope` and `limit_settings.scope`."""

    SYSTEM = "system"
    PROVIDER = "provider"  # the relay, by its host
    WORKSPACE = "workspace"
    DESTINATION = "destination"  # a group of mailbox providers; OTHERS for what is in none
    LANE = "lane"  # one workspace's mails to one group: "workspace/group"
    WORKER = "worker"


class Period(StrEnum):
    """What a limit of the settings is "per"; stored in `worker_rate_limits.period`, where others are seconds such as "90s"."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"

    @property
    def seconds(self) -> float:
        """Its length."""
        return _SECONDS[self]


_SECONDS: Final = {Period.SECOND: 1.0, Period.MINUTE: 60.0, Period.HOUR: 3600.0}


@dataclass(frozen=True, slots=True)
class BucketKey:
    """The primary key of a row of `worker_rate_limits`. Its hash is kept, since every mail looks several of them up."""

    scope: Scope
    name: str
    period: str
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.scope.value, self.name, str(self.period))))

    def __hash__(self) -> int:
        return self._hash


Limits = Mapping[tuple[Scope, str], Limit]  # by scope and period, for each of the scope; what is absent has no limit
# Of those that have a limit of their own, which stands instead of `Limits`; None: without any.
NamedLimits = Mapping[tuple[Scope, str], tuple[str, Limit] | None]


def period_name(seconds: float) -> str:
    """A period as it stands in a key."""
    return next((period.value for period, length in _SECONDS.items() if length == seconds), f"{seconds:g}s")


def lane_name(workspace: str, group: str) -> str:
    """A lane as it stands in a key. A group's name has no slash, so the last one divides the two."""
    return f"{workspace}/{group}"


def worker_keys(worker: str) -> tuple[BucketKey, ...]:
    """The buckets of one worker. `worker` must be the same after a restart, or its limit begins anew with it."""
    return (BucketKey(Scope.WORKER, worker, Period.MINUTE), BucketKey(Scope.WORKER, worker, Period.HOUR))


@lru_cache(maxsize=REMEMBERED_WORKSPACES)
def workspace_keys(workspace: str) -> tuple[BucketKey, ...]:
    """The buckets of one workspace, over all daemons."""
    return (BucketKey(Scope.WORKSPACE, workspace, Period.MINUTE),)


def system_keys() -> tuple[BucketKey, ...]:
    """The buckets that every mail of every daemon draws from."""
    return _SYSTEM_KEYS


_SYSTEM_KEYS: Final = (BucketKey(Scope.SYSTEM, SYSTEM_NAME, Period.SECOND),)


def limits_from(settings: Settings) -> Limits:
    """The limits that the settings ask for; a setting of 0 leaves its limit out."""
    allowed = {
        (Scope.SYSTEM, Period.SECOND): settings.system_rate_per_second,
        (Scope.WORKSPACE, Period.MINUTE): settings.workspace_rate_per_minute,
        (Scope.WORKER, Period.MINUTE): settings.worker_rate_per_minute,
        (Scope.WORKER, Period.HOUR): settings.worker_rate_per_hour,
    }
    return {
        (scope, period): Limit(tokens, period.seconds, settings.rate_buffer_percent)
        for (scope, period), tokens in allowed.items()
        if tokens
    }
