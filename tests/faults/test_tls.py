"""Case 36: TLS that was taken away, that is somebody else's, that has expired, or that was tampered with."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost
from tests.support.certificates import Certificates, make_certificates
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 5
USER, PASSWORD = "ann", "open-sesame-4711"

Trick = Literal["stripped", "wrong name", "expired", "injected"]
SAID: dict[Trick, str] = {
    "stripped": "offers no STARTTLS",
    "wrong name": "certificate is not valid for 'localhost'",
    "expired": "certificate has expired",
    "injected": "more in clear behind its answer to STARTTLS",
}


@dataclass(slots=True)
class Meddled:
    """A relay of which someone on the way makes something else. `heard` is all that came after EHLO and STARTTLS."""

    trick: Trick
    certificates: Certificates
    heard: list[bytes] = field(default_factory=list)

    async def script(self, talk: Talk) -> None:
        """One connection."""
        if self.trick == "stripped":
            await talk.greet("AUTH PLAIN LOGIN", "PIPELINING")
            self.heard.append(await talk.until_gone())
            return
        await talk.greet("STARTTLS", "AUTH PLAIN LOGIN", "PIPELINING")
        await talk.expect("STARTTLS")
        if self.trick == "injected":
            await talk.send("220 2.0.0 go ahead", "250-hostile.example", "250 AUTH PLAIN")
        else:
            await talk.send("220 2.0.0 go ahead")
        try:
            await talk.start_tls(self._context())
            self.heard.append(await talk.until_gone())
        except OSError:  # the client did not like the certificate
            self.heard.append(b"")

    def _context(self) -> ssl.SSLContext:
        match self.trick:
            case "wrong name":
                return self.certificates.wrong_name
            case "expired":
                return self.certificates.expired
            case _:
                return self.certificates.good


async def test_case_36_tls_fails_closed(
    place: Place, start_daemon: StartDaemon, tmp_path: Path, measured: Measured
) -> None:
    certificates = make_certificates(tmp_path)
    asks = {
        "SMTP_HOST": "localhost", "SMTP_TLS": "required", "SMTP_CA_FILE": certificates.authority,
        "SMTP_USER": USER, "SMTP_PASSWORD": PASSWORD,
    }  # fmt: skip
    jobs = await insert(place.owner, MAILS)
    async with AsyncExitStack() as relays:
        # given daemons each of whose relays someone meddles with, and mails that wait
        meddled: list[tuple[Meddled, DaemonProcess]] = []
        for trick in SAID:
            one = Meddled(trick, certificates)
            relay = await relays.enter_async_context(HostileServer(one.script))
            meddled.append((one, start_daemon(place.dsn(), relay.port, MIN_WORKERS=1, MAX_WORKERS=1, **asks)))

        # when they are to be sent, then /health says what is wrong, and neither password nor mail has left
        for one, daemon in meddled:
            await daemon.ready()
            await eventually(partial(says, daemon, SAID[one.trick]), f"/health says what is wrong: {one.trick}")
            await eventually(partial(bool, one.heard), "the relay has heard all")
            assert set(one.heard) <= {b"", b"QUIT\r\n"}, one.trick
            assert PASSWORD not in daemon.output
        await nothing_lost(place.owner, jobs)
        for _, daemon in meddled:
            daemon.kill()

    # and when someone has put it right, then all leave, with no attempt spent
    async with Sink(keep_content=False, tls=certificates.good, credentials={USER: PASSWORD}) as sink:
        daemon = start_daemon(place.dsn(), sink.port, **asks)
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), daemon)
        assert all(mail.encrypted and mail.user == USER for mail in sink.mails)
    measured(
        f"case 36: {', '.join(SAID)}: 0 octets of AUTH or mail; lost 0, sent twice {found.twice}, attempts spent "
        f"{found.attempts}"
    )


async def says(daemon: DaemonProcess, reason: str) -> bool:
    """Whether its health page gives this reason for sending nothing."""
    answer = await daemon.health()
    if not answer:
        return False
    (check,) = answer["checks"]["relay"]
    return check["status"] == "fail" and reason in check["output"]
