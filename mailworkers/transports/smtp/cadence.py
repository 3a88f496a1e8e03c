"""Whether a relay's replies tell which command each is for, by their enhanced codes (RFC 2034, RFC 3463).

BDAT is answered 250 as MAIL and RCPT are, where DATA's 354 shows at each mail that relay and we are in step. With several mails on their way, one
reply too many would shift all that follow: a mail that was refused would be recorded as sent. Most relays say 2.1.0 to MAIL, 2.1.5 to RCPT
and 2.0.0 or 2.6.0 to the end of a mail: what a connection's first mail showed is held against all that come after it.
"""

from __future__ import annotations

from mailworkers.replies import Stage
from mailworkers.transports.smtp.transaction import Transaction

_TOLD_APART = (Stage.MAIL, Stage.RCPT, Stage.FINAL)


class Cadence:
    """What one connection's relay says when it agrees."""

    __slots__ = ("_codes", "tells")

    def __init__(self) -> None:
        self._codes: dict[Stage, bytes] = {}
        self.tells = False  # whether its replies to the three are known, and each has a code of its own

    def fits(self, transaction: Transaction, code: int, text: bytes) -> bool:
        """Whether a reply may be the one that this mail awaits: no, where the relay gives it to another command. Learns from what
        cannot be another's, the first one to each command. What is refused, and codes never heard before, prove nothing.
        """
        stage = transaction.stage
        if transaction.resetting or stage not in _TOLD_APART or not 200 <= code <= 299:
            return True
        said = _enhanced(text)
        if self.tells and transaction.chunked:
            return said == self._codes[stage] or said not in self._codes.values()
        self._codes.setdefault(stage, said)
        self.tells = len({*self._codes.values()} - {b""}) == len(_TOLD_APART)
        return True


def _enhanced(text: bytes) -> bytes:
    """The code's octets; none where the text begins with none."""
    code = text[:12].split(None, 1)[0] if text[:2] == b"2." else b""
    return code if code.count(b".") == 2 else b""
