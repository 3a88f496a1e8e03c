"""What the daemon knows of itself, kept up to date by its loops and read by the health page, the metrics and the watchdog.

Whoever reads it asks nothing of anybody: no query, no wait. All times are those of `time.monotonic()`, in seconds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from mailworkers.queue.depth import QueueDepth

Phase = Literal["starting", "running", "draining", "stopped"]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A lane, or the whole relay, that is sent to more slowly since it asked for that.

    `rate` is this daemon's, `of_all` that of all daemons, in mails a second; `lasts` and `rests` are seconds: since when, and for
    how long nothing at all is sent.
    """

    rate: float
    of_all: float
    lasts: float
    rests: float
    reason: str


@dataclass(slots=True)
class Vitals:
    """One daemon at this moment.

    `database_problem` and `relay_problem` are one sentence while the trouble lasts, else None; `liveness_lost` tells that
    the session lock is gone and nothing new is started; `writing_stalled` that results cannot be written, so nothing is
    claimed. `last_claim` is the last successful look for work, whether it found any or not. `resting_lanes` gives the
    reason of each lane that waits, `lowered` each that is slowed, `slowed_by_load` tells why this daemon slows itself down, and
    `load_rate` to how many mails a second; `warnings` a sentence for each check that maintenance found wanting. `warm_ups` are live.
    """

    instance: str = ""
    daemon_id: int | None = None
    schema_version: int = 0
    phase: Phase = "starting"
    started_at: float = field(default_factory=time.monotonic)

    database_problem: str | None = None
    relay_problem: str | None = None
    liveness_lost: bool = False
    writing_stalled: bool = False

    last_claim: float | None = None
    last_heartbeat: float | None = None
    last_ack: float | None = None

    unwritten: int = 0
    max_unwritten: int = 0
    in_flight: int = 0
    buffered: int = 0
    workers: int = 0
    connected: int = 0

    queue: QueueDepth | None = None
    resting_lanes: dict[str, str] = field(default_factory=dict)
    lowered: dict[str, Lowered] = field(default_factory=dict)
    slowed_by_load: str | None = None
    load_rate: float | None = None
    warnings: dict[str, str] = field(default_factory=dict)
    warm_ups: int = 0
    loop_lag: float = 0.0
