"""Whether the relay can be talked to: a circuit breaker that lets one worker at a time try."""

from __future__ import annotations

import asyncio
import random
import time

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0
# A refused password or certificate does not mend itself, and trying it often gets an account locked.
PERSON_REST_SECONDS = 30.0
LONGEST_PERSON_REST_SECONDS = 300.0
# Where a relay took five connections and refused the sixth, five is what it tolerates; after this, one more is tried.
TOLERANCE_SECONDS = 60.0
WAIT_SECONDS = 1.0


class RelayGate:
    """Open while connecting works. `problem` is a sentence while it does not."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._rest = 0.0
        self._until = 0.0
        self._probing = False
        self._changed = asyncio.Event()
        self._tolerated: int | None = None
        self._tolerated_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether mails may be claimed and begun."""
        return self.problem is None

    def tolerated(self, connected: int) -> int | None:
        """How many connections the relay is known to tolerate; None where no bound is known."""
        if self._tolerated is not None and time.monotonic() > self._tolerated_until:
            self._tolerated = None
        return None if self._tolerated is None else max(1, self._tolerated, connected)

    async def permission(self) -> None:
        """Return when this worker may connect: at once while open, else when its turn to probe has come."""
        while not self.is_open:
            wait = self._until - time.monotonic()
            if wait <= 0 and not self._probing:
                self._probing = True
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(max(0.01, min(wait, WAIT_SECONDS)) if wait > 0 else WAIT_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def give_up_probe(self) -> None:
        """The worker that was to probe was stopped before it knew."""
        self._probing = False
        self._changed.set()

    def up(self) -> bool:
        """Connecting worked; tells whether the gate had been shut."""
        was_shut = not self.is_open
        self.problem, self._rest, self._probing = None, 0.0, False
        self._changed.set()
        return was_shut

    def down(self, problem: str, *, person_must_act: bool, connected: int, wait: float | None = None) -> float:
        """Connecting failed; returns the seconds that this worker should rest.

        Args:
            problem: what happened, in one sentence.
            person_must_act: waiting alone will not help.
            connected: other connections that work: then the relay is up and only refuses more of them.
            wait: seconds, where the relay named them.
        """
        news = self.is_open or self._probing  # else one of several that had begun before the gate was shut
        self._probing = False
        if connected > 0 and not person_must_act:
            self._tolerated, self._tolerated_until = connected, time.monotonic() + TOLERANCE_SECONDS
            self._changed.set()
            return WAIT_SECONDS
        if not news:
            return 0.0
        first, longest = (
            (PERSON_REST_SECONDS, LONGEST_PERSON_REST_SECONDS)
            if person_must_act
            else (FIRST_REST_SECONDS, LONGEST_REST_SECONDS)
        )
        self._rest = wait or min(max(first, self._rest * 2), longest)
        self._until = time.monotonic() + self._rest * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a secret
        self.problem = problem
        self._changed.set()
        return 0.0
