"""Who is next: the workspaces that have work share what there is by their weights, exactly over time.

Stride scheduling (Waldspurger and Weihl, MIT/LCS/TM-528, 1995). Each workspace has come so far: the jobs that it got, divided by
its weight. Whoever is behind is next, and one claim brings those whose turn it is as far as each other. What cannot be
divided stays on the account, so that no error adds up. Who had no work comes in where the others are: waiting earns nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import floor

USUAL_WEIGHT = 1.0
# Accounts that are kept beyond those of workspaces with work: a bound on memory. The oldest tell nothing any more.
MOST_IDLE_ACCOUNTS = 1000
_ROUNDING = 1e-9  # of a job: what floats lose must not cost a whole one


class Shares:
    """The accounts of all workspaces at one priority.

    Args:
        weights: of workspaces that have another one than `USUAL_WEIGHT`; the caller may replace what is in it.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._come: dict[str, float] = {}
        self._had_work: set[str] = set()
        self._floor = 0.0

    def in_turn(self, workspaces: Collection[str]) -> list[str]:
        """All that have work now, in the order in which they are served."""
        come = self._come
        staying = [come[workspace] for workspace in workspaces if workspace in self._had_work]
        if staying:
            self._floor = max(self._floor, min(staying))
        if len(staying) < len(workspaces):
            for workspace in workspaces:
                if workspace not in self._had_work:
                    come[workspace] = max(come.get(workspace, 0.0), self._floor)
        self._had_work = set(workspaces)
        if len(come) > len(workspaces) + MOST_IDLE_ACCOUNTS:
            self._come = {
                workspace: so_far
                for workspace, so_far in come.items()
                if so_far > self._floor or workspace in self._had_work
            }
        return sorted(workspaces, key=self._come.__getitem__) if len(workspaces) > 1 else list(workspaces)

    def split(self, jobs: int, workspaces: Sequence[str], most: Sequence[float]) -> list[int]:
        """How many jobs each gets, so that all come as far as each other, or as far as they may.

        Args:
            jobs: in all.
            workspaces: as `in_turn` gave them.
            most: how many each may have; what one may not have goes to the others.
        """
        if len(workspaces) == 1:
            return [int(min(jobs, most[0]))]
        come = [self._come[workspace] for workspace in workspaces]
        weights = [self._weights.get(workspace, USUAL_WEIGHT) for workspace in workspaces]
        takes = [0] * len(workspaces)
        able = list(range(len(workspaces)))
        while able and jobs > 0:
            level = _level(jobs, [(come[place], weights[place]) for place in able])
            full = {place for place in able if weights[place] * (level - come[place]) > most[place]}
            if not full:
                _share_out(jobs, level, able, come, weights, most, takes)
                break
            for place in full:
                takes[place] = int(min(jobs, most[place]))
                jobs -= takes[place]
            able = [place for place in able if place not in full]
        return takes

    def charge(self, workspace: str, jobs: int) -> None:
        """It got so many."""
        self._come[workspace] = self._come.get(workspace, self._floor) + jobs / self._weights.get(
            workspace, USUAL_WEIGHT
        )


def _level(jobs: int, accounts: Sequence[tuple[float, float]]) -> float:
    """Up to where so many jobs bring all that are behind it; accounts in order."""
    weights = reached = 0.0
    level = accounts[0][0]
    for come, weight in accounts:
        if weights and come >= level:
            break
        weights += weight
        reached += weight * come
        level = (jobs + reached) / weights
    return level


def _share_out(
    jobs: int, level: float, able: Sequence[int], come: Sequence[float], weights: Sequence[float],
    most: Sequence[float], takes: list[int],
) -> None:  # fmt: skip
    """Whole jobs up to the level; what is left goes to those that are furthest behind then."""
    for place in able:
        takes[place] = min(jobs, max(0, floor(weights[place] * (level - come[place]) + _ROUNDING)))
        jobs -= takes[place]
    if jobs:
        behind = [place for place in able if takes[place] + 1 <= most[place]]
        behind.sort(key=lambda place: come[place] + takes[place] / weights[place])
        for place in behind[:jobs]:
            takes[place] += 1
