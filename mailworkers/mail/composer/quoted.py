"""Quoted-printable (RFC 2045 §6.7): whole texts, and texts in pieces of which many stand in every mail of a campaign."""

from __future__ import annotations

from binascii import b2a_qp
from collections.abc import Iterable

QP_LINE = 76  # RFC 2045 §6.7 (5)
READABLE_WORTH = 1.1  # quoted-printable, which people can read, may be so many times as long as base64
LEAST_RUN_CHARS = 64  # whole lines that are shorter together are encoded sooner than found
LONGEST_RUN_CHARS = 64 * 1024  # of one piece that is remembered; a long newsletter has as many in all
MOST_RUN_CHARS = 2 * 1024 * 1024  # in all of them, as they stand and encoded

# What quoted-printable leaves as it is. Both sets are what `b2a_qp` does, needed to foresee its length.
_QP_PLAIN = bytes(set(range(32, 127)) - {ord("=")}) + b"\t\r\n"

Run = tuple[str, bytes, str]
"""A piece: what ends a line begun before it, its whole lines as they are written, and the beginning of another line."""


def quoted_is_better(data: bytes) -> bool:
    """By the characters of either encoding; their line breaks cost the same."""
    escaped = len(data.translate(None, _QP_PLAIN))
    return len(data) + 2 * escaped <= READABLE_WORTH * 4 * len(data) / 3


def quoted_printable(data: bytes) -> bytes:
    """The lines of `data`, which all end with CRLF: by that `b2a_qp` writes soft line breaks as CRLF."""
    quoted = b2a_qp(data)
    if b" \r\n" in data or b"\t\r\n" in data:
        quoted = b"\r\n".join([_within_limit(line) for line in quoted.split(b"\r\n")])
    return quoted


def quoted_pieces(pieces: Iterable[str]) -> bytes:
    """The same as `quoted_printable` of all pieces together, ended with CRLF; what came before is not encoded again.

    What a line becomes depends on that line alone, so that lines may be encoded apart.

    Args:
        pieces: of a text that has no CR and is not empty.
    """
    runs = _runs
    done: list[bytes] = []
    begun: list[str] = []  # since the last line end
    for piece in pieces:
        run = runs[piece] if LEAST_RUN_CHARS < len(piece) <= LONGEST_RUN_CHARS else None
        if run is None:
            begun.append(piece)
            continue
        begun.append(run[0])
        done.append(_lines("".join(begun)))
        done.append(run[1])
        begun = [run[2]]
    rest = "".join(begun)
    if rest:
        done.append(_lines(rest if rest.endswith("\n") else rest + "\n"))
    return b"".join(done)


class _Runs(dict[str, "Run | None"]):
    """Pieces that came before; None where one has too few whole lines. A dict, because a hit must cost no call of Python's."""

    def __init__(self) -> None:
        self._chars = 0

    def __missing__(self, piece: str) -> Run | None:
        first, last = piece.find("\n") + 1, piece.rfind("\n") + 1
        short = last - first < LEAST_RUN_CHARS
        run = None if short else (piece[:first], _lines(piece[first:last]), piece[last:])
        size = 2 * len(piece) + (0 if run is None else len(run[1]))
        if self._chars + size > MOST_RUN_CHARS:
            self.clear()
            self._chars = 0
        self._chars += size
        self[str(piece)] = run
        return run


_runs = _Runs()


def _lines(text: str) -> bytes:
    return quoted_printable(text.encode().replace(b"\n", b"\r\n")) if text else b""


def _within_limit(line: bytes) -> bytes:
    """`b2a_qp` escapes a blank at a line's end after it counted, so that such a line can have 78 octets."""
    return line if len(line) <= QP_LINE else line[:-3] + b"=\r\n" + line[-3:]
