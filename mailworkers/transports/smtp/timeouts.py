"""How long each stage of a conversation may take (RFC 5321 §4.5.3.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageTimeouts:
    """Seconds for each stage.

    The final one is long because to give up on that reply makes a duplicate (RFC 1047); the others follow RFC 5321's
    minimum, except that a connection which is not there after 30 s will not come.
    """

    connect: float = 30.0  # name, TCP
    greeting: float = 300.0  # also the handshake of implicit TLS
    ehlo: float = 300.0
    starttls: float = 120.0
    auth: float = 120.0
    negotiation: float = 360.0  # all of the above together, so that a trickling relay cannot hold a worker for long
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0  # until the relay reads on while content is on its way
    final: float = 600.0
    rset: float = 20.0
    quit: float = 20.0
