"""Bytes in, SMTP replies out (RFC 5321 §4.2), in bounded memory."""

from __future__ import annotations

MAX_LINE = 8 * 1024  # octets; RFC 5321 says 512, some relays put essays behind a code
MAX_REPLY = 64 * 1024  # octets of all lines of one reply: a long EHLO has 2 KiB

_CODES = {str(code).encode(): code for code in range(200, 600)}
_CR, _SPACE, _HYPHEN = b"\r -"
_NO_DATA = b""


class ReplyParser:
    """Cuts what arrives, in whatever pieces, into replies.

    After `fault` is set the stream makes no sense any more and the connection must be dropped.
    """

    __slots__ = ("_code", "_lines", "_rest", "_size", "fault")

    def __init__(self) -> None:
        self._rest = _NO_DATA
        self._lines: list[bytes] = []
        self._code = 0
        self._size = 0
        self.fault = ""

    @property
    def between_replies(self) -> bool:
        """Whether everything that arrived so far belongs to a finished reply."""
        return not (self._rest or self._lines or self.fault)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The replies that `data` completes: code, and text with its lines separated by LF and without their codes."""
        if self._rest:
            data = self._rest + data
            self._rest = _NO_DATA
        replies: list[tuple[int, bytes]] = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            stop = end - 1 if end > start and data[end - 1] == _CR else end
            code = _CODES.get(data[start : start + 3], 0)
            separator = data[start + 3] if stop > start + 3 else _SPACE
            if code and separator == _SPACE and not self._lines and stop - start <= MAX_LINE:
                replies.append((code, data[start + 4 : stop]))
            elif not self._gather(code, separator, data[start + 4 : stop]):
                return replies
            elif separator == _SPACE:
                replies.append((code, b"\n".join(self._lines)))
                self._lines = []
                self._size = 0
            start = end + 1
        self._rest = data[start:]
        if len(self._rest) > MAX_LINE:
            self._rest = _NO_DATA
            self.fault = f"sent a line of more than {MAX_LINE} octets"
        return replies

    def _gather(self, code: int, separator: int, text: bytes) -> bool:
        """Keep one line of several; False where it cannot be one."""
        if not code or separator not in (_SPACE, _HYPHEN) or len(text) > MAX_LINE:
            self.fault = "sent a line that is no SMTP reply"
        elif self._lines and code != self._code:
            self.fault = "changed the code within a reply"
        self._code = code
        self._lines.append(text)
        self._size += len(text) + 6
        if self._size > MAX_REPLY:
            self.fault = f"sent a reply of more than {MAX_REPLY} octets"
        return not self.fault
