"""What may be asked of a campaign, and what the database answers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from mailworkers.campaigns import life
from mailworkers.campaigns.life import Plan
from mailworkers.campaigns.making import Making
from mailworkers.campaigns.progress import list_campaigns, number, read, show
from mailworkers.db.pool import Database
from mailworkers.db.queries import Queries
from mailworkers.errors import CampaignError
from tests.support.campaigns import ask, assert_exact, create, prepare, start, status

JOBS = "SELECT count(*) FROM mailworkers.email_jobs"
HELD = "UPDATE mailworkers.email_jobs SET status = 'sending', lease = 1, daemon_id = 1, deadline = now()"
BACK = """
UPDATE mailworkers.email_jobs SET status = $1, lease = NULL, daemon_id = NULL, deadline = NULL WHERE lead_id <= $2
"""
MAKE = "SELECT * FROM mailworkers.make_campaign_jobs($1, $2, $3)"


async def test_a_campaign_is_created_read_edited_and_started(database: Database, owner: Any) -> None:
    await prepare(owner, 4)
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    campaign = await life.create(
        database, Plan("autumn", "letter", filter={"city": "Bonn"}, data={"shop": "ours"}, start_at=tomorrow)
    )
    await life.edit(
        database, campaign, {"name": "late autumn", "from_email": "a@example.org", "priority": 20, "filter": None}
    )
    found = await show(database.claims, campaign)
    assert found is not None
    assert (found.name, found.status, found.template, found.start_at) == (
        "late autumn",
        "scheduled",
        "letter",
        tomorrow,
    )
    assert (found.data, found.filter, found.priority, found.revision) == ({"shop": "ours"}, None, 20, 0)
    assert await number(database.claims, "default", "late autumn") == campaign

    await life.start(database, campaign)
    assert await Making(database.claims, database.campaigns).make(campaign, 1000, 1000)
    (line,) = await list_campaigns(database.claims, "default", 10)
    assert line == await read(database.claims, campaign)
    assert (line.status, line.made, line.live, line.done, line.expected) == ("running", 4, 4, 0, 4)
    assert await list_campaigns(database.claims, "other", 10) == []
    assert await owner.fetch("SELECT DISTINCT template, priority, from_email, destination_group FROM mailworkers.email_jobs ORDER BY 4") == [
        ("letter@1+1.1", 20, "a@example.org", ""), ("letter@1+1.1", 20, "a@example.org", "google")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"template": "nothing"}, "workspace 'default' has no template 'nothing'"),
        ({"template": "letter@7"}, "workspace 'default' has no template 'letter@7'"),
        ({"template": "letter@1+1.1"}, "template 'letter@1+1.1' must be a name, or a name and a version"),
        ({"list_name": "nobody"}, "workspace 'default' has no list 'nobody'"),
        ({"segment": "nobody"}, "workspace 'default' has no segment 'nobody'"),
        ({"filter": {"": "x"}}, "the filter asks for a variable without a name"),
        ({"filter": {"a": {"like": 1}}}, 'the filter asks "a" of "like" in a way that is not known: 1'),
        ({"from_email": "no address"}, "from_email must be one address, as in ann@example.org"),
        ({"from_name": "two\nlines"}, "from_name must be one line of at most 1000 characters"),
        ({"headers": {"Bcc": "eve@example.org"}}, "headers: names X-…, List-… and few others, one line each"),
        ({"priority": 101}, "priority must be between -100 (first) and 100 (last)"),
        ({"max_retries": 32_768}, "max_retries must be between 0 and 100"),
        ({"name": ""}, "name must be one line of 1 to 200 characters"),
        ({"name": "taken"}, 'workspace default has a campaign "taken" already'),
    ],
)
async def test_what_is_wrong_is_refused_with_a_sentence(
    database: Database, owner: Any, changes: Any, says: str
) -> None:
    await prepare(owner, 1)
    await life.create(database, Plan("taken", "letter"))
    with pytest.raises(CampaignError) as refused:
        await life.create(database, Plan(**({"name": "autumn", "template": "letter"} | changes)))
    assert says in refused.value.message
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.campaign_sends") == 1


async def test_a_state_that_does_not_allow_it_is_named(database: Database, owner: Any) -> None:
    await prepare(owner, 1)
    campaign = await create(owner)
    for deed, says in ((life.pause, "draft and cannot be paused"), (life.resume, "draft and cannot be resumed")):
        with pytest.raises(CampaignError, match=f"campaign {campaign} is {says}"):
            await deed(database, campaign)
    await life.start(database, campaign)
    with pytest.raises(CampaignError, match="is running and cannot be edited"):
        await life.edit(database, campaign, {"name": "new"})
    with pytest.raises(CampaignError, match="is running and cannot be started"):
        await life.start(database, campaign)
    await life.pause(database, campaign)
    await life.pause(database, campaign)
    with pytest.raises(CampaignError, match="has started: whom it goes to, and when, cannot be changed any more"):
        await life.edit(database, campaign, {"list": "other"})
    with pytest.raises(CampaignError, match="a campaign has no 'colour' to be changed"):
        await life.edit(database, campaign, {"colour": "red"})
    await life.cancel(database, campaign)
    await life.cancel(database, campaign)
    with pytest.raises(CampaignError, match="is cancelling and cannot be resumed"):
        await life.resume(database, campaign)
    with pytest.raises(CampaignError, match="there is no campaign 99"):
        await life.cancel(database, 99)


async def test_a_campaign_paused_before_its_start_keeps_its_time(owner: Any) -> None:
    await prepare(owner, 1)
    campaign = await create(owner, start_at=datetime.now(UTC) + timedelta(days=1))
    await ask(owner, "pause", campaign)
    await ask(owner, "resume", campaign)
    assert await status(owner, campaign) == "scheduled"
    await ask(owner, "cancel", campaign)
    assert await status(owner, campaign) == "cancelled"


# ---------------------------------------------------------------- making


async def test_no_lead_has_two_mails_whatever_becomes_of_the_cursor(owner: Any) -> None:
    await prepare(owner, 50)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign, 30, 1000)

    # when the cursor is set back by hand, then those that have theirs are passed over
    await owner.execute("UPDATE mailworkers.campaign_sends SET next_lead = 0")
    made = await owner.fetchrow(MAKE, campaign, 1000, 1000)
    assert (made["looked"], made["made"], made["at_end"]) == (50, 20, True)
    assert await owner.fetchval(JOBS) == 50
    assert await owner.fetchval("SELECT count(DISTINCT lead_id) FROM mailworkers.email_jobs") == 50

    # and the table itself refuses a second one
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute(
            "INSERT INTO mailworkers.campaign_send_leads (campaign_id, lead_id, job_id) VALUES ($1, 1, 999)", campaign
        )


async def test_a_list_is_walked_and_leads_that_are_gone_are_passed_over(owner: Any) -> None:
    await prepare(owner, 100)
    await prepare(owner, 100, "other")
    await owner.execute("INSERT INTO mailworkers.lead_lists (name) VALUES ('some')")
    await owner.execute(
        "INSERT INTO mailworkers.lead_list_members SELECT 1, id FROM mailworkers.leads WHERE id % 2 = 0"
    )
    await owner.execute("DELETE FROM mailworkers.leads WHERE id = 10")
    campaign = await start(owner, on="some")
    made = [await owner.fetchrow(MAKE, campaign, 20, 1000) for _ in range(6)]
    assert [row["made"] for row in made] == [19, 20, 10, 0, 0, 0]
    assert [row["at_end"] for row in made] == [False, False, False, False, True, True]
    said = await assert_exact(owner, campaign)
    assert (said["looked_at"], said["made"], said["skipped"]) == (100, 49, 51)


async def test_what_is_made_ends_with_its_room(owner: Any) -> None:
    await prepare(owner, 100)
    campaign = await start(owner, only='{"city": "Bonn"}')
    first = await owner.fetchrow(MAKE, campaign, 1000, 20)
    assert (first["looked"], first["made"], first["room"], first["at_end"]) == (40, 20, 0, False)
    assert await owner.fetchrow(MAKE, campaign, 1000, 20) == (0, 0, 0, False)
    second = await owner.fetchrow(MAKE, campaign, 1000, 25)
    assert (second["looked"], second["made"]) == (10, 5)
    assert await owner.fetch("SELECT batch, first_lead, last_lead, made, skipped FROM mailworkers.email_job_batches ORDER BY batch") == [
        (1, 1, 40, 20, 20), (2, 41, 50, 5, 5)
    ]  # fmt: skip


async def test_makers_do_not_wait_for_each_other(owner: Any, database: Database) -> None:
    """Given a maker in the middle of its transaction, when another one comes, then it finds nothing to do, at once."""
    await prepare(owner, 100)
    campaign = await start(owner)
    making = Making(database.claims, database.campaigns)
    async with owner.transaction():
        await owner.fetchrow(MAKE, campaign, 10, 1000)
        async with asyncio.timeout(5):
            assert (await making.make(campaign, 10, 1000)).looked == 0
    assert (await making.make(campaign, 1000, 1000)).made == 90


async def test_a_lead_that_leaves_while_its_job_is_made_gets_no_mail(owner: Any, database: Database) -> None:
    """Given a maker whose transaction is open, when a lead unsubscribes, then that waits, finds the job, and ends it."""
    await prepare(owner, 100)
    campaign = await start(owner)
    async with database.claims.connection("a test") as other:
        async with owner.transaction():
            await owner.fetchrow(MAKE, campaign, 10, 1000)
            leaving = asyncio.create_task(
                other.execute("UPDATE mailworkers.leads SET status = 'unsubscribed' WHERE id IN (3, 50)")
            )
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.shield(leaving)
        await leaving
        # and the other way round: a transaction that stays open holds nothing back, and its commit ends the job
        async with other.transaction():
            await other.execute("UPDATE mailworkers.leads SET status = 'bounced' WHERE id = 60")
            assert (await owner.fetchrow(MAKE, campaign, 1000, 1000))["made"] == 89
    await owner.execute("DELETE FROM mailworkers.leads WHERE id = 70")

    said = await assert_exact(owner, campaign)
    assert (said["made"], said["suppressed"], said["live"]) == (99, 3, 96)
    ends = await owner.fetch("SELECT to_email, reply FROM mailworkers.email_sends ORDER BY job_id")
    assert [tuple(end) for end in ends] == [
        ("reader3@example.org", "the lead is unsubscribed"), ("reader60@example.org", "the lead is bounced"),
        ("reader70@b.example", "the lead was removed"),
    ]  # fmt: skip


@pytest.mark.parametrize("back", ["waiting", "retrying"])
async def test_a_mail_that_comes_back_for_a_lead_that_has_left_ends(back: str, owner: Any) -> None:
    """Given mails in a daemon's hands as their leads leave, when it gives them back, then they end and others wait."""
    await prepare(owner, 10)
    campaign = await create(owner)
    await ask(owner, "start", campaign)
    await owner.fetchrow(MAKE, campaign, 1000, 1000)
    await owner.execute(HELD)
    await owner.execute("UPDATE mailworkers.leads SET status = 'unsubscribed' WHERE id = 1")
    await owner.execute("DELETE FROM mailworkers.leads WHERE id = 2")
    assert (await assert_exact(owner, campaign))["suppressed"] == 0

    await owner.execute("SET ROLE mailworkers_worker")
    await owner.execute(BACK, back, 3)

    await owner.execute("RESET ROLE")
    said = await assert_exact(owner, campaign)
    assert (said["made"], said["suppressed"], said["live"]) == (10, 2, 8)
    ends = await owner.fetch("SELECT reply FROM mailworkers.email_sends ORDER BY job_id")
    assert [end["reply"] for end in ends] == ["the lead is unsubscribed", "the lead was removed"]
    # and no other session writes the part that counts them, whose order of campaigns might be another
    parts = "SELECT count(*) FROM mailworkers.progress_tracking WHERE suppressed = 2 AND part = -65 - pg_backend_pid()"
    assert await owner.fetchval(parts) == 1


async def test_a_lead_that_is_active_again_at_the_commit_keeps_its_mail(owner: Any) -> None:
    await prepare(owner, 1)
    campaign = await create(owner)
    await ask(owner, "start", campaign)
    await owner.fetchrow(MAKE, campaign, 1000, 1000)
    async with owner.transaction():
        await owner.execute("UPDATE mailworkers.leads SET status = 'bounced'")
        await owner.execute("UPDATE mailworkers.leads SET status = 'active'")
    assert (await assert_exact(owner, campaign))["live"] == 1


async def test_a_mail_that_comes_back_while_an_unsubscription_is_open_ends_at_its_commit(
    owner: Any, database: Database
) -> None:
    await prepare(owner, 1)
    campaign = await create(owner)
    await ask(owner, "start", campaign)
    await owner.fetchrow(MAKE, campaign, 1000, 1000)
    await owner.execute(HELD)
    async with database.claims.connection("a test") as other, other.transaction():
        await other.execute("UPDATE mailworkers.leads SET status = 'unsubscribed'")
        await owner.execute(BACK, "retrying", 1)
    assert (await assert_exact(owner, campaign))["suppressed"] == 1


async def test_a_lead_that_leaves_while_a_draft_starts_gets_no_mail_from_the_commit_on(
    owner: Any, database: Database
) -> None:
    """Given an unsubscription that is not committed, when a campaign starts, then the commit ends what was made meanwhile."""
    await prepare(owner, 2)
    campaign = await create(owner)
    async with database.claims.connection("a test") as other, other.transaction():
        await other.execute("UPDATE mailworkers.leads SET status = 'unsubscribed' WHERE id = 1")
        await ask(owner, "start", campaign)
        assert (await owner.fetchrow(MAKE, campaign, 1000, 1000))["made"] == 2
    assert (await assert_exact(owner, campaign))["suppressed"] == 1
    # and its part of the progress is one of few
    await owner.execute("UPDATE mailworkers.leads SET status = 'unsubscribed' WHERE id = 2")
    part = await owner.fetchval("SELECT part FROM mailworkers.progress_tracking WHERE subject_id = $1", campaign)
    assert -64 <= part <= -1


async def test_an_application_may_ask_and_a_worker_may_make(owner: Any, app_connection: Any) -> None:
    await prepare(owner, 5)
    campaign = await create(app_connection)
    await ask(app_connection, "start", campaign)
    assert await app_connection.fetchval("SELECT status FROM mailworkers.campaign_progress") == "running"
    for forbidden in ("SELECT FROM mailworkers.campaign_sends", f"SELECT mailworkers.make_campaign_jobs({campaign})"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app_connection.execute(forbidden)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_connection.execute(
            "INSERT INTO mailworkers.email_jobs (to_email, subject, text_body, lead_id) VALUES ('a@example.org', 's', 't', 1)"
        )

    await owner.execute("SET ROLE mailworkers_worker")
    assert (await owner.fetchrow(MAKE, campaign, 1000, 1000))["made"] == 5
    await owner.fetchval("SELECT mailworkers.count_campaign_leads($1)", campaign)
    await owner.execute("UPDATE mailworkers.leads SET status = 'suppressed' WHERE id = 1")
    await ask(owner, "pause", campaign)
    await owner.execute("SELECT mailworkers.edit_campaign($1, '{\"data\": {}}')", campaign)
    await ask(owner, "resume", campaign)
    await ask(owner, "cancel", campaign)
    assert await owner.fetchval("SELECT mailworkers.cancel_campaign_jobs($1)", campaign) == 4
    assert await owner.fetchval("SELECT mailworkers.finish_campaign($1)", campaign) is True
    await owner.fetch(Queries()["campaigns/tell"], 200)
    await owner.execute(
        "SELECT mailworkers.start_due_campaigns(), mailworkers.make_campaign_partition(), mailworkers.drop_campaigns(12)"
    )
    assert (await assert_exact(owner, campaign))["status"] == "cancelled"


async def test_a_months_campaigns_are_dropped_whole_once_all_have_ended(owner: Any) -> None:
    # given a month of campaigns long ago, whose partition had its name then
    await prepare(owner, 5)
    old, open_ = await start(owner, "old"), await start(owner, "open")
    await owner.fetchrow(MAKE, old, 1000, 1000)
    await owner.execute(
        "UPDATE mailworkers.campaign_sends SET status = 'finished', finished_at = now() - interval '14 months' WHERE id = $1",
        old,
    )
    part = await owner.fetchval("SELECT tableoid::regclass::text FROM mailworkers.campaign_send_leads LIMIT 1")
    await owner.execute(f"ALTER TABLE {part} RENAME TO campaign_send_leads_2020_01")

    # when this month's is made, then its campaigns have numbers of their own
    assert await owner.fetchval("SELECT mailworkers.make_campaign_partition()") is True
    assert await owner.fetchval("SELECT mailworkers.make_campaign_partition()") is False
    new = await start(owner, "new")
    assert new == 100_000
    await owner.fetchrow(MAKE, new, 1000, 1000)

    # and the old ones stay while one of them is open, and go when none is
    assert await owner.fetchval("SELECT mailworkers.drop_campaigns(12)") == 0
    await owner.execute("UPDATE mailworkers.campaign_sends SET status = 'draft' WHERE id = $1", open_)
    assert await owner.fetchval("SELECT mailworkers.drop_campaigns(12)") == 0
    await owner.execute(
        "UPDATE mailworkers.campaign_sends SET status = 'cancelled', finished_at = now() - interval '14 months' WHERE id = $1",
        open_,
    )
    assert await owner.fetchval("SELECT mailworkers.drop_campaigns(12)") == 1
    assert [row["id"] for row in await owner.fetch("SELECT id FROM mailworkers.campaign_sends")] == [new]
    for table in ("campaign_send_leads", "campaign_revisions", "email_job_batches"):
        assert await owner.fetchval(f"SELECT min(campaign_id) FROM mailworkers.{table}") == new


async def test_an_edit_keeps_the_nulls_in_the_variables(owner: Any) -> None:
    await prepare(owner, 1)
    campaign = await create(owner)
    data = {"shop": None, "articles": [{"price": None}]}
    await owner.execute("SELECT mailworkers.edit_campaign($1, $2::jsonb)", campaign, json.dumps({"data": data}))
    variables = "SELECT data FROM mailworkers.campaign_sends WHERE id = $1"
    assert json.loads(await owner.fetchval(variables, campaign)) == data

    await owner.execute("SELECT mailworkers.edit_campaign($1, '{\"data\": null}')", campaign)
    assert json.loads(await owner.fetchval(variables, campaign)) == {}


async def test_what_was_in_flight_at_an_edit_is_changed_too_when_the_campaign_is_resumed(owner: Any) -> None:
    # given two jobs, of which one is in flight while the sender is changed
    await prepare(owner, 2)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign, 1000, 1000)
    job = await owner.fetchval("SELECT min(id) FROM mailworkers.email_jobs")
    await owner.execute(
        "UPDATE mailworkers.email_jobs SET status = 'sending', lease = 1, daemon_id = 1, deadline = now() WHERE id = $1",
        job,
    )
    await ask(owner, "pause", campaign)
    await owner.execute('SELECT mailworkers.edit_campaign($1, \'{"from_email": "new@example.org"}\')', campaign)

    # when it comes back, and the campaign goes on
    await owner.execute(
        "UPDATE mailworkers.email_jobs SET status = 'waiting', lease = NULL, daemon_id = NULL, deadline = NULL WHERE id = $1",
        job,
    )
    await ask(owner, "resume", campaign)

    assert await owner.fetch("SELECT DISTINCT from_email, template FROM mailworkers.email_jobs") == [
        ("new@example.org", f"letter@1+{campaign}.2")
    ]


async def test_jobs_of_leads_are_spared_the_checks_that_others_meet(owner: Any) -> None:
    held = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'mailworkers.email_jobs'::regclass AND pg_get_constraintdef(oid) LIKE '%(lead_id IS NOT NULL) OR%'"
    assert await owner.fetchval(held) == 28
    with pytest.raises(asyncpg.CheckViolationError, match="to_email must have one @"):
        await owner.execute(
            "INSERT INTO mailworkers.email_jobs (to_email, subject, text_body) VALUES ('nobody', 's', 't')"
        )
