"""Bytes from a file or a pipe. The event loop never waits for a slow pipe, and no thread is left reading from one."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from mailworkers.errors import LeadsError

STANDARD_INPUT: Final = "-"
STANDARD_INPUT_DESCRIPTOR: int = 0
BLOCK_BYTES: Final = 256 * 1024  # some thousand rows: their text and the chunks made of it stay within a few MB
HEAD_BYTES: Final = 64 * 1024  # enough to tell encoding, delimiter and columns, and one file from another


@dataclass(frozen=True, slots=True)
class Source:
    """Where bytes come from. `size` is None where nobody knows it, as of a pipe."""

    name: str
    file: FileIO
    size: int | None

    async def head(self) -> bytes:
        """The first `HEAD_BYTES`, or all where there are fewer."""
        head = b""
        while len(head) < HEAD_BYTES:
            some = await self._read(HEAD_BYTES - len(head))
            if not some:
                break
            head += some
        return head

    async def blocks(self) -> AsyncIterator[bytes]:
        """All that follows, as it comes."""
        while block := await self._read(BLOCK_BYTES):
            yield block

    async def _read(self, count: int) -> bytes:
        if self.size is None:
            await _readable(self.file.fileno())
        try:
            return self.file.read(count) or b""
        except OSError as problem:
            raise LeadsError(f"cannot read {self.name}: {problem.strerror}") from None


@contextmanager
def opened(path: Path | str) -> Iterator[Source]:
    """A file, or standard input for `-`.

    Raises:
        LeadsError: it cannot be read.
    """
    try:
        if str(path) == STANDARD_INPUT:
            file, name = FileIO(STANDARD_INPUT_DESCRIPTOR, closefd=False), "standard input"
        else:
            file, name = FileIO(path), str(path)
    except OSError as problem:
        raise LeadsError(f"cannot read {path}: {problem.strerror}") from None
    with file:
        found = os.fstat(file.fileno())
        yield Source(name, file, found.st_size if stat.S_ISREG(found.st_mode) else None)


async def _readable(descriptor: int) -> None:
    """Wait, for as long as it takes, until there is something to read or nothing more to come."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except (OSError, ValueError):
        return  # what cannot be waited for, such as /dev/null, never keeps anybody waiting
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
