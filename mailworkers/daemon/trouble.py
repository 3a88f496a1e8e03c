"""Database trouble as the daemon's loops meet it: told once, shown in the vitals, waited out with jitter."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.vitals import Vitals
from mailworkers.errors import DatabaseError, DatabaseUnavailable

FIRST_BACKOFF_SECONDS = 0.2
PATIENCE_SECONDS = 300.0  # housekeeping that fails may hold locks that mails wait for: not again at once
LONGEST_BACKOFF_SECONDS = 5.0  # a database that is back is found within this

log = structlog.get_logger(__name__)


class Trouble:
    """Which loops fail at the moment, and why."""

    def __init__(self, vitals: Vitals, metrics: Metrics) -> None:
        self._vitals = vitals
        self._metrics = metrics
        self._failing: dict[str, tuple[float, str]] = {}

    def met(self, where: str, error: DatabaseError, *, grave: bool = True) -> float:
        """The loop `where` failed; returns the seconds to wait before it tries again.

        Args:
            where: the loop's name.
            error: why.
            grave: mails wait for it. Else it is a warning only: housekeeping may fail while mail flows.
        """
        backoff = min(self._failing.get(where, (FIRST_BACKOFF_SECONDS / 2, ""))[0] * 2, LONGEST_BACKOFF_SECONDS)
        if where not in self._failing:
            log.warning("database trouble", where=where, problem=str(error))
        self._failing[where] = (backoff, str(error))
        if grave:
            self._vitals.database_problem = str(error)
        else:
            self._vitals.warnings[where] = str(error)
        self._metrics.database_error("unavailable" if isinstance(error, DatabaseUnavailable) else "refused")
        return backoff * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a secret

    def over(self, where: str) -> None:
        """The loop `where` works."""
        if self._failing and self._failing.pop(where, None) is not None:
            log.info("database answers again", where=where)
            self._metrics.reconnected("database")
            self._vitals.warnings.pop(where, None)
            problems = [problem for name, (_, problem) in self._failing.items() if name not in self._vitals.warnings]
            self._vitals.database_problem = problems[0] if problems else None

    async def keep_doing(
        self, where: str, interval: float, step: Callable[[], Awaitable[None]], *, grave: bool = True
    ) -> None:
        """Run `step` for ever, `interval` seconds apart, whatever the database does.

        Args:
            where: the loop's name, for logs.
            interval: seconds between two steps; jittered here by a tenth.
            step: one round; may raise DatabaseError.
            grave: as for `met`; what is not grave is tried again no sooner than a step would be, or `PATIENCE_SECONDS`.
        """
        while True:
            try:
                await step()
            except DatabaseError as error:
                backoff = self.met(where, error, grave=grave)
                await asyncio.sleep(backoff if grave else max(backoff, min(interval, PATIENCE_SECONDS)))
            else:
                self.over(where)
                await asyncio.sleep(interval * random.uniform(0.9, 1.1))  # noqa: S311
