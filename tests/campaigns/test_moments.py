"""Moments as a person writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailworkers.campaigns.moments import moment, told
from mailworkers.errors import CampaignError

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("written", "shown", "utc"),
    [
        ("2026-12-01 09:00", "2026-12-01 09:00 CET (UTC+01:00)", "2026-12-01T08:00:00+00:00"),
        ("2027-07-01 09:00", "2027-07-01 09:00 CEST (UTC+02:00)", "2027-07-01T07:00:00+00:00"),
        ("2026-12-01 09:00 UTC", "2026-12-01 09:00 UTC", "2026-12-01T09:00:00+00:00"),
        ("2026-12-01 09:00 America/New_York", "2026-12-01 09:00 EST (UTC-05:00)", "2026-12-01T14:00:00+00:00"),
        ("2026-12-01T09:00:30+05:30", "2026-12-01 09:00:30 UTC+05:30", "2026-12-01T03:30:30+00:00"),
        # In the hour that clocks show twice, the first is meant.
        ("2027-10-31 02:30", "2027-10-31 02:30 CEST (UTC+02:00)", "2027-10-31T00:30:00+00:00"),
    ],
)
def test_a_moment_is_read_and_told_with_its_zone(written: str, shown: str, utc: str) -> None:
    read = moment(written, NOW)
    assert (told(read), read.astimezone(UTC).isoformat()) == (shown, utc)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("tomorrow", "is no moment"),
        ("2026-13-01 09:00", "is no moment"),
        ("2026-12-01 09:00 Nowhere/City", "no time zone 'Nowhere/City'"),
        ("2026-12-01 09:00+01:00 UTC", "has two time zones"),
        ("2026-10-31 09:00", "is over"),
        ("2062-12-01 09:00", "more than ten years away"),
        ("2027-03-28 02:30", "does not exist: clocks are put forward"),
    ],
)
def test_what_is_no_moment_to_come_is_refused(written: str, why: str) -> None:
    with pytest.raises(CampaignError, match=why):
        moment(written, NOW)
