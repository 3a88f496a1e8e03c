"""Talk to systemd: ready, status, stopping, watchdog (sd_notify(3), sd_watchdog_enabled(3)).

A message is one datagram to `$NOTIFY_SOCKET`. Where nobody listens, or the socket is full, it is lost and the daemon goes
on: a supervisor that cannot be told must not be what ends the work.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

MICROSECONDS = 1_000_000
ABSTRACT = "@"  # sd_notify(3): stands for the NUL byte in front of an abstract socket's name


class Notifier:
    """One process's line to its supervisor; every method returns at once and raises nothing.

    Args:
        environment: holds NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; the process's own where nothing is given.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path.removeprefix(ABSTRACT) if path.startswith(ABSTRACT) else path
        self.watchdog_interval = watchdog_interval(environment)

    def ready(self, status: str = "") -> bool:
        """The start has succeeded (and a reload has ended). True if the message went out, here and below."""
        return self._send("READY=1", *_status(status))

    def status(self, status: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(*_status(status))

    def reloading(self) -> bool:
        """Settings are being read again; `ready` tells the end."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={int(time.monotonic() * MICROSECONDS)}")

    def stopping(self, status: str = "") -> bool:
        """The drain has begun."""
        return self._send("STOPPING=1", *_status(status))

    def extend_timeout(self, seconds: float) -> bool:
        """Start or stop may take so long from now on; to be said again before that has passed."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * MICROSECONDS)}")

    def feed_watchdog(self) -> bool:
        """Alive. To be said each `watchdog_interval` seconds, and only by one who knows that work goes on."""
        return self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> bool:
        if not self._address or not lines:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True


def watchdog_interval(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two feedings: half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises.

    None where no watchdog is set, or WATCHDOG_PID says that another process is meant.
    """
    period = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", "")
    if not _is_number(period) or int(period) == 0 or (meant and meant != str(os.getpid())):
        return None
    return int(period) / MICROSECONDS / 2


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _status(text: str) -> tuple[str, ...]:
    """A line break in it would begin a message of its own."""
    return (f"STATUS={' '.join(text.split())}",) if text else ()
