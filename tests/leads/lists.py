"""Lists as people hand them over, with what must become of each row."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from mailworkers.demo.leads import fold
from mailworkers.demo.make_leads import BAD, HEADER, rows

SEED = 20


def mixed(path: Path, count: int) -> dict[str, int]:
    """Write so many rows, with a byte-order mark; how many are new, duplicates and refused.

    The generator says which addresses are bad and which are copies; nothing of the import is asked.
    """
    outcomes: Counter[str] = Counter()
    seen: set[str] = set()
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for row in rows(count, SEED):
            writer.writerow(row)
            key = fold(row[0])
            outcomes["refused" if row[0] in BAD else "duplicates" if key in seen else "accepted"] += 1
            seen.add(key)
    return {"rows": count, "updated": 0, "kept": 0, **outcomes}
