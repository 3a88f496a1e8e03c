"""A wall clock that a test may set, for one program and all that it starts: Debian's libfaketime.

The monotonic clock is left alone, as it is where an administrator or NTP sets the time of day.
"""

from __future__ import annotations

from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class WallClock:
    """Starts at the true time.

    Args:
        folder: for the file that the program reads at each look at its clock; it must be able to.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wall-clock"
        self.step(0)

    @property
    def variables(self) -> dict[str, str]:
        """What puts a program under this clock."""
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }

    def step(self, seconds: int) -> None:
        """Set it so many seconds before or after the true time."""
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{seconds:+d}")
        whole.chmod(0o644)
        whole.rename(self._file)
