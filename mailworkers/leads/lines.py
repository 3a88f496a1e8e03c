"""Whole lines of a source, block by block, and a digest of those that were used."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

from mailworkers.errors import LeadsError
from mailworkers.leads.source import Source

LONGEST_LINE: Final = 1024 * 1024  # characters; a row of contacts is not a book
DIGEST_BYTES: Final = 16


@dataclass(slots=True)
class Block:
    """Lines with their ends. `first` is the number of the first one, from 1; `last` whether none follow."""

    lines: list[str]
    first: int
    last: bool


class Lines:
    """A source as lines.

    Args:
        source: its bytes, whose first ones have been read already.
        head: those.
        encoding: as Python calls it. What does not fit it becomes lone surrogates, so that only its own row is refused.
    """

    def __init__(self, source: Source, head: bytes, encoding: str) -> None:
        self._source = source
        self._head = head
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if "16" not in encoding else "replace")
        self._end = ""
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._bytes_read = 0
        self._decoded = 0  # characters
        self._used = 0

    async def blocks(self) -> AsyncGenerator[Block, None]:
        """All lines.

        Raises:
            LeadsError: one is longer than `LONGEST_LINE`, so that this can be no list of contacts.
        """
        first, rest = 1, ""
        async for piece in self._pieces():
            text = self._decoder.decode(piece)
            self._decoded += len(text)
            rest += text
            lines = self._split(rest)
            rest = lines.pop()
            if len(rest) > LONGEST_LINE:
                raise LeadsError(
                    f"{self._source.name}: line {first + len(lines)} has more than {LONGEST_LINE:,} characters",
                    "Check that it is a CSV or JSON Lines file",
                )
            if lines:
                yield Block([line + self._end for line in lines], first, last=False)
                first += len(lines)
        text = self._decoder.decode(b"", final=True)
        self._decoded += len(text)
        rest += text
        lines = self._split(rest) if rest else [""]
        unended = lines.pop()
        yield Block([line + self._end for line in lines] + ([unended] if unended else []), first, last=True)

    def used(self, lines: list[str]) -> None:
        """These lines, which follow those before, have become rows."""
        text = "".join(lines)
        self._used += len(text)
        self._hash.update(text.encode("utf-8", "surrogatepass"))

    @property
    def bytes_used(self) -> int:
        """Of the source, about: what was read, less the part of it that no row has used yet."""
        return self._bytes_read * self._used // max(self._decoded, 1)

    def digest(self) -> bytes:
        """Of all lines used so far."""
        return self._hash.digest()

    async def _pieces(self) -> AsyncIterator[bytes]:
        if self._head:
            self._bytes_read = len(self._head)
            yield self._head
        async for piece in self._source.blocks():
            self._bytes_read += len(piece)
            yield piece

    def _split(self, text: str) -> list[str]:
        if not self._end:
            if "\n" not in text and "\r" not in text[:-1]:
                return [text]
            self._end = (
                "\n" if "\n" in text else "\r"
            )  # old spreadsheets on a Mac end lines with a carriage return alone
        return text.split(self._end)
