"""Rows, checked and folded, until there are enough for one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mailworkers.leads.address import NotAnAddress, normalized
from mailworkers.leads.fields import Reader, UnfitRow
from mailworkers.leads.rows import Malformed

ROWS: Final = 1000  # a few ms of the database's work: little is repeated after a kill, and nobody waits long for a lock
LONGEST_SHOWN: Final = 320  # characters of what was refused: the longest address that somebody may have meant, and more
UNSHOWABLE: Final = str.maketrans({"\0": "\ufffd"} | {chr(code): "\ufffd" for code in range(0xD800, 0xE000)})

Content = tuple[str | None, str]  # name, None where the file has none; data as JSON


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that becomes no lead: the line where it begins, what stands there for an address, and what is wrong."""

    line: int
    email: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction writes.

    `leads` are by address, each with what its first row says; `repeated` are the addresses of its other rows. `digest` and
    `bytes_read` are of the file up to `last_line`; `last` says that it ends there.
    """

    number: int
    first_line: int
    last_line: int
    digest: bytes
    bytes_read: int
    last: bool
    leads: Mapping[str, Content]
    repeated: tuple[str, ...]
    rejects: tuple[Reject, ...]


class Gathering:
    """The rows of one chunk.

    Args:
        reader: what takes a row apart.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._leads: dict[str, Content] = {}
        self._repeated: list[str] = []
        self._rejects: list[Reject] = []
        self.rows = 0

    def take(self, line: int, row: Any) -> None:
        """One more row, as `rows` reads it; `line` is where it begins."""
        self.rows += 1
        try:
            written, name, data = self._reader(row) if type(row) is not Malformed else _refused(row)
            email = normalized(written)
        except (UnfitRow, NotAnAddress) as problem:
            shown = row.text if isinstance(row, Malformed) else self._reader.raw_email(row)
            self._refuse(line, shown, str(problem))
            return
        if email in self._leads:
            self._repeated.append(email)
        else:
            self._leads[email] = (name, data)

    def chunk(
        self, *, number: int, first_line: int, last_line: int, digest: bytes, bytes_read: int, last: bool
    ) -> Chunk:
        """All of it."""
        return Chunk(
            number,
            first_line,
            last_line,
            digest,
            bytes_read,
            last,
            self._leads,
            tuple(self._repeated),
            tuple(self._rejects),
        )

    def _refuse(self, line: int, shown: str, reason: str) -> None:
        text = shown.strip()[:LONGEST_SHOWN].translate(UNSHOWABLE)
        self._rejects.append(Reject(line, text, reason.translate(UNSHOWABLE)))


def _refused(row: Malformed) -> tuple[str, str | None, str]:
    raise UnfitRow(row.reason)
