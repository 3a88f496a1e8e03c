"""How many rows one statement may take on."""

from __future__ import annotations

SHRINKS_BY = 8  # each failure costs a whole time-out: few of them lead to what can be done
GROWS_BY = 2


class Portion:
    """A number of rows that shrinks with each failure and grows again with each success.

    To release a job has PostgreSQL check all of its row again, which takes a fifth of a second for 5 MB of attachments.
    Some hundreds of such rows in one statement never come to an end within its time-out; a few do.

    Args:
        most: rows where nothing is wrong.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = most

    def failed(self) -> None:
        """The statement was ended by a time-out, or by something that fewer rows do no harm to."""
        self.size = max(1, self.size // SHRINKS_BY)

    def worked(self) -> None:
        """The statement was committed."""
        self.size = min(self._most, self.size * GROWS_BY)
