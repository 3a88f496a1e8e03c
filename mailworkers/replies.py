"""What became of one attempt to send, as types chosen by `match`, and how a relay's answer turns into one of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where in the conversation a reply was read or a connection was lost (RFC 5321 §4.5.3.2)."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"  # the content is on its way; the final dot or last chunk has not left
    FINAL = "final"  # the reply to the final dot, or to BDAT … LAST
    COMPOSE = "compose"  # before any conversation


class FailureClass(StrEnum):
    """Who is to look at a failure; stored in `email_retry_jobs.class`."""

    PROVIDER = "provider"
    NETWORK = "network"
    DATA = "data"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply: `enhanced` is RFC 3463's code such as "5.1.1" or None, `text` the joined lines without codes."""

    stage: Stage
    code: int
    enhanced: str | None
    text: str


@dataclass(frozen=True, slots=True)
class RefusedRecipient:
    """One recipient of several that the relay refused although the mail went to the others."""

    email: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Accepted:
    """The relay took responsibility (250 after the content). `refused` lists recipients that were left out."""

    reply: Reply
    refused: tuple[RefusedRecipient, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Permanent: never tried again. `policy`: the sender needs attention, not the recipient, and the lane rests a while.
    `hard_bounce`: the recipient's address is dead."""

    failure: FailureClass
    text: str
    reply: Reply | None = None
    policy: bool = False
    hard_bounce: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """Temporary: one attempt is spent, the next follows on the schedule."""

    failure: FailureClass
    text: str
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """The relay asks for less: no attempt is spent, the lane slows. `retry_after` in seconds, where the relay named it."""

    text: str
    reply: Reply | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class RelayDown:
    """No usable conversation (unreachable, bad certificate, refused AUTH): no attempt is spent, the transport rests.
    `person_must_act` where waiting alone will not help."""

    text: str
    reply: Reply | None = None
    person_must_act: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection ended before the mail could have been accepted: certainly not sent. `closing` marks a 421 or an
    idle connection that the relay had already closed: neither spends an attempt."""

    stage: Stage
    text: str
    closing: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The reply to the final dot never came: sent or not, nobody here can know (RFC 1047)."""

    text: str


Outcome = Accepted | Rejected | Deferred | Throttled | RelayDown | Broken | Lost
