"""Which addresses are certainly new to a workspace, so that the database need not be asked about each."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

SLOTS: Final = (
    1 << 24
)  # octets: of two million addresses, a sixteenth meets a slot that another has taken, and is asked about


class Strangers:
    """Remembers what an import has written into a workspace that was empty when it began.

    An address shares its slot with others, so it may be taken for known when it is not; never the other way round. That somebody
    else adds leads meanwhile is not seen here but by the unique index, and told by `doubt_all`.

    Args:
        empty: whether the workspace has no lead yet. If it has, all addresses are to be asked about.
    """

    def __init__(self, *, empty: bool) -> None:
        self._taken = bytearray(SLOTS) if empty else None

    @property
    def all_in_doubt(self) -> bool:
        """Whether all addresses are to be asked about."""
        return self._taken is None

    def meet(self, emails: Collection[str]) -> list[str]:
        """Those to be asked about. From now on, all of these are."""
        taken, last = self._taken, SLOTS - 1
        if taken is None:
            return list(emails)
        slots = [hash(email) & last for email in emails]
        asked = [email for email, slot in zip(emails, slots, strict=True) if taken[slot]]
        for slot in slots:
            taken[slot] = 1
        return asked

    def doubt_all(self) -> None:
        """Somebody else adds leads to the workspace too."""
        self._taken = None
