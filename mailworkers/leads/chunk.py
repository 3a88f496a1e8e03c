"""Rows, checked and folded, until there are enough for one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from mailworkers.leads.address import NotAnAddress, normalized, plain_ones
from mailworkers.leads.fields import Content, Reader, UnfitRow
from mailworkers.leads.rows import Malformed, Portion

ROWS: Final = 1000  # a few ms of the database's work: little is repeated after a kill, and nobody waits long for a lock
MOST_ROWS: Final = (
    4000  # some tens of ms of it, which a large import can spare: what each transaction costs by itself is shared
)
LEAST_BEFORE: Final = 50  # times as many rows as a chunk are committed before it: so much less is repeated after a kill
LARGE: Final = 4 * 1024 * 1024  # characters of merge variables: fewer rows are enough where each brings a book
LONGEST_SHOWN: Final = 320  # characters of what was refused: the longest address that somebody may have meant, and more
UNSHOWABLE: Final = str.maketrans({"\0": "\ufffd"} | {chr(code): "\ufffd" for code in range(0xD800, 0xE000)})


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


def rows_after(before: int) -> int:
    """How many rows make a chunk of an import that has read so many."""
    return min(max(ROWS, before // LEAST_BEFORE), MOST_ROWS)


class Gathering:
    """The rows of one chunk.

    Args:
        reader: what takes a row apart.
        most: how many rows are enough.
    """

    def __init__(self, reader: Reader, most: int = ROWS) -> None:
        self._reader = reader
        self._most = most
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
        return self.rows >= self._most or self._size >= LARGE

    @property
    def room(self) -> int:
        """How many more rows would be enough."""
        return self._most - self.rows

    def take(self, portion: Portion) -> None:
        """More of them."""
        rows = portion.rows
        many = None if Malformed in map(type, rows) else self._reader.many(rows)
        if many is None:
            for line, row in zip(portion.lines, rows, strict=True):
                self._take_one(line, row)
            return
        found, contents = plain_ones(many.written), many.contents
        if None in found:
            self._judge(portion.lines, many.written, found, contents)
        emails = cast("list[str]", found)
        leads = self._leads
        if leads.keys().isdisjoint(emails) and len({*emails}) == len(emails):
            leads.update(zip(emails, contents, strict=True))
            self._size += sum(len(data) for _, data in contents)
        else:
            for email, content in zip(emails, contents, strict=True):
                self._put(email, content)

    def _judge(
        self, lines: Sequence[int], written: Sequence[str], found: list[str | None], contents: list[Content]
    ) -> None:
        """Settle those that are not plain, so that no None is left."""
        for at in reversed([at for at, email in enumerate(found) if email is None]):
            try:
                found[at] = normalized(written[at])
            except NotAnAddress as problem:
                self._refuse(lines[at], written[at], str(problem))
                del found[at], contents[at]

    def _take_one(self, line: int, row: Any) -> None:
        if type(row) is Malformed:
            self._refuse(line, row.text, row.reason)
            return
        try:
            written, name, data = self._reader(row)
            email = normalized(written)
        except (UnfitRow, NotAnAddress) as problem:
            self._refuse(line, self._reader.raw_email(row), str(problem))
        else:
            self._put(email, (name, data))

    def _put(self, email: str, content: Content) -> None:
        if email in self._leads:
            self._repeated.append(email)
        else:
            self._leads[email] = content
            self._size += len(content[1])

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
