"""What stands between the queue and the workers, as the dispatcher works with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.crew import Crew
from mailworkers.daemon.heartbeat import Heartbeat
from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.pacing import Pacing
from mailworkers.daemon.relay_gate import RelayGate
from mailworkers.daemon.settling import Settling
from mailworkers.daemon.trouble import Trouble
from mailworkers.daemon.vitals import Vitals
from mailworkers.limits import Limiter
from mailworkers.queue.ack import AckWriter
from mailworkers.queue.claim import Claims
from mailworkers.queue.states import Job


@dataclass(frozen=True, slots=True)
class Line:
    """What the dispatcher works with; `seen` hears of what was claimed, where somebody wants to."""

    claims: Claims
    buffer: Buffer
    book: LaneBook
    crew: Crew
    acks: AckWriter
    settling: Settling
    heartbeat: Heartbeat
    relay: RelayGate
    limiter: Limiter
    pacing: Pacing
    metrics: Metrics
    vitals: Vitals
    trouble: Trouble
    seen: Callable[[Sequence[Job]], None] | None = None
