"""The most memory that this process ever had."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # ru_maxrss comes in KiB on Linux and in bytes on macOS


def peak_bytes() -> int:
    """Octets, of its own.

    On Linux `VmHWM` of proc(5) and not getrusage(2), whose figure counts for a child what its parent had before it began: a
    daemon started by a process that once held a long list would seem to need as much.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # no /proc here
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024
