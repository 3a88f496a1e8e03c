"""One kept connection: which mails are on their way, what the relay answered, and when to give up."""

from __future__ import annotations

import asyncio
import dataclasses
import math

from mailworkers.mail.message import WireMail
from mailworkers.replies import Broken, Outcome, Stage
from mailworkers.transports.base import MOST_AT_ONCE
from mailworkers.transports.ending import Ending
from mailworkers.transports.smtp.backlog import Backlog, holds_up_the_line
from mailworkers.transports.smtp.cadence import Cadence
from mailworkers.transports.smtp.outlet import Outlet
from mailworkers.transports.smtp.parser import ReplyParser
from mailworkers.transports.smtp.timeouts import StageTimeouts
from mailworkers.transports.smtp.transaction import Transaction, Verdict
from mailworkers.transports.smtp.wire import Mode, Offer, Prepared, prepare, stuffed

# Unfinished mails that keep the connection busy. Pipelining has one whose content awaits its last reply, one whose envelope is
# answered meanwhile, and one in hand, so that its envelope leaves together with the content before it.
WINDOWS = {Mode.PLAIN: 1, Mode.PIPELINING: 3, Mode.CHUNKING: 8}

# Octets of content that may be unfinished at once, beyond the first mail: bounds memory, and what one lost connection
# leaves in doubt.
MAX_BYTES_ON_THE_WAY = 1024 * 1024

# A larger mail goes by DATA although the relay offers BDAT: a refused recipient then costs a reply, not the content.
MAX_CHUNK = 256 * 1024

# After so many seconds of rest the relay may have closed the connection without our knowing. DATA tells before any
# content has left, BDAT would leave the mail in doubt.
TRUST_SECONDS = 1.0

# How often a session with unfinished mails looks whether one has waited too long. To be late by a second is nothing
# beside stages of minutes, and to set a timer for each mail would cost more than its envelope.
TICK_SECONDS = 1.0


class SmtpSession(asyncio.Protocol):
    """A negotiated connection that mails are submitted to; see `transports.base.Session` for the contract.

    It is the transport's protocol: everything happens in `submit` and in the loop's callbacks, without tasks, and with
    one timer for the session.

    Args:
        transport: connected and negotiated; nothing unread may be left of the negotiation.
        offer: what the relay's EHLO promised.
        mode: how to hold the conversation; no more than the offer allows.
        timeouts: per stage, in seconds.
        mails: how many the session carries before it is used up.
    """

    def __init__(
        self, transport: asyncio.Transport, offer: Offer, mode: Mode, timeouts: StageTimeouts, mails: int
    ) -> None:
        self.window = WINDOWS[mode]
        self.line = MOST_AT_ONCE - self.window
        self.mode = mode
        self.offer = offer
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._outlet = Outlet(transport)
        self._parser = ReplyParser()
        self._timeouts = timeouts
        self._stage_timeout = {
            Stage.MAIL: timeouts.mail,
            Stage.RCPT: timeouts.rcpt,
            Stage.DATA: timeouts.data,
            Stage.FINAL: timeouts.final,
        }
        self._mails_left = mails
        self._backlog = Backlog(self.window)
        self._latest: Transaction | None = None  # the last whose commands left
        self._cadence = Cadence()
        self._served = 0
        self._ended = ""
        self._closing = False
        self._quitting = False
        self._lost = self._loop.create_future()
        self._emptied: asyncio.Future[None] | None = None
        self._idle_since: float | None = self._loop.time()
        self._progress = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._tick = min(TICK_SECONDS, *dataclasses.astuple(timeouts))

    # What a worker uses -----------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        return not (self._ended or self._closing) and self._mails_left > 0 and not self._transport.is_closing()

    @property
    def idle_since(self) -> float | None:
        return self._idle_since

    def ready(self) -> bool:
        return (
            len(self._backlog) < self.window + self.line
            and not self._outlet.paused
            and (self._backlog.octets < MAX_BYTES_ON_THE_WAY or not self._backlog)
            and self.usable
        )

    def submit(self, mail: WireMail, deadline: float) -> Ending:
        ending = Ending(self._loop)
        prepared = prepare(mail, self.offer) if self.usable else self._unusable()
        if not isinstance(prepared, Prepared):
            self._settle(ending, prepared)
            return ending
        self._mails_left -= 1
        if not self._backlog:
            self._progress = self._loop.time()
        self._backlog.add(self._transaction(prepared, ending, deadline))
        self._idle_since = None
        self._begin()
        self._flush_soon()
        self._watch()
        return ending

    async def close(self, timeout: float) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(timeout):
                if self._backlog:
                    self._emptied = self._loop.create_future()
                    await self._emptied
                if not self._ended:
                    await self._quit()
        except TimeoutError:
            pass
        finally:
            self.abort()

    def recall(self, why: str) -> None:
        self._backlog.recall(why)

    def abort(self) -> None:
        self._end("the connection was given up", bystanders=True)

    async def _quit(self) -> None:
        self._quitting = True
        self._outlet.add(b"QUIT\r\n", 1)
        self._outlet.flush()
        async with asyncio.timeout(self._timeouts.quit):
            await asyncio.shield(self._lost)

    def _unusable(self) -> Broken:
        return Broken(Stage.MAIL, self._ended or "the connection takes no further mail", closing=True)

    def _settle(self, ending: Ending, outcome: Outcome) -> None:
        """End a mail that needs no relay, after those that were submitted before it."""
        if not self._backlog:
            ending.settle(outcome)
            return
        transaction = Transaction(None, ending, math.inf)
        transaction.settled = outcome
        self._backlog.add(transaction)

    # What leaves ------------------------------------------------------------------------------------------------

    def _transaction(self, prepared: Prepared, ending: Ending, deadline: float) -> Transaction:
        pipelined = self.mode is not Mode.PLAIN
        chunked = self.mode is Mode.CHUNKING and len(prepared.content) <= MAX_CHUNK and self._trusted()
        return Transaction(prepared, ending, deadline, pipelined=pipelined, chunked=chunked)

    def _trusted(self) -> bool:
        return self._idle_since is None or self._loop.time() - self._idle_since < TRUST_SECONDS

    def _begin(self) -> None:
        """Put the commands of every mail whose turn has come into the next write."""
        while self._backlog.has_turn and self._may_begin():
            transaction = self._backlog.begin()
            prepared = transaction.prepared
            assert prepared is not None
            previous = self._latest
            self._latest = transaction
            # The first of a connection goes alone; behind it only a relay whose replies tell themselves apart gets chunks.
            transaction.chunked &= previous is None or self._cadence.tells
            if previous is not None and (previous.open_at_relay or (previous.chunked and not previous.done)):
                transaction.resetting = True
                self._outlet.add(b"RSET\r\n", 1)
                if not transaction.pipelined:
                    return
            if transaction.pipelined:
                self._add_all_commands(transaction, prepared)
            else:
                self._outlet.add(prepared.mail, 1)

    def _flush_soon(self) -> None:
        """Write in the loop's next round: what is submitted in one breath leaves in one write, a system call less a mail."""
        if self._outlet.pending and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._outlet.flush()

    def _may_begin(self) -> bool:
        """DATA is the last command of its group (RFC 2920 §3.1): the next mail follows the content, or the refusal. A chunk is
        followed where a reply too many would be noticed."""
        previous = self._latest
        if previous is None or previous.done:
            return True
        return previous.pipelined and previous.content_begun and (not previous.chunked or self._cadence.tells)

    def _add_all_commands(self, transaction: Transaction, prepared: Prepared) -> None:
        commands = prepared.mail + b"".join(prepared.rcpt)
        count = 1 + len(prepared.rcpt)
        if transaction.chunked:
            self._outlet.add(b"%bBDAT %d LAST\r\n" % (commands, len(prepared.content)), count)
            transaction.content_begun = True
            self._outlet.add(prepared.content, 1, transaction)
        else:
            self._outlet.add(commands + b"DATA\r\n", count + 1)

    def _add_content(self, transaction: Transaction, content: bytes) -> None:
        transaction.content_begun = True
        self._outlet.add(stuffed(content), 0)
        self._outlet.add(b".\r\n", 1, transaction)

    def _add_next_command(self, transaction: Transaction) -> None:
        """Where each command waits for its reply."""
        prepared = transaction.prepared
        assert prepared is not None
        match transaction.stage:
            case Stage.MAIL:
                self._outlet.add(prepared.mail, 1)
            case Stage.RCPT:
                self._outlet.add(prepared.rcpt[transaction.recipients_answered], 1)
            case _:
                self._outlet.add(b"DATA\r\n", 1)

    # What arrives -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        replies = self._parser.feed(data)
        for code, text in replies:
            self._take(code, text)
            if self._ended:
                return
        if self._parser.fault:
            self._end(f"the relay {self._parser.fault}")
        elif replies:
            self._progress = self._loop.time()
            self._begin()
            self._outlet.flush()
            if not self._backlog:
                self._idle_since = self._progress

    def _take(self, code: int, text: bytes) -> None:
        head = self._backlog.head
        if self._outlet.owed == 0 or head is None:
            self._unasked(head, code, text)
            return
        self._outlet.owed -= 1
        if code == 421:
            self._told_to_go(head, text)
            return
        if self.mode is Mode.CHUNKING and not self._cadence.fits(head, code, text):
            head.doubt()
            self._end(f"the relay answered {code} to {head.stage.name} as it does to another command")
            return
        verdict, outcome = head.take(code, text)
        match verdict:
            case Verdict.WAIT:
                if not head.pipelined:
                    self._add_next_command(head)
            case Verdict.DONE:
                assert outcome is not None
                self._finish(outcome)
            case Verdict.SEND_CONTENT:
                assert head.prepared is not None
                self._add_content(head, head.prepared.content)
            case Verdict.SEND_NOTHING:
                self._add_content(head, b"")
            case Verdict.OUT_OF_STEP:
                self._end(f"the relay answered {code} out of turn")

    def _unasked(self, head: Transaction | None, code: int, text: bytes) -> None:
        """A reply that nothing was sent for. To pair it with any mail could lose one, so the connection is dropped."""
        if self._quitting:
            self._transport.close()
        elif code == 421:
            self._told_to_go(head, text)
        elif head is not None and head.content_begun and not head.handed and code >= 400:
            self._finish(head.refused(code, text))
            self._end("the relay refused the mail before while it was being sent", bystanders=True)
        else:
            self._end(f"the relay answered {code} without being asked", bystanders=head is None)

    def _told_to_go(self, head: Transaction | None, text: bytes) -> None:
        """421: the relay closes the connection and has read nothing behind the command it answers (RFC 5321 §3.8).

        On a kept connection that is no failure of any mail. On a fresh one, or as the answer to the content, or where it says
        so, it is an answer to this mail, or the relay's wish for less; otherwise a mail could go round for ever.
        """
        fresh = self._served == 0
        if head is not None and (fresh or head.stage is Stage.FINAL or head.asked_for_less(421, text)):
            self._finish(head.refused(421, text))
        self._end("the relay closed the connection (421)", told=True, bystanders=True)

    def eof_received(self) -> None:
        self._end("the relay closed the connection", relay_left=True)

    def connection_lost(self, exc: Exception | None) -> None:
        why = f"the connection broke: {exc}" if exc else "the relay closed the connection"
        self._end(why, relay_left=True)
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        self._outlet.paused = True

    def resume_writing(self) -> None:
        if not self._ended:
            self._progress = self._loop.time()
            self._outlet.resume()

    # How a mail and the connection end ----------------------------------------------------------------------------

    def _finish(self, outcome: Outcome) -> None:
        """The head has its last reply; with it end those behind it that need none."""
        self._served += 1
        if holds_up_the_line(outcome):
            self._backlog.recall("a mail before it was refused in a way that concerns it")
        self._conclude(outcome)
        while (head := self._backlog.head) is not None and head.settled is not None:
            self._conclude(head.settled)

    def _conclude(self, outcome: Outcome) -> None:
        self._backlog.end().ending.settle(outcome)
        if self._emptied is not None and not self._backlog and not self._emptied.done():
            self._emptied.set_result(None)

    def _end(self, why: str, *, relay_left: bool = False, told: bool = False, bystanders: bool = False) -> None:
        """Drop the connection; every unfinished mail ends by what was sent of it.

        Args:
            why: for the record.
            relay_left: it closed the connection; on a kept one without a reply to the mail, that is nobody's failure.
            told: it said 421, so nothing behind the mail it answered was read.
            bystanders: no unfinished mail is to blame, not even the first.
        """
        if self._ended:
            return
        self._ended = why
        self._outlet.discard()
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        first = True
        while (head := self._backlog.head) is not None:
            kept = relay_left and self._served > 0 and head.replies == 0
            closing = bystanders or not first or kept
            self._conclude(head.settled or head.interrupted(why, closing=closing, told=told))
            first = False

    # When to give up ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick, self._on_tick)

    def _on_tick(self) -> None:
        self._timer = None
        if not self._backlog:
            return
        now = self._loop.time()
        self._backlog.recall("the mail's deadline passed in line", before=now)
        if now >= self._progress + self._patience():
            self._end(f"{self._waiting_for()} within {self._patience():g} s")
        elif now >= self._backlog.deadline:
            self._end("the mail's deadline passed")
        else:
            self._watch()

    def _patience(self) -> float:
        """How long the first unfinished mail's stage may take, in seconds since the last progress."""
        head = self._backlog.head
        assert head is not None
        if head.resetting:
            return self._timeouts.rset
        if self._outlet.stuck and head.content_begun and not head.handed:
            return self._timeouts.block
        return self._stage_timeout[head.stage]

    def _waiting_for(self) -> str:
        head = self._backlog.head
        assert head is not None
        if head.content_begun and not head.handed:
            return "the relay did not read on"
        return f"the relay gave no answer to {'RSET' if head.resetting else head.stage.name}"
