"""Moments as a person writes them, with a time zone or in this machine's own, and as they are told back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailworkers.errors import CampaignError

FORMS: Final = "Write it as '2026-12-01 09:00', '2026-12-01 09:00 Europe/Berlin' or 2026-12-01T09:00+01:00"
FARTHEST: Final = timedelta(days=3660)  # more is a typing error in the year


def moment(text: str, now: datetime, instead: str = "Start it now with `mailworkers campaign start`") -> datetime:
    """A moment to come, aware.

    Without a zone it is in that of `now`, which for a person at a terminal is this machine's.

    Args:
        text: date and time in ISO 8601, a blank instead of the T if one likes; then perhaps an offset, or a zone's name.
        now: aware.
        instead: what to do where it is over.

    Raises:
        CampaignError: it is no moment, does not exist on that day because clocks are put forward, is over, or is ten years away.
    """
    date, _, zone = text.strip().rpartition(" ")
    named = _zone(zone) if date and zone[:1].isalpha() else None
    try:
        written = datetime.fromisoformat(date if named else text.strip())
    except ValueError:
        raise CampaignError(f"{text!r} is no moment", FORMS) from None
    if named is not None and written.tzinfo is not None:
        raise CampaignError(f"{text!r} has two time zones", FORMS)
    meant = written if written.tzinfo is not None else _on_the_clock(written, named or now.tzinfo, text)
    if meant < now - timedelta(minutes=1):
        raise CampaignError(f"{told(meant)} is over", instead)
    if meant > now + FARTHEST:
        raise CampaignError(f"{told(meant)} is more than ten years away", "Check the year")
    return meant


def told(meant: datetime) -> str:
    """A moment with its zone: `2026-12-01 09:00 CET (UTC+01:00)`."""
    name = meant.tzname() or ""
    offset = f"UTC{meant:%z}" if meant.utcoffset() else "UTC"
    offset = f"{offset[:-2]}:{offset[-2:]}" if len(offset) > 3 else offset
    clock = f"{meant:%Y-%m-%d %H:%M:%S}" if meant.second else f"{meant:%Y-%m-%d %H:%M}"
    known = name if name.isalpha() else ""  # some zones have no name but their offset
    return f"{clock} {known} ({offset})" if known not in ("", "UTC") else f"{clock} {offset}"


def here(meant: datetime) -> datetime:
    """The same moment on this machine's clock."""
    return meant.astimezone()


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CampaignError(
            f"there is no time zone {name!r} here", "Name one as Europe/Berlin, or write the offset as in +01:00"
        ) from None


def _on_the_clock(written: datetime, zone: tzinfo | None, text: str) -> datetime:
    """What a clock on the wall means. In the hour that a clock shows twice, the first is meant."""
    if zone is None or not isinstance(zone, ZoneInfo):
        meant = written.astimezone() if zone is not UTC else written.replace(tzinfo=UTC)
    else:
        meant = written.replace(tzinfo=zone)
    if meant.astimezone(UTC).astimezone(meant.tzinfo).replace(tzinfo=None) != written:
        raise CampaignError(f"{text!r} does not exist: clocks are put forward then", "Choose another time")
    return meant
