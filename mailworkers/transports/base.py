"""What every transport is to the rooms above it: wire bytes in, outcome out; it knows nothing of queues."""

from __future__ import annotations

from typing import Final, Protocol

from mailworkers.mail.message import WireMail
from mailworkers.replies import RelayDown, Throttled
from mailworkers.transports.ending import Ending

# Mails of one session that may be unfinished at once, those in line included. A worker that begins several in one go spends
# less on each; but a mail that ended is not recorded before the worker is woken.
MOST_AT_ONCE: Final = 12


class Session(Protocol):
    """One kept connection to a relay. Used by one worker at a time; nothing of it may be called from another thread.

        session = await transport.connect()
        while session.usable:
            while session.ready() and (job := next_job()):
                results.append(session.submit(job.mail, deadline))
            await results.popleft()

    Where `ready()` is False on a usable session, it is True again at the latest when the oldest unfinished mail ends.
    """

    window: int  # unfinished mails that keep the connection busy: only of so many has anything left
    line: int  # how many more may stand in line behind those

    @property
    def usable(self) -> bool:
        """Whether further mails may be submitted: False once closed, broken, told 421 or used up. Mails that are on
        their way still end by themselves."""

    @property
    def idle_since(self) -> float | None:
        """`loop.time()` since when no mail is unfinished; None while one is."""

    def ready(self) -> bool:
        """Whether one more mail may be submitted now: usable, window, line and their bytes not filled, the
        relay reading."""

    def submit(self, mail: WireMail, deadline: float) -> Ending:
        """Start to send `mail`.

        Mails end in the order of submission, and every end is an outcome, never an error. Whoever gives a mail up must
        call `abort`; to stop waiting changes nothing on the wire.

        Args:
            mail: composed bytes and their envelope.
            deadline: `loop.time()` after which the connection is aborted if the mail is still unfinished.
        """

    async def close(self, timeout: float) -> None:
        """Let unfinished mails end, say QUIT, then close; abort whatever is left.

        Args:
            timeout: seconds for all of that.
        """

    def recall(self, why: str) -> None:
        """Take back the mails in line, of which nothing has left; they end in their turn as Broken, not begun.

        The session does so by itself where a refusal must be heeded first: a policy, a relay that takes nothing.

        Args:
            why: for the record.
        """

    def abort(self) -> None:
        """Drop the connection at once. Nothing buffered may leave any more; unfinished mails end as Broken or Lost."""


class Transport(Protocol):
    """A way out: it makes sessions."""

    async def connect(self) -> Session | RelayDown | Throttled:
        """Connect and negotiate, within time-outs of its own. Never raises for what a relay or a network does."""

    def cut_off(self) -> int:
        """Let nothing more leave by any session, from this moment on; how many connections that were.

        Fit for a signal handler: no session's state is touched. What the system was given before still arrives, replies can
        still be read, and each session ends by itself, as if the relay had closed it, when it writes next.
        """
