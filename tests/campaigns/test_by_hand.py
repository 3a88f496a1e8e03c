"""What becomes of a campaign whose start is taken away, and of its mails that were paused by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mailworkers.campaigns.progress import list_campaigns, read
from mailworkers.db.pool import Database
from tests.support.campaigns import ask, assert_exact, create, prepare, start, status

JOBS = "SELECT count(*) FROM mailworkers.email_jobs"
MAKE = "SELECT * FROM mailworkers.make_campaign_jobs($1, $2, $3)"


async def test_a_scheduled_campaign_whose_start_is_taken_away_is_a_draft_again(owner: Any) -> None:
    await prepare(owner, 1)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    edited, by_hand = [await create(owner, name, start_at=tomorrow) for name in ("edited", "by hand")]
    await owner.execute("SELECT mailworkers.edit_campaign($1, '{\"start_at\": null}')", edited)
    await owner.execute("UPDATE mailworkers.campaign_sends SET start_at = NULL WHERE id = $1", by_hand)
    for campaign in (edited, by_hand):
        assert await status(owner, campaign) == "draft"
        await ask(owner, "start", campaign)
        assert await status(owner, campaign) == "running"


async def test_cancelling_ends_mails_that_were_paused_by_hand(owner: Any) -> None:
    """Given jobs of a campaign, and of others, set to paused, when it is cancelled, then its own end and it with them."""
    await prepare(owner, 10)
    campaign, other = await start(owner), await start(owner, "other")
    for one in (campaign, other):
        await owner.fetchrow(MAKE, one, 1000, 1000)
    await owner.execute("UPDATE mailworkers.email_jobs SET status = 'paused' WHERE lead_id <= 4")
    await owner.execute("INSERT INTO mailworkers.email_jobs (to_email, subject, text_body, campaign_id, status) "
        "VALUES ('ann@example.org', 'Hello', 'Hi', $1, 'paused')", campaign)  # fmt: skip

    await ask(owner, "cancel", campaign)
    await owner.execute("SET ROLE mailworkers_worker")
    cancel = "SELECT mailworkers.cancel_campaign_jobs($1, $2)"
    assert [await owner.fetchval(cancel, campaign, 7) for _ in range(3)] == [7, 3, 0]
    assert await owner.fetchval("SELECT mailworkers.finish_campaign($1)", campaign)

    await owner.execute("RESET ROLE")
    said = await assert_exact(owner, campaign)
    assert (said["status"], said["cancelled"], said["live"]) == ("cancelled", 10, 0)
    assert await owner.fetchval(JOBS + " WHERE status = 'paused'") == 5


async def test_an_edit_changes_mails_that_were_paused_by_hand(owner: Any) -> None:
    await prepare(owner, 2)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign, 1000, 1000)
    await owner.execute("UPDATE mailworkers.email_jobs SET status = 'paused' WHERE lead_id = 1")
    await ask(owner, "pause", campaign)
    await owner.execute("SELECT mailworkers.edit_campaign($1, '{\"priority\": 50}')", campaign)
    assert await owner.fetch("SELECT status, priority FROM mailworkers.email_jobs ORDER BY lead_id") == [
        ("paused", 50), ("waiting", 50)
    ]  # fmt: skip


async def test_mails_that_are_called_off_are_no_part_of_a_campaigns_speed(owner: Any, database: Database) -> None:
    """Given ten mails made, when six end as sent and the campaign is cancelled, then its speed is that of the six."""
    await prepare(owner, 10)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign, 1000, 1000)
    await owner.execute("DELETE FROM mailworkers.email_jobs WHERE lead_id <= 6")
    await owner.execute(
        "INSERT INTO mailworkers.progress_tracking (kind, subject_id, part, done, sent) VALUES ('campaign', $1, 9, 6, 6)", campaign
    )  # fmt: skip
    await ask(owner, "cancel", campaign)
    assert await owner.fetchval("SELECT mailworkers.cancel_campaign_jobs($1)", campaign) == 4
    await owner.execute(
        "UPDATE mailworkers.campaign_sends SET status = 'cancelled', finished_at = started_at + interval '3 seconds'"
    )

    one = await read(database.claims, campaign)

    assert one is not None
    assert (one.sent, one.cancelled) == (6, 4)
    assert one.mails_per_second is not None
    assert abs(one.mails_per_second - 2.0) < 1e-6
    assert await list_campaigns(database.claims, None, 10) == [one]
