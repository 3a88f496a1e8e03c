"""Where a daemon's CPU time goes, by stage of a mail's way.

A timer of the process's own CPU time (ITIMER_PROF) interrupts it so often; each interrupt is counted for the stage whose
code runs, which is that of the innermost frame that belongs to one. A library's time thus counts for whoever called it,
and a mail pays nothing: at the kernel's usual 4 ms the cost is far below a percent. What C code does is counted when it
returns to Python, so for the caller too.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from types import FrameType

# The kernel rounds it up to its own tick, 1 to 10 ms.
INTERVAL_SECONDS = 0.001
DEEPEST = 60  # frames looked at, outwards

CLAIM, COMPOSE, SEND, ACK, METRICS, REST = "claim", "compose", "send", "ack", "metrics", "rest"
STAGES = (CLAIM, COMPOSE, SEND, ACK, METRICS, REST)

_PACKAGE = Path(__file__).resolve().parent.parent
# By file or folder; the first that fits counts. What stands here with None is looked through, to its caller.
_ROOMS: tuple[tuple[str, str | None], ...] = (
    ("queue/claim", CLAIM),
    ("queue/ack", ACK),
    ("daemon/dispatcher", CLAIM),
    ("daemon/lanes", CLAIM),
    ("daemon/buffer", CLAIM),
    ("limits/", CLAIM),
    ("daemon/preparing", COMPOSE),
    ("mail/", COMPOSE),
    ("transports/", SEND),
    ("bench/null_transport", SEND),
    ("daemon/worker", SEND),
    ("daemon/settling", ACK),
    ("daemon/outcomes", ACK),
    ("daemon/metrics", METRICS),
    ("daemon/histogram", METRICS),
    ("db/", None),
    ("replies", None),
)


class StageSampler:
    """Counts between `start` and `stop`. Only one in a process, in its main thread."""

    def __init__(self) -> None:
        self._samples: Counter[str] = Counter()
        self._stage_of_file: dict[str, str | None] = {}

    def start(self) -> None:
        """Begin, from zero."""
        self._samples.clear()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)

    def stop(self) -> dict[str, float]:
        """End; the share of each stage, together 1 (or nothing where nothing was seen)."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        seen = self._samples.total()
        return {stage: self._samples[stage] / seen for stage in STAGES} if seen else {}

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        for _ in range(DEEPEST):
            if frame is None:
                break
            file = frame.f_code.co_filename
            try:
                stage = self._stage_of_file[file]
            except KeyError:
                stage = self._stage_of_file[file] = stage_of(file)
            if stage is not None:
                self._samples[stage] += 1
                return
            frame = frame.f_back
        self._samples[REST] += 1


def stage_of(file: str) -> str | None:
    """The stage that a source file works for; None where its caller says that."""
    path = Path(file)
    if not path.is_relative_to(_PACKAGE):
        return None
    name = path.relative_to(_PACKAGE).as_posix()
    for room, stage in _ROOMS:
        if name.startswith(room):
            return stage
    return REST
