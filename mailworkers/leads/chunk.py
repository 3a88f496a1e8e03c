"""Rows, checked and folded, until there are enough for one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mailworkers.leads.address import NotAnAddress, normalized
from mailworkers.leads.fields import Reader, UnfitRow
from mailworkers.leads.rows import Malformed, Row

ROWS: Final = 1000  # a few ms of the database's work: little is repeated after a kill, and nobody waits long for a lock
LARGE: Final = 4 * 1024 * 1024  # characters of merge variables: fewer rows are enough where each brings a book
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
        self._size = 0

    @property
    def rows(self) -> int:
        """How many there are so far."""
        return len(self._leads) + len(self._repeated) + len(self._rejects)

    @property
    def full(self) -> bool:
        """Whether there are enough for a chunk."""
        return self.rows >= ROWS or self._size >= LARGE

    def take(self, rows: Iterable[Row]) -> None:
        """More of them, as `rows` reads them."""
        reader, leads = self._reader, self._leads
        size = 0
        for line, row in rows:
            if type(row) is Malformed:
                self._refuse(line, row.text, row.reason)
                continue
            try:
                written, name, data = reader(row)
                email = normalized(written)
            except (UnfitRow, NotAnAddress) as problem:
                self._refuse(line, reader.raw_email(row), str(problem))
                continue
            if email in leads:
                self._repeated.append(email)
            else:
                leads[email] = (name, data)
                size += len(data)
        self._size += size

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
