"""A transport that tells the bench when each mail was accepted, for measuring single inserts."""

from __future__ import annotations

import time

from mailworkers.bench.answering import announce
from mailworkers.mail.message import WireMail
from mailworkers.replies import Accepted, Outcome, RelayDown, Throttled
from mailworkers.transports.base import Session, Transport
from mailworkers.transports.ending import Ending


class TellingSession:
    """A session as it is; each mail's end is announced as `{"accepted": …, "at": monotonic seconds}`.

    The clock is the machine's, the same for all its processes.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.window = session.window
        self.line = session.line

    @property
    def usable(self) -> bool:
        return self._session.usable

    @property
    def idle_since(self) -> float | None:
        return self._session.idle_since

    def ready(self) -> bool:
        return self._session.ready()

    def submit(self, mail: WireMail, deadline: float) -> Ending:
        ending = self._session.submit(mail, deadline)
        ending.then = _tell
        return ending

    async def close(self, timeout: float) -> None:
        await self._session.close(timeout)

    def recall(self, why: str) -> None:
        self._session.recall(why)

    def abort(self) -> None:
        self._session.abort()


class TellingTransport:
    """Makes such sessions out of another transport's."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def connect(self) -> Session | RelayDown | Throttled:
        made = await self._transport.connect()
        return made if isinstance(made, RelayDown | Throttled) else TellingSession(made)

    def cut_off(self) -> int:
        return self._transport.cut_off()


def _tell(outcome: Outcome) -> None:
    announce({"accepted": isinstance(outcome, Accepted), "at": time.monotonic()})
