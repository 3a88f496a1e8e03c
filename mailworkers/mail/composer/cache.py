"""Encoded parts that come again: a campaign's static body or picture is encoded for its first two mails, not for each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

# Hashes of what was asked for once. What is unique to one mail is never kept: to hold the last megabytes of personal texts would
# cost each mail more than its encoding, since nothing of it would find the processor's caches warm.
SEEN_KEPT = 4096
LARGEST_SHARE = 4  # one entry may take this fraction of the whole, so that a single file cannot sweep out all others


class PartCache:
    """The most recently used parts, bounded in bytes, each from its second time on. Safe to use from several threads.

    Args:
        max_bytes: of all keys and parts together, as the callers state them.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._parts: OrderedDict[Hashable, tuple[bytes, int]] = OrderedDict()
        self._seen: set[int] = set()
        self._lock = Lock()

    def get(self, key: Hashable) -> bytes | None:
        """The part kept under `key`, which counts as used now; None where there is none."""
        with self._lock:
            entry = self._parts.get(key)
            if entry is None:
                return None
            self._parts.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, part: bytes, size: int) -> None:
        """Keep a part that comes for the second time, and drop the least recently used while there are too many bytes.

        Args:
            size: bytes that key and part take together.
        """
        if size * LARGEST_SHARE > self._max_bytes:
            return
        with self._lock:
            if not self._came_before(hash(key)):
                return
            before = self._parts.pop(key, None)
            self._bytes += size - (before[1] if before else 0)
            self._parts[key] = (part, size)
            while self._bytes > self._max_bytes:
                self._bytes -= self._parts.popitem(last=False)[1][1]

    def _came_before(self, hashed: int) -> bool:
        if hashed in self._seen:
            return True
        if len(self._seen) >= SEEN_KEPT:
            self._seen.clear()
        self._seen.add(hashed)
        return False

    @property
    def bytes_used(self) -> int:
        """The sum of all sizes stated to `put`."""
        return self._bytes
