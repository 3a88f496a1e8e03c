"""Ways out: wire bytes in, outcome out. Nothing here knows of queues."""

from __future__ import annotations

from mailworkers.settings import Settings
from mailworkers.transports.base import Session, Transport
from mailworkers.transports.smtp.connect import Relay, SmtpTransport
from mailworkers.transports.smtp.timeouts import StageTimeouts

__all__ = ["Session", "Transport", "transport_for"]


def transport_for(settings: Settings) -> Transport:
    """The transport that the settings ask for."""
    return SmtpTransport(
        Relay(
            host=settings.smtp_host,
            port=settings.relay_port,
            tls=settings.tls,
            user=settings.smtp_user,
            password=settings.smtp_password.get_secret_value(),
            ca_file=settings.smtp_ca_file,
            ehlo_name=settings.smtp_helo_name,
            mails_per_connection=settings.smtp_mails_per_connection,
        ),
        StageTimeouts(negotiation=settings.smtp_connect_seconds),
    )
