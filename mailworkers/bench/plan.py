"""What is to be measured, and whom it may be sent to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailworkers.errors import SettingsError
from mailworkers.settings import is_loopback

LATENCY_INSERTS = 300
IDLE_SECONDS = 5.0  # how long an idle daemon is watched
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class Where:
    """A relay."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One measurement.

    `size` in octets, `html` for mails in two parts; `relay` is None for a discarding sink of the bench's own; each figure is the median of `runs`.
    """

    jobs: int
    size: int
    relay: Where | None
    workers: int
    daemons: int
    runs: int
    latency: bool
    metrics: bool
    html: bool = False


def parse_relay(text: str, *, owned: bool) -> Where:
    """Read HOST:PORT, and refuse a relay that thousands of mails could reach by mistake.

    Args:
        text: as given.
        owned: whether the person said that a relay beyond this machine is theirs.

    Raises:
        SettingsError: it is no HOST:PORT, or not on loopback and not said to be owned.
    """
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or not 0 < int(match[2]) <= 65535:
        raise SettingsError(f"--relay must be HOST:PORT, not {text!r}", "Write it like 127.0.0.1:2525 or [::1]:2525")
    where = Where(match[1].strip("[]"), int(match[2]))
    if not (owned or is_loopback(where.host)):
        raise SettingsError(
            f"{where.host} is not on this machine: a bench sends it thousands of mails to addresses that do not exist",
            "Add --i-own-this-relay if it is yours to load",
        )
    return where
