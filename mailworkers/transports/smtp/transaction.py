"""One mail's part of the conversation: which reply it awaits, and what its replies mean together. No I/O."""

from __future__ import annotations

from enum import Enum, auto

from mailworkers.replies import (
    Accepted,
    Broken,
    Deferred,
    Lost,
    Outcome,
    RefusedRecipient,
    Reply,
    Stage,
    Throttled,
    asks_for_less,
    classify,
    make_reply,
)
from mailworkers.transports.ending import Ending
from mailworkers.transports.smtp.wire import Prepared

_ENVELOPE_STAGES = (Stage.MAIL, Stage.RCPT)


class Verdict(Enum):
    """What a reply asks the session to do."""

    WAIT = auto()  # for the next reply, or to write the next command where each waits for its reply
    SEND_CONTENT = auto()
    SEND_NOTHING = auto()  # DATA was accepted although nobody is left to get the mail: a lone dot (RFC 2920 §3.1)
    DONE = auto()
    OUT_OF_STEP = auto()  # no reply that can follow here: relay and we disagree about where we are


class Transaction:
    """From submission to outcome.

        [RSET] ─▶ MAIL ─▶ RCPT … ─▶ DATA ─▶ FINAL         with `chunked`, BDAT … LAST stands for DATA and content

    `handed` tells that the content's end was given to the kernel or the transport's buffer: from then on only a reply
    can tell what became of the mail.
    """

    __slots__ = (
        "_accepted", "_mail_reply", "_refused", "begun", "chunked", "content_begun", "deadline", "done", "ending",
        "handed", "open_at_relay", "pipelined", "prepared", "replies", "resetting", "settled", "size", "stage",
    )  # fmt: skip

    def __init__(
        self, prepared: Prepared | None, ending: Ending, deadline: float, *,
        pipelined: bool = False, chunked: bool = False,
    ) -> None:  # fmt: skip
        self.prepared = prepared
        self.ending = ending
        self.deadline = deadline
        self.pipelined = pipelined
        self.chunked = chunked
        self.size = len(prepared.content) if prepared else 0
        self.stage = Stage.MAIL
        self.settled: Outcome | None = None  # decided without the relay; waits for its turn only
        self.resetting = False
        self.begun = False
        self.content_begun = False
        self.handed = False
        self.done = False
        self.open_at_relay = False  # ended without end of data: MAIL must not follow without RSET
        self.replies = 0
        self._accepted = 0
        self._mail_reply: Reply | None = None
        self._refused: list[RefusedRecipient] = []

    def take(self, code: int, text: bytes) -> tuple[Verdict, Outcome | None]:
        """Judge the next reply. With DONE comes the outcome."""
        self.replies += 1
        if self.resetting:
            self.resetting = False
            return (Verdict.WAIT if 200 <= code <= 299 else Verdict.OUT_OF_STEP), None
        if self.stage in _ENVELOPE_STAGES:
            if 300 <= code <= 399:
                return Verdict.OUT_OF_STEP, None
            return self._take_mail(code, text) if self.stage is Stage.MAIL else self._take_rcpt(code, text)
        if self.stage is Stage.DATA:
            return self._take_data(code, text)
        return self._take_final(code, text)

    def doubt(self) -> None:
        """The replies so far may have been another mail's."""
        self._mail_reply = None
        self._refused.clear()

    def interrupted(self, why: str, *, closing: bool, told: bool = False) -> Outcome:
        """The outcome where the connection ends before the mail's last reply.

        Args:
            why: for the record.
            closing: whether the end is nobody's failure, so that no attempt is spent.
            told: the relay said 421 to a mail before this one, so it read no further.
        """
        refusal = self._refusal()
        if refusal is not None:
            return classify(refusal)
        if self.handed and not told:
            return Lost(f"{why}; whether the relay took the mail is unknown")
        stage = Stage.BODY if self.content_begun and not self.chunked else self.stage
        return Broken(stage, why, closing=closing, begun=self.begun)

    def refused(self, code: int, text: bytes) -> Outcome:
        """The outcome where `code` is the relay's last word: the connection ends with it."""
        return classify(self._refusal() or make_reply(self.stage, code, _text(text)))

    def asked_for_less(self, code: int, text: bytes) -> bool:
        """Whether that reply is plainly about how much is sent."""
        return asks_for_less(make_reply(self.stage, code, _text(text)))

    @property
    def recipients_answered(self) -> int:
        """To how many RCPT the relay has replied."""
        return self._accepted + len(self._refused)

    def _take_mail(self, code: int, text: bytes) -> tuple[Verdict, Outcome | None]:
        self.stage = Stage.RCPT
        if code <= 299:
            self.open_at_relay = True
            return Verdict.WAIT, None
        self._mail_reply = make_reply(Stage.MAIL, code, _text(text))
        return (Verdict.WAIT, None) if self.pipelined else (Verdict.DONE, classify(self._mail_reply))

    def _take_rcpt(self, code: int, text: bytes) -> tuple[Verdict, Outcome | None]:
        assert self.prepared is not None
        recipients = self.prepared.recipients
        if code <= 299:
            self._accepted += 1
        else:
            recipient = recipients[self.recipients_answered]
            self._refused.append(RefusedRecipient(recipient, make_reply(Stage.RCPT, code, _text(text))))
        if self.recipients_answered < len(recipients):
            return Verdict.WAIT, None
        self.stage = Stage.FINAL if self.chunked else Stage.DATA
        if self._accepted or self.pipelined:
            return Verdict.WAIT, None
        return Verdict.DONE, self._refused_outcome()

    def _take_data(self, code: int, text: bytes) -> tuple[Verdict, Outcome | None]:
        if code == 354:
            self.stage = Stage.FINAL
            self.open_at_relay = False  # the end of data closes it, whatever the relay answers (RFC 5321 §4.1.1.4)
            return (Verdict.SEND_CONTENT if self._refusal() is None else Verdict.SEND_NOTHING), None
        if code <= 399:
            return Verdict.OUT_OF_STEP, None
        return Verdict.DONE, self._refused_outcome() or classify(make_reply(Stage.DATA, code, _text(text)))

    def _take_final(self, code: int, text: bytes) -> tuple[Verdict, Outcome | None]:
        if 300 <= code <= 399:
            return Verdict.OUT_OF_STEP, None
        self.open_at_relay = self.chunked and code > 299
        reply = make_reply(Stage.FINAL, code, _text(text))
        refused = self._refused_outcome()
        if refused is not None:
            return Verdict.DONE, refused
        return Verdict.DONE, Accepted(reply, tuple(self._refused)) if code <= 299 else classify(reply)

    def _refusal(self) -> Reply | None:
        """The reply that ended the mail before its content, as far as replies tell already."""
        if self._mail_reply is not None:
            return self._mail_reply
        if self._accepted or self.prepared is None or len(self._refused) < len(self.prepared.recipients):
            return None
        return min((refused.reply for refused in self._refused), key=_hopelessness)

    def _refused_outcome(self) -> Outcome | None:
        refusal = self._refusal()
        return None if refusal is None else classify(refusal)


def _hopelessness(reply: Reply) -> int:
    """Where every recipient was refused, the mail is tried again as long as one of them may still take it."""
    outcome = classify(reply)
    return 0 if isinstance(outcome, Throttled) else 1 if isinstance(outcome, Deferred) else 2


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
