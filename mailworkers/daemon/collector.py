"""How often Python looks for reference cycles in a process that is a daemon and nothing else."""

from __future__ import annotations

import gc

# Containers made and not yet freed before the youngest are looked through; Python's 700 are some twenty mails. Looking
# through ten thousand takes about half a millisecond, which no reply notices.
YOUNG_OBJECTS = 10_000
YOUNG_ROUNDS = 20  # rounds over the youngest before one over the middle generation …
MIDDLE_ROUNDS = 20  # … and of these before one over everything


def calm_collector() -> None:
    """Leave modules and whatever else the start has made out of all further collections, and collect the rest less often.

    For the process that runs `mailworkers run`: about a twentieth of a busy daemon's CPU time otherwise goes into looking
    at what never becomes garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, MIDDLE_ROUNDS)
