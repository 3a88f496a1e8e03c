"""A daemon's process does not look again and again through what its start has made."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from mailworkers.daemon.collector import YOUNG_OBJECTS, calm_collector
before = len(gc.get_objects())
calm_collector()
assert gc.get_threshold()[0] == YOUNG_OBJECTS
assert gc.get_freeze_count() >= before * 0.9, "what was there is looked through no more"
class Cycle: pass
cycles = [Cycle() for _ in range(3)]
for cycle in cycles:
    cycle.itself = cycle
del cycle, cycles
assert gc.collect() >= 3, "what comes later still is"
"""


def test_what_the_start_made_is_left_alone_and_what_comes_later_is_collected() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stderr) == (0, "")
