"""How many mails lanes, workspaces and destination groups may still have in a claim that is being planned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mailworkers.queue.states import Lane

if TYPE_CHECKING:
    from mailworkers.daemon.lanes import Front


class Allowances:
    """Each is asked for once. What a destination group may have is shared out among its lanes, so that no more of it is claimed
    than can be sent, and what other groups may have is not kept from them.

    Args:
        of_lane: how many a lane may have now.
        of_workspace: how many a workspace may have now, in all its lanes.
        of_group: how many of a destination group there may be now, of all workspaces.
    """

    def __init__(
        self,
        of_lane: Callable[[Lane], float],
        of_workspace: Callable[[str], float],
        of_group: Callable[[str], float],
    ) -> None:
        self._of_lane = of_lane
        self._of_workspace = of_workspace
        self._of_group = of_group
        self._lanes: dict[tuple[str, str], float] = {}
        self._workspaces: dict[str, float] = {}
        self._groups: dict[str, float] = {}
        self._sharers: dict[str, int] = {}

    def share(self, fronts: Iterable[Front], most: int) -> None:
        """These are due: what a group may have is for its lanes among them, of which a claim takes so many at most."""
        lanes = Counter(group for _, group in {front.key[:2] for front in fronts})
        self._sharers = {
            group: min(count, most) for group, count in lanes.items() if self._left_of_group(group) < math.inf
        }

    def of(self, front: Front) -> float:
        """How many more may come from here."""
        workspace = front.key[0]
        left = self._workspaces.get(workspace)
        if left is None:
            left = self._workspaces[workspace] = self._of_workspace(workspace)
        if left < 1:
            return left
        here = self._lanes.get(front.key[:2])
        if here is None:
            here = self._lanes[front.key[:2]] = self._part(front)
        return min(left, here)

    def together(self, fronts: Sequence[Front]) -> float:
        """How many more may come from these fronts of one workspace."""
        lanes = {front.key[:2]: front for front in fronts}
        return min(sum(map(self.of, lanes.values())), self._workspaces[fronts[0].key[0]])

    def spend(self, front: Front, jobs: int) -> None:
        """It gives so many."""
        self._lanes[front.key[:2]] -= jobs
        self._workspaces[front.key[0]] -= jobs

    def _part(self, front: Front) -> float:
        """What its lane may have, and of its group no more than falls to it."""
        wanted = self._of_lane(front.lane)
        group = front.key[1]
        sharers = self._sharers.get(group)
        if sharers is None or wanted < 1:
            return wanted
        left = self._left_of_group(group)
        part = min(wanted, math.ceil(math.floor(left) / sharers))
        if part >= 1:
            self._groups[group] = left - part
            self._sharers[group] = max(1, sharers - 1)
        return part

    def _left_of_group(self, group: str) -> float:
        left = self._groups.get(group)
        if left is None:
            left = self._groups[group] = self._of_group(group)
        return left
