"""From an address to a session: TCP, TLS, EHLO, AUTH, by aiosmtplib; then its transport is handed over."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import aiosmtplib

from mailworkers.replies import RelayDown, Stage, Throttled, classify, make_reply
from mailworkers.transports.smtp.lines import OpenLines
from mailworkers.transports.smtp.sentry import Sentry
from mailworkers.transports.smtp.session import SmtpSession
from mailworkers.transports.smtp.timeouts import StageTimeouts
from mailworkers.transports.smtp.wire import Mode, Offer

_UNKNOWN_COMMAND = frozenset({500, 501, 502, 504})  # RFC 5321 §4.2.2: not understood, rather than not allowed
_HOST_NAME = re.compile(r"[A-Za-z0-9._\-]+|\[[A-Za-z0-9.:]+\]")


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail goes, and how. `mails_per_connection`: a session is used up after so many."""

    host: str
    port: int
    tls: Literal["required", "implicit", "none"]
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    ehlo_name: str = ""
    mails_per_connection: int = 100


class SmtpTransport:
    """Makes sessions with one relay.

    Args:
        relay: where, and how.
        timeouts: per stage, in seconds.
        mode: a slower mode than the relay offers; by default the fastest.
    """

    def __init__(self, relay: Relay, timeouts: StageTimeouts | None = None, mode: Mode | None = None) -> None:
        self._relay = relay
        self._timeouts = timeouts or StageTimeouts()
        self._mode = mode
        self._context: ssl.SSLContext | None = None
        self._ehlo_name = relay.ehlo_name
        self._lines = OpenLines()

    async def connect(self) -> SmtpSession | RelayDown | Throttled:
        """Connect and negotiate; see `transports.base.Transport`."""
        negotiation = _Negotiation(self._relay, self._timeouts)
        try:
            async with asyncio.timeout(self._timeouts.negotiation):
                await self._get_ready()
                offer = await _cancellable(negotiation.run(self._context, self._ehlo_name), negotiation.abort)
        except (OSError, aiosmtplib.SMTPException, _MustAct, _OutOfTurn, ValueError) as ended:
            negotiation.abort()
            return negotiation.explain(ended)
        except BaseException:
            negotiation.abort()
            raise
        return self._hand_over(negotiation, offer)

    def cut_off(self) -> int:
        """See `transports.base.Transport`."""
        return self._lines.cut_off()

    async def _get_ready(self) -> None:
        """What is slow, and the same for each connection: reading certificates, asking for this host's name."""
        if self._relay.tls != "none" and self._context is None:
            self._context = await asyncio.to_thread(_tls_context, self._relay.ca_file)
        if not self._ehlo_name:
            self._ehlo_name = await asyncio.to_thread(_own_name)

    def _hand_over(self, negotiation: _Negotiation, offer: Offer) -> SmtpSession | RelayDown:
        transport = negotiation.transport
        if transport is None or transport.is_closing():
            return RelayDown(f"{self._relay.host} closed the connection after the negotiation")
        mode = self._mode or offer.mode
        session = SmtpSession(transport, offer, mode, self._timeouts, self._relay.mails_per_connection)
        transport.set_protocol(session)
        if negotiation.socket is not None:
            self._lines.add(negotiation.socket)
        return session


class _OutOfTurn(Exception):
    """The relay said more, or less, than it was asked."""


class _MustAct(Exception):
    """Waiting alone will not help."""


class _Negotiation:
    """One connection on its way to be a session; `stage` tells where it stands."""

    def __init__(self, relay: Relay, timeouts: StageTimeouts) -> None:
        self._relay = relay
        self._timeouts = timeouts
        self.socket: socket.socket | None = None
        self._sentry: Sentry | None = None
        self._limit = timeouts.connect
        self.stage = Stage.CONNECT
        self.transport: asyncio.Transport | None = None

    async def run(self, context: ssl.SSLContext | None, ehlo_name: str) -> Offer:
        """All stages in turn. Raises whatever ends it; `explain` knows what that means."""
        relay = self._relay
        async with asyncio.timeout(self._limit):
            sock = self.socket = await _open_socket(relay.host, relay.port, self._limit)
        client = aiosmtplib.SMTP(
            hostname=relay.host.strip("[]"),
            sock=sock,
            use_tls=relay.tls == "implicit",
            start_tls=False,
            tls_context=context,
            local_hostname=ehlo_name,
        )
        self._enter(Stage.GREETING, self._timeouts.greeting)
        await client.connect(timeout=self._limit)
        self._watch(client)
        await self._ehlo(client)
        if relay.tls == "required":
            await self._start_tls(client, context)
            await self._ehlo(client)
        if relay.user:
            await self._authenticate(client)
        return Offer.from_ehlo(client.esmtp_extensions)

    async def _ehlo(self, client: aiosmtplib.SMTP) -> None:
        self._enter(Stage.EHLO, self._timeouts.ehlo)
        try:
            await client.ehlo(timeout=self._limit)
        except aiosmtplib.SMTPHeloError as refused:
            if refused.code not in _UNKNOWN_COMMAND or self._relay.tls == "required":
                raise
            self._expect(exactly=1)
            await client.helo(timeout=self._limit)
        self._expect(exactly=1)

    async def _start_tls(self, client: aiosmtplib.SMTP, context: ssl.SSLContext | None) -> None:
        self._enter(Stage.STARTTLS, self._timeouts.starttls)
        if not client.supports_extension("starttls"):
            raise _MustAct(
                f"{self._relay.host} offers no STARTTLS, and nothing may go there in clear: choose SMTP_TLS=implicit "
                "for a port with TLS from the first byte, or find out who removed the offer"
            )
        await client.starttls(tls_context=context, timeout=self._limit)
        self._expect(exactly=1)
        self._watch(client)

    async def _authenticate(self, client: aiosmtplib.SMTP) -> None:
        self._enter(Stage.AUTH, self._timeouts.auth)
        if self._relay.tls == "none" and not self._peer_is_loopback():
            raise _MustAct(f"the password for {self._relay.host} would go out in clear: choose SMTP_TLS=required")
        if not client.supports_extension("auth"):
            raise _MustAct(f"{self._relay.host} offers no AUTH: leave SMTP_USER empty, or use its submission port")
        methods = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
        offered = [methods[name] for name in methods if name in client.server_auth_methods]
        if not offered:
            raise _MustAct(f"{self._relay.host} offers no method of AUTH that is known here (PLAIN, LOGIN, CRAM-MD5)")
        for number, method in enumerate(offered, 1):
            try:
                await method(self._relay.user, self._relay.password, timeout=self._limit)
                break
            except aiosmtplib.SMTPAuthenticationError as refused:
                if refused.code not in _UNKNOWN_COMMAND or number == len(offered):
                    raise  # to try the same password by other methods could lock the account
        self._expect()

    def _enter(self, stage: Stage, limit: float) -> None:
        self.stage = stage
        self._limit = limit
        if self._sentry is not None:
            self._sentry.replies = 0

    def _watch(self, client: aiosmtplib.SMTP) -> None:
        """Put a sentry before aiosmtplib's protocol; again after TLS, which makes a transport of its own."""
        transport, protocol = client.transport, client.protocol
        if transport is None or protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        self._sentry = Sentry(protocol)
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self.transport.set_protocol(self._sentry)

    def _expect(self, exactly: int | None = None) -> None:
        assert self._sentry is not None
        replies = self._sentry.replies
        if not self._sentry.between_replies or (replies != exactly if exactly else replies == 0):
            raise _OutOfTurn
        self._sentry.replies = 0

    def _peer_is_loopback(self) -> bool:
        assert self.transport is not None
        peer = self.transport.get_extra_info("peername")
        return bool(peer) and ipaddress.ip_address(str(peer[0]).partition("%")[0]).is_loopback

    def abort(self) -> None:
        """Drop whatever there is of a connection; a graceful close of TLS could linger for half a minute."""
        if self.transport is not None:
            self.transport.abort()
        if self.socket is not None:
            with contextlib.suppress(OSError):  # its transport may have closed it
                self.socket.shutdown(socket.SHUT_RDWR)

    def explain(self, ended: Exception) -> RelayDown | Throttled:
        """What the end of a negotiation means, in words for a person."""
        host = self._relay.host
        cause = ended.__cause__ if isinstance(ended, aiosmtplib.SMTPConnectError) and ended.__cause__ else ended
        match cause:
            case aiosmtplib.SMTPResponseException(code=code, message=text) if 200 <= code <= 599:
                return self._explain_reply(code, text)
            case aiosmtplib.SMTPResponseException(message=text):
                return RelayDown(f"{host} sent no SMTP reply at {self.stage}: {_short(text)}")
            case _MustAct():
                return RelayDown(str(cause), person_must_act=True)
            case _OutOfTurn() if self.stage is Stage.STARTTLS:
                return RelayDown(
                    f"{host} sent more in clear behind its answer to STARTTLS: someone on the way may be tampering",
                    person_must_act=True,
                )
            case _OutOfTurn():
                return RelayDown(f"{host} spoke out of turn at {self.stage}")
            case _:
                return self._explain_network(cause)

    def _explain_network(self, cause: BaseException) -> RelayDown:
        host, port = self._relay.host, self._relay.port
        match cause:
            case ssl.SSLError() | ssl.CertificateError():
                return self._explain_tls(cause)
            case socket.gaierror():
                unknown = cause.errno == socket.EAI_NONAME
                return RelayDown(f"cannot find the address of {host}: {cause.strerror}", person_must_act=unknown)
            case TimeoutError():
                return RelayDown(f"no answer from {host}:{port} in time, at {self.stage}")
            case OSError() if self.stage is Stage.CONNECT:
                reason = os.strerror(cause.errno) if cause.errno else str(cause)
                return RelayDown(f"cannot reach {host}:{port}: {reason}")
            case _:
                return RelayDown(f"the connection to {host} ended at {self.stage}: {_short(str(cause))}")

    def _explain_reply(self, code: int, text: str) -> RelayDown | Throttled:
        outcome = classify(make_reply(self.stage, code, text))
        if isinstance(outcome, RelayDown | Throttled):
            return outcome
        return RelayDown(f"{self._relay.host} answered {code} at {self.stage}: {_short(text)}")

    def _explain_tls(self, error: ssl.SSLError | ssl.CertificateError) -> RelayDown:
        host = self._relay.host
        if isinstance(error, ssl.SSLCertVerificationError):
            return RelayDown(f"bad certificate of {host}: {error.verify_message}", person_must_act=True)
        broken_off = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)
        reason = (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)
        return RelayDown(f"no TLS with {host}: {_short(reason)}", person_must_act=not broken_off)


async def _cancellable(conversation: Coroutine[Any, Any, Offer], abort: Callable[[], None]) -> Offer:
    """What the conversation comes to; once cancelled, it ends at once, as `abort` takes its connection away.

    `asyncio.wait_for` of Python 3.11, by which aiosmtplib waits, drops a cancellation that comes together with what it
    waits for. What is cancelled here is another wait, which drops none.
    """
    task = asyncio.create_task(conversation)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        abort()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    return task.result()


async def _open_socket(host: str, port: int, seconds: float) -> socket.socket:
    """A socket to the first of the host's addresses that answers; each gets its share of `seconds`, so that one that
    leads nowhere does not stand before the next.

    Raises:
        OSError: of the last address tried, or of the name.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    last = OSError(f"no address for {host}")
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(seconds / len(addresses)):
                await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise last


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise _MustAct(f"cannot read certificates from {ca_file}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    return context


def _own_name() -> str:
    name = socket.gethostname()
    if "." not in name:
        name = socket.getfqdn(name)
    return name if _HOST_NAME.fullmatch(name) else "localhost"


def _short(text: str) -> str:
    return make_reply(Stage.CONNECT, 0, text).text[:200]
