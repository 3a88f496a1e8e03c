"""What became of one attempt to send, as types chosen by `match`, and how a relay's answer turns into one of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mailworkers.frozen import frozen

MAX_TEXT = 1_000  # characters of a reply that are kept: the record shows a reason, not a relay's essay
MIN_RETRY_AFTER = 1.0  # seconds; sooner would be at once, while the relay asks for less
MAX_RETRY_AFTER = 86_400.0  # seconds; a relay that asks for more than a day is not believed


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


@frozen
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


@frozen
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
    idle connection that the relay had already closed: neither spends an attempt. Not `begun`, it stood in line behind others,
    and the relay has heard nothing of it."""

    stage: Stage
    text: str
    closing: bool = False
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Lost:
    """The reply to the final dot never came: sent or not, nobody here can know (RFC 1047)."""

    text: str


Outcome = Accepted | Rejected | Deferred | Throttled | RelayDown | Broken | Lost


# From a relay's words to a Reply ------------------------------------------------------------------------------------

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def make_reply(stage: Stage, code: int, text: str) -> Reply:
    """A Reply that may be stored and shown: enhanced code taken out, nothing unprintable, text bounded to `MAX_TEXT`.

    Args:
        stage: where in the conversation the reply was read.
        code: its three digits.
        text: its lines without the codes, separated by line feeds. The enhanced code (RFC 2034) may stand before each.
    """
    found = _ENHANCED.match(text)
    enhanced = found[1] if found else None
    if "\n" not in text:
        words = text[found.end() :] if found else text
    else:
        lines = [line.strip() for line in text[: 4 * MAX_TEXT].split("\n")]
        words = " ".join(line.removeprefix(enhanced).lstrip() if enhanced else line for line in lines)
    if not words.isprintable():
        words = _UNPRINTABLE.sub("?", words)
    return Reply(stage, code, enhanced, words[:MAX_TEXT].strip())


# What a reply means -------------------------------------------------------------------------------------------------

_NEGOTIATION = frozenset({Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})
_RECIPIENT = frozenset({Stage.RCPT, Stage.DATA, Stage.FINAL})
_CONTENT = frozenset({Stage.DATA, Stage.FINAL})
_ANY = frozenset(Stage)

_SLOW_DOWN = (
    r"\brat(?:e|es|ing)\b|too (?:many|much|fast)|try(?:ing)? again (?:later|in)|throttl|temporarily deferred|"
    r"\[(?:TS0[1-3]|TSS0[45]|IPTS04)\]"
)
_SLOWER = re.compile(_SLOW_DOWN, re.IGNORECASE)
_NO_SUCH_USER = (
    r"(?:user|recipient|mailbox|account|address)\b.{0,40}\b(?:unknown|not found|does(?: not|n't) exist|disabled|closed)|"
    r"(?:unknown|no such|invalid|non-?existent) (?:local )?(?:user|recipient|mailbox|account)"
)
_QUOTA = r"quota|mailbox (?:is )?full|full mailbox"
_TOO_MANY_RECIPIENTS = r"too many recipients"
_BLOCKED = r"block(?:ed|list)|black ?list|deny ?list|spamhaus|dnsbl|\brbl\b|reputation|\bspf\b|\bdkim\b|\bdmarc\b|relay(?:ing)? (?:access )?denied"
_SENDING_LIMIT = r"(?:sending|relay|message|hourly|daily) (?:limit|quota)"

_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = r"(?P<count>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:[.,][0-9]+)?) ?(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![^\W\d])"
_NEXT_PART = re.compile(r"(?:,? ?\band |, | )?" + _PART, re.IGNORECASE)
# A time to wait stands closely behind a word that asks for it. "300 per hour" and "50 mails in 60 seconds" are limits. What stands
# behind a sign, or within a date, a clock's time or an address, is none; of "5-10 minutes" the longer counts.
_DELAY = re.compile(
    r"\b(?:in|after|wait|retry|again|slow down)\b.{0,25}?(?<![\w.,:/+\-\u2212])(?:[0-9]+ ?[-\u2013] ?)?" + _PART,
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_LIMIT = re.compile(r"\b(?:per|every)\b|\d+ \w+ in\b", re.IGNORECASE)
_LIMIT_CHARACTERS = 20  # before a word that asks for a wait: "more than 50 messages " fits


def _retry_after(text: str) -> float | None:
    """The first time to wait that the text names, in seconds, from `MIN_RETRY_AFTER` to `MAX_RETRY_AFTER`."""
    for found in _DELAY.finditer(text):
        before = text[max(0, found.start() - _LIMIT_CHARACTERS) : found.start("count")]
        if _LIMIT.search(before) is None:
            return max(MIN_RETRY_AFTER, min(_seconds(text, found), MAX_RETRY_AFTER))
    return None


def _seconds(text: str, part: re.Match[str]) -> float:
    """Of a part and those that follow it in ever smaller units: "1m30s", "1 hour and 5 minutes"."""
    seconds, last = 0.0, math.inf
    following: re.Match[str] | None = part
    while following is not None:
        unit = _UNIT_SECONDS[following["unit"][0].lower()]
        if unit >= last:
            break
        seconds += _number(following["count"]) * unit
        last = unit
        following = _NEXT_PART.match(text, following.end())
    return seconds


def _number(digits: str) -> float:
    """With a point or a comma before its fraction; "1,200" is twelve hundred."""
    return float(digits.replace(",", "" if _THOUSANDS.fullmatch(digits) else "."))


def _say(meaning: str, reply: Reply) -> str:
    words = " ".join(part for part in (str(reply.code), reply.enhanced, reply.text) if part)
    return f"{meaning}: {words}"


_End = Callable[[str, Reply], Outcome]


def _person(text: str, reply: Reply) -> Outcome:
    return RelayDown(text, reply, person_must_act=True)


def _down(text: str, reply: Reply) -> Outcome:
    return RelayDown(text, reply)


def _throttled(text: str, reply: Reply) -> Outcome:
    return Throttled(text, reply, _retry_after(reply.text))


def _soft(text: str, reply: Reply) -> Outcome:
    return Deferred(FailureClass.PROVIDER, text, reply)


def _bounce(text: str, reply: Reply) -> Outcome:
    return Rejected(FailureClass.DATA, text, reply, hard_bounce=True)


def _message(text: str, reply: Reply) -> Outcome:
    return Rejected(FailureClass.DATA, text, reply)


def _policy(text: str, reply: Reply) -> Outcome:
    return Rejected(FailureClass.PROVIDER, text, reply, policy=True)


def _refused(text: str, reply: Reply) -> Outcome:
    return Rejected(FailureClass.PROVIDER, text, reply)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: a reply that was read in one of `stages` and fits every pattern given means `meaning` and ends as `end`.

    `code` is held against the three digits and `detail` against subject and detail of the enhanced code ("1.1" of
    "5.1.1", empty where there is none), both in full; `words` is searched in the text.
    """

    end: _End
    meaning: str
    code: re.Pattern[str]
    detail: re.Pattern[str] | None = None
    words: re.Pattern[str] | None = None
    stages: frozenset[Stage] = _ANY

    def fits(self, reply: Reply) -> bool:
        return (
            reply.stage in self.stages
            and self.code.fullmatch(str(reply.code)) is not None
            and (self.detail is None or self.detail.fullmatch((reply.enhanced or "")[2:]) is not None)
            and (self.words is None or self.words.search(reply.text) is not None)
        )


def _rule(
    end: _End, meaning: str, code: str, detail: str | None = None, words: str | None = None,
    stages: frozenset[Stage] = _ANY,
) -> Rule:  # fmt: skip
    return Rule(
        end,
        meaning,
        re.compile(code),
        None if detail is None else re.compile(detail),
        None if words is None else re.compile(words, re.IGNORECASE),
        stages,
    )


# The table. The first row that fits decides; the last two fit every refusal (RFC 5321 §4.2.1, RFC 3463).
# An exact enhanced code goes before words, and words before the bare code. Rows with detail "" serve relays that send
# no enhanced code.
RULES: tuple[Rule, ...] = (
    # our own standing with the relay: nothing about this mail
    _rule(_person, "the relay wants other credentials or TLS", "53[0458]"),
    _rule(_person, "the relay refuses AUTH", "5..", stages=frozenset({Stage.AUTH})),
    _rule(_throttled, "the relay asks for less", "4..", r"7\..*", stages=_NEGOTIATION),
    _rule(_throttled, "the relay asks for less", "4..", words=_SLOW_DOWN, stages=_NEGOTIATION),
    _rule(_down, "the relay is not ready", "4..", stages=_NEGOTIATION),
    _rule(_person, "the relay refuses this host", "5..", stages=_NEGOTIATION),
    # temporary: the recipient or the relay
    _rule(_soft, "the mailbox is full", "4..", r"2\.2"),
    _rule(_soft, "the mailbox is full", "452", "", _QUOTA, _RECIPIENT),
    _rule(_soft, "the relay is short of space", "452", r"3\.1"),
    _rule(_soft, "the next host does not answer", "451", r"4\.[135]"),
    _rule(_soft, "the relay gave the connection up", "421", r"4\.2"),
    _rule(_soft, "too many recipients for one mail", "4..", r"5\.3"),
    # The one 5xx that is tried again. RFC 821 gave "too many recipients" the code 552 by mistake, so that RFC 5321 §4.5.3.1.10
    # has clients take it for 452 there: about this mail and its recipient it says nothing.
    _rule(_soft, "too many recipients for one mail", "552", r"5\.3", stages=frozenset({Stage.RCPT})),
    _rule(_soft, "too many recipients for one mail", "552", "", _TOO_MANY_RECIPIENTS, frozenset({Stage.RCPT})),
    _rule(_throttled, "the relay asks for less", "4..", r"7\..*"),
    _rule(_throttled, "the relay asks for less", "421|45[014]", words=_SLOW_DOWN),
    _rule(_throttled, "the relay is closing the connection", "421"),
    # permanent: the recipient
    _rule(_bounce, "the recipient's address is dead", "5..", r"1\.(?:[12346]|10)|2\.1", stages=_RECIPIENT),
    _rule(_bounce, "the recipient's address is dead", "55[0134]", "", _NO_SUCH_USER, frozenset({Stage.RCPT})),
    # permanent: the recipient's mailbox. RFC 3463 §3.3 would have x.2.2 be used for transient failures, but leaves it to the first
    # digit to say which one is: who wants the mail again answers 452 4.2.2. Providers that have both say 552 5.2.2 where a
    # mailbox has been full for long. No bounce that proves an address dead: it may be emptied one day.
    _rule(_message, "the mailbox is full", "5..", r"2\.2"),
    _rule(_message, "the mailbox is full", "552", "", _QUOTA, _RECIPIENT),
    # permanent: this message
    _rule(_message, "the message is too large", "5..", r"3\.4|2\.3"),
    _rule(_message, "the message is too large", "552", "", r"\bsize\b|too (?:large|big)"),
    _rule(_message, "too many recipients for one mail", "5..", r"5\.3"),
    _rule(_message, "the content was refused", "55[24]", r"[67]\..*", stages=_CONTENT),
    # permanent: the sender or its domain needs attention, the recipient is not to blame
    _rule(_policy, "policy refuses the sender", "5..", r"7\..*"),
    _rule(_policy, "the sender's allowance is used up", "5..", r"4\.5"),
    _rule(_policy, "the sender's allowance is used up", "5..", words=_SENDING_LIMIT),
    _rule(_policy, "policy refuses the sender", "55[0134]", "", _BLOCKED),
    # the rest
    _rule(_soft, "refused for now", "4.."),
    _rule(_refused, "refused", "5.."),
)


def asks_for_less(reply: Reply) -> bool:
    """Whether a temporary refusal is plainly about how much is sent: by its enhanced code (x.7.x) or its words."""
    if not 400 <= reply.code <= 499:
        return False
    return (reply.enhanced or "").startswith("4.7.") or _SLOWER.search(reply.text) is not None


def classify(reply: Reply) -> Outcome:
    """What a reply means, by the table `RULES`.

    A 2xx after the content is `Accepted`. A code that is no answer to anything (1xx, 3xx, 2xx too early) says nothing
    about the mail and ends as `Deferred`. The one 5xx that is tried again is 552 for too many
    recipients (RFC 5321 §4.5.3.1.10).
    """
    if reply.stage is Stage.FINAL and 200 <= reply.code <= 299:
        return Accepted(reply)
    for rule in RULES:
        if rule.fits(reply):
            return rule.end(_say(rule.meaning, reply), reply)
    return Deferred(FailureClass.PROVIDER, _say("the relay answered out of turn", reply), reply)
