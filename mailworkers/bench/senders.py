"""The references without a queue, in a process of their own: `python -m mailworkers.bench.senders`.

    session       the same composed bytes over our sessions: what is left when there is no queue
    aiosmtplib    the same composed bytes over kept connections of aiosmtplib
    naive         `EmailMessage` built for every mail, over kept connections of aiosmtplib

Each sends over the same number of connections as the daemon, for as many mails or as many seconds as the order says.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiosmtplib

from mailworkers.bench.answering import Parent, announce, run
from mailworkers.bench.mails import Mails
from mailworkers.errors import MailworkersError, RelayUnreachable
from mailworkers.mail.message import WireMail
from mailworkers.replies import Accepted, RelayDown, Throttled
from mailworkers.settings import Settings, load
from mailworkers.transports import transport_for
from mailworkers.transports.base import Session
from mailworkers.transports.ending import Ending

DEADLINE_SECONDS = 60.0  # of one mail
QUIT_SECONDS = 2.0
PREBUILT = 200  # different mails, composed before the clock starts and sent again and again


@dataclass(slots=True)
class Errand:
    """What one reference shares among its connections. `seconds` bounds all of it."""

    settings: Settings
    mails: Mails
    jobs: int
    seconds: float
    sent: int = 0
    began: float = 0.0

    def numbers(self) -> Iterator[int]:
        """Numbers of mails to send, until all have been taken or the time is up."""
        while self.jobs > 0 and time.monotonic() - self.began < self.seconds:
            self.jobs -= 1
            yield self.jobs


async def by_session(errand: Errand, gate: asyncio.Barrier, prebuilt: list[WireMail]) -> None:
    """One of our sessions, its window kept full."""
    session = await transport_for(errand.settings).connect()
    if isinstance(session, RelayDown | Throttled):
        raise RelayUnreachable(f"the relay refused a connection: {session.text}")
    await gate.wait()
    on_the_way: deque[Ending] = deque()
    for number in errand.numbers():
        while not session.ready():
            await _finish(errand, session, on_the_way)
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        on_the_way.append(session.submit(prebuilt[number % PREBUILT], deadline))
    while on_the_way:
        await _finish(errand, session, on_the_way)
    await session.close(QUIT_SECONDS)


async def _finish(errand: Errand, session: Session, on_the_way: deque[Ending]) -> None:
    if not on_the_way:
        raise RelayUnreachable("the relay closed a connection")
    outcome = await on_the_way.popleft()
    if not isinstance(outcome, Accepted):
        session.abort()
        raise RelayUnreachable(f"the relay did not take a mail: {getattr(outcome, 'text', outcome)}")
    errand.sent += 1


async def by_aiosmtplib(errand: Errand, gate: asyncio.Barrier, prebuilt: list[WireMail]) -> None:
    """One connection of aiosmtplib with bytes that were composed before."""
    async with _client(errand.settings) as client:
        await gate.wait()
        for number in errand.numbers():
            mail = prebuilt[number % PREBUILT]
            await client.sendmail(mail.envelope.mail_from, list(mail.envelope.rcpt_to), mail.content)
            errand.sent += 1


async def by_naive(errand: Errand, gate: asyncio.Barrier, _prebuilt: list[WireMail]) -> None:
    """One connection of aiosmtplib, each mail built by the standard library."""
    async with _client(errand.settings) as client:
        await gate.wait()
        for number in errand.numbers():
            await client.send_message(errand.mails.built(number))
            errand.sent += 1


WAYS: Mapping[str, Callable[[Errand, asyncio.Barrier, list[WireMail]], Awaitable[None]]] = {
    "session": by_session,
    "aiosmtplib": by_aiosmtplib,
    "naive": by_naive,
}


def _client(settings: Settings) -> aiosmtplib.SMTP:
    tls = settings.tls
    return aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.relay_port,
        use_tls=tls == "implicit",
        start_tls=tls == "required",
        username=settings.smtp_user or None,
        password=settings.smtp_password.get_secret_value() or None,
        cert_bundle=str(settings.smtp_ca_file) if settings.smtp_ca_file else None,
        local_hostname=settings.smtp_helo_name or "bench.example",
        timeout=DEADLINE_SECONDS,
    )


async def measure(order: Mapping[str, Any]) -> dict[str, object]:
    """Send as the order says; mails, seconds, and CPU seconds of this process, from the last connection's readiness on.

    Raises:
        RelayUnreachable: the relay could not be reached, or did not take a mail.
    """
    settings = load(**order["settings"])
    errand = Errand(settings, Mails(order["size"], html=order["html"]), order["jobs"], order["seconds"])
    prebuilt = [errand.mails.wire(number) for number in range(PREBUILT)]
    gate = asyncio.Barrier(settings.max_workers + 1)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(settings.max_workers):
                group.create_task(_within(WAYS[order["way"]](errand, gate, prebuilt), gate))
            await gate.wait()
            cpu = time.process_time()
            errand.began = time.monotonic()
    except* (OSError, aiosmtplib.SMTPException, asyncio.BrokenBarrierError, MailworkersError) as group_of:
        raise _first(group_of) from None
    return {
        "mails": errand.sent,
        "seconds": time.monotonic() - errand.began,
        "cpu_seconds": time.process_time() - cpu,
    }


async def _within(sending: Awaitable[None], gate: asyncio.Barrier) -> None:
    """Let nobody wait for a connection that failed."""
    try:
        await sending
    except BaseException:
        await gate.abort()
        raise


def _first(group: BaseExceptionGroup[Exception]) -> MailworkersError:
    causes = [error for error in group.exceptions if not isinstance(error, asyncio.BrokenBarrierError)]
    (error, *_) = causes or group.exceptions
    return error if isinstance(error, MailworkersError) else RelayUnreachable(f"{type(error).__name__}: {error}")


async def main() -> None:
    """Carry out one order."""
    order = await (await Parent.meet()).order()
    try:
        announce(await measure(order))
    except MailworkersError as known:
        announce({"error": str(known)})


if __name__ == "__main__":
    run(main())
