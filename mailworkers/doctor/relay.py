"""The relay: found, reached, trusted, logged in to, and what it offers. No mail is sent."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

import aiosmtplib

from mailworkers.doctor.finding import Finding, fail, ok, skip, warn
from mailworkers.replies import RelayDown, Throttled
from mailworkers.settings import Settings, is_loopback
from mailworkers.transports import transport_for

NEGOTIATION_SECONDS = 30.0  # a relay that takes longer to greet is found wanting, though a daemon would wait
LOOK_SECONDS = 15.0
CLOSE_SECONDS = 5.0
DAY = 86_400.0
SOON_DAYS = 14  # certificates are commonly renewed a month before their end


@dataclass(frozen=True, slots=True)
class Offers:
    """What the relay says of itself; `certificate_ends` is in seconds since the epoch, None without TLS."""

    extensions: Collection[str]
    size: str
    certificate_ends: float | None


async def check_relay(settings: Settings) -> AsyncIterator[Finding]:
    """Negotiate as a daemon would, then look at what is offered. Never raises for what a relay does."""
    where = f"{settings.smtp_host}:{settings.relay_port}"
    refused = await _negotiate(settings)
    if refused is not None:
        yield refused
        return
    login = f", login as {settings.smtp_user}" if settings.smtp_user else ", no login"
    yield ok("relay", f"{where} takes connections: TLS {settings.tls}{login}")
    if settings.tls == "none" and not is_loopback(settings.smtp_host):
        yield warn(
            "relay TLS",
            f"mail goes to {settings.smtp_host} in clear",
            "Set MAILWORKERS_SMTP_TLS=required, if it offers STARTTLS",
        )
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            offers = await _look(settings)
    except (OSError, aiosmtplib.SMTPException) as problem:
        yield skip("relay offers", f"a second look at {where} failed: {problem or type(problem).__name__}")
        return
    if offers.certificate_ends is not None:
        yield certificate((offers.certificate_ends - time.time()) / DAY)
    yield extensions(offers)


async def _negotiate(settings: Settings) -> Finding | None:
    try:
        async with asyncio.timeout(NEGOTIATION_SECONDS):
            session = await transport_for(settings).connect()
    except TimeoutError:
        return fail(
            "relay",
            f"{settings.smtp_host}:{settings.relay_port} did not greet within {NEGOTIATION_SECONDS:.0f} s",
            "Check the host and the port, and firewalls between: many providers block port 25",
        )
    match session:
        case RelayDown(text=text):
            return fail("relay", text, "Check MAILWORKERS_SMTP_HOST, SMTP_PORT, SMTP_TLS, SMTP_USER and the password")
        case Throttled(text=text):
            return warn("relay", f"the relay asks for patience: {text}", "Wait, then run it again")
    await session.close(CLOSE_SECONDS)
    return None


async def _look(settings: Settings) -> Offers:
    tls = settings.tls
    context = None
    if tls != "none":
        context = await asyncio.to_thread(ssl.create_default_context, cafile=_name(settings.smtp_ca_file))
    client = aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.relay_port,
        use_tls=tls == "implicit",
        start_tls=False,
        tls_context=context,
        timeout=LOOK_SECONDS,
    )
    try:
        await client.connect()
        await client.ehlo()
        if tls == "required":
            await client.starttls()
            await client.ehlo()
        found = {name.lower(): value for name, value in client.esmtp_extensions.items()}
        peer = client.get_transport_info("peercert") if tls != "none" else None
        ends = ssl.cert_time_to_seconds(peer["notAfter"]) if peer else None
        return Offers(found.keys(), found.get("size", ""), ends)
    finally:
        client.close()


def certificate(days: float) -> Finding:
    """Judge how long a certificate still holds."""
    if days < SOON_DAYS:
        return warn("certificate", f"the relay's certificate ends in {days:.0f} days", "Ask its operator to renew it")
    return ok("certificate", f"the relay's certificate is trusted and holds for {days:.0f} days")


def extensions(offers: Offers) -> Finding:
    """Judge what is offered: without PIPELINING each mail costs four round trips."""
    named = [name.upper() for name in ("pipelining", "chunking", "smtputf8", "8bitmime") if name in offers.extensions]
    size = f", mails up to {int(offers.size) // 1_000_000} MB" if offers.size.isdigit() and int(offers.size) else ""
    if "pipelining" not in offers.extensions:
        return warn(
            "relay offers",
            f"it offers no PIPELINING: each mail costs four round trips{size}",
            "Expect less speed, or use a relay that offers it",
        )
    return ok("relay offers", f"it offers {', '.join(named)}{size}")


def _name(path: object) -> str | None:
    return str(path) if path is not None else None
