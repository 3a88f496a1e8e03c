"""Sees that tokens are in hand for what is claimed next: leased ahead of claims, in one statement for all buckets."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.lanes import LaneBook
from mailworkers.limits import BucketKey, Limiter, Scope
from mailworkers.limits.keys import OTHERS
from mailworkers.queue.states import Lane

# Claims that the tokens of a bucket suffice for, beside those promised to what waits in the buffer. With one, claims would be
# small for want of tokens, or wait for a lease; each more is kept from other daemons for up to a second.
RESERVE_CLAIMS: Final = 4
LOW_SHARE: Final = 0.5  # of the reserve: below it more are leased, while there are enough for the claim under way
ALONG_SHARE: Final = 0.9  # of the reserve: what has no more is leased along with others, which spares a statement soon


class Workers(Protocol):
    """What is asked of `mailworkers.daemon.crew.Crew`."""

    def keys(self, most: int | None = None) -> list[BucketKey]:
        """The buckets of all workers, or of so many."""

    def tokens(self) -> float:
        """Mails that their limits let them begin now, together."""


class Provision:
    """Leases tokens for the dispatcher.

    Args:
        limiter: what tokens are leased with.
        crew: who has buckets of their own.
        book: which lanes are due.
        buffer: what waits in it has tokens promised.
    """

    def __init__(self, limiter: Limiter, crew: Workers, book: LaneBook, buffer: Buffer) -> None:
        self._limiter = limiter
        self._crew = crew
        self._book = book
        self._buffer = buffer

    async def lease(self, wanted: Mapping[BucketKey, int]) -> None:
        """Have so many in hand, and tell workers that waited for them. Raises DatabaseError."""
        if wanted:
            await self._limiter.replenish(wanted)
            self._buffer.nudge()

    def lacking(
        self, claim: int, lanes: int, workers: int | None = None, workspaces: Collection[str] = ()
    ) -> dict[BucketKey, int]:
        """What is to be leased for what could be sent now: how many tokens to have in hand. Empty where nothing is low.

        Args:
            claim: jobs in one claim.
            lanes: of how many due lanes, those first whose turn it is next.
            workers: of how many; None: of all.
            workspaces: also of these, of which nothing is known to be due.
        """
        limiter = self._limiter
        if limiter.renewal == math.inf:
            return {}
        reserve = RESERVE_CLAIMS * claim
        promised = dict.fromkeys(self._crew.keys(workers), 0) | self._shared(lanes, workspaces)
        low, along = math.ceil(LOW_SHARE * reserve), math.ceil(ALONG_SHARE * reserve)
        if not any(limiter.runs_low(key, held + low) for key, held in promised.items()):
            return {}
        return {key: held + reserve for key, held in promised.items() if limiter.runs_low(key, held + along)}

    def suffices(self, claim: int, wanted: Mapping[BucketKey, int]) -> bool:
        """Whether the next claim may go on without these: what they lack keeps nothing of it back.

        Args:
            claim: jobs in it.
            wanted: what `lacking` has named.
        """
        limiter = self._limiter
        spare = (RESERVE_CLAIMS - 1) * claim  # `wanted` holds what is promised too
        return all(limiter.available(key) >= most - spare for key, most in wanted.items() if key.scope != Scope.WORKER)

    def lacks(self) -> bool:
        """Whether the ledger has just given less than was asked for."""
        limiter = self._limiter
        return any(limiter.wait(key) > 0 for key in (*self._crew.keys(), *limiter.common_keys()))

    def wait(self, lanes: int) -> float:
        """Seconds until asking for a token of so many due lanes, or of all mails, is worth while; infinity where none is missing."""
        limiter = self._limiter
        keys = [*self._crew.keys(), *limiter.common_keys()]
        for lane in self._book.due_lanes(lanes):
            keys += limiter.lane_keys(lane.workspace_id, lane.destination_group)
        return min((wait for key in keys if (wait := limiter.wait(key)) > 0), default=math.inf)

    def lane_wait(self, lane: Lane) -> float:
        """Seconds until asking for tokens of this lane is worth while; 0 where it has some, or nobody asked yet."""
        limiter = self._limiter
        return limiter.wait(*limiter.lane_keys(lane.workspace_id, lane.destination_group))

    # ------------------------------------------------------------ how many there are

    def common(self) -> float:
        """Mails for which all that counts for every mail has tokens."""
        limiter = self._limiter
        return min(self._crew.tokens(), limiter.available(*limiter.common_keys()))

    def of_workspace(self, workspace: str) -> float:
        """Mails of this workspace that it has tokens for, beside those in the buffer."""
        limiter = self._limiter
        return limiter.available(*limiter.keys_of(Scope.WORKSPACE, workspace)) - self._buffer.of(workspace)

    def of_group(self, group: str) -> float:
        """Mails to this destination group that it has tokens for, beside those in the buffer."""
        keys = self._limiter.keys_of(Scope.DESTINATION, group or OTHERS)
        return self._limiter.available(*keys) - self._buffer.of_group(group) if keys else math.inf

    def of_lane(self, lane: Lane) -> float:
        """Mails of this lane that the limits set for it allow."""
        limiter = self._limiter
        return limiter.available(*limiter.lane_keys(lane.workspace_id, lane.destination_group))

    def _shared(self, lanes: int, workspaces: Collection[str]) -> dict[BucketKey, int]:
        """The buckets that several workers draw from, and how many of their tokens are promised to what is in the buffer."""
        limiter, buffer = self._limiter, self._buffer
        shared = dict.fromkeys(limiter.common_keys(), len(buffer))
        due = set(self._book.due_lanes(lanes))
        for lane in due:
            for key in limiter.lane_keys(lane.workspace_id, lane.destination_group):
                shared[key] = (
                    buffer.of_group(lane.destination_group)
                    if key.scope == Scope.DESTINATION
                    else buffer.of(lane.workspace_id)
                )
        for workspace in {*buffer.workspaces(), *workspaces}.difference([lane.workspace_id for lane in due]):
            for key in limiter.keys_of(Scope.WORKSPACE, workspace):
                shared[key] = buffer.of(workspace)
        return shared
