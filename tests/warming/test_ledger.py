"""The ledger of warm-ups in PostgreSQL: days, leases of several daemons, refusals."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mailworkers.db.pool import Database
from mailworkers.errors import WarmUpError
from mailworkers.warming import records
from mailworkers.warming.day import Account, DayKey
from mailworkers.warming.ledger import Ledger
from mailworkers.warming.records import Start
from mailworkers.warming.schedule import Step
from mailworkers.warming.senders import WarmUp
from tests.support import warm_ups
from tests.support.waiting import eventually
from tests.support.warm_ups import NOON_ZONE, SENDER

# Zones whose clocks are set at midnight, at other hours, by half an hour, or never.
ZONES = ("America/Havana", "Asia/Beirut", "Africa/Cairo", "America/Asuncion", "Europe/Berlin", "America/New_York",
         "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns", "Asia/Kolkata", "Pacific/Kiritimati", "UTC")  # fmt: skip


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database.claims)


async def started(database: Database, *steps: Step, **changes: Any) -> int:
    await records.define(database, "mine", steps or (Step(1, "*", 10), Step(2, "*", 20)))
    return await records.start(database, Start(SENDER, "mine", **{"time_zone": NOON_ZONE, **changes}))


async def only(ledger: Ledger) -> WarmUp:
    (warm_up,) = await ledger.current()
    return warm_up


async def a_day_passes(database: Database, days: int = 1) -> None:
    async with database.claims.connection("letting a day pass") as connection:
        await warm_ups.a_day_passes(connection, days)


async def test_a_lease_never_passes_the_quota(database: Database, ledger: Ledger) -> None:
    # given a quota of ten
    warmup = await started(database)
    # when more is leased than there is
    grants = [await ledger.lease(warmup, "*", 4) for _ in range(4)]
    # then it is granted up to the quota, and not beyond
    assert [grant.given for grant in grants if grant] == [4, 4, 2, 0]
    assert (await only(ledger)).quota_of("google").available == 0


async def test_many_leases_at_once_never_pass_it(database: Database, ledger: Ledger) -> None:
    warmup = await started(database, Step(1, "*", 50), Step(1, "google", 7))
    # when two daemons' worth of workers ask at once, on a day that nobody has opened yet
    groups = ["*", "google"] * 20
    grants = await asyncio.gather(*(ledger.lease(warmup, group, 3) for group in groups))
    # then each quota is given away exactly
    given = {
        group: sum(grant.given for grant in grants if grant and grant.key.destination_group == group)
        for group in ("*", "google")
    }
    assert given == {"*": 50, "google": 7}


WAITING = "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def test_leases_that_wait_for_each_other_see_what_the_other_took(database: Database, ledger: Ledger) -> None:
    # given a day of which two are leased, and whose row somebody holds
    warmup = await started(database)
    await ledger.lease(warmup, "*", 2)
    holding, looking = database.leases.connection("holding the day"), database.acks.connection("looking at locks")
    async with looking as eye, holding as holder:
        async with holder.transaction():
            await holder.execute("SELECT FROM mailworkers.warmup_days FOR UPDATE")
            # when two ask for all that is left, and wait
            both = [asyncio.create_task(ledger.lease(warmup, "*", 8)) for _ in range(2)]
            await eventually(lambda: eye.fetchval(WAITING), "both wait")
        # then one has it
        assert sorted(grant.given for grant in await asyncio.gather(*both) if grant) == [0, 8]


async def test_what_is_handed_back_can_be_leased_again(database: Database, ledger: Ledger) -> None:
    warmup = await started(database)
    grant = await ledger.lease(warmup, "*", 10)
    assert grant is not None
    await ledger.settle([Account(grant.key, sent=6, refused=1, returned=3, charged=0)])

    again = await ledger.lease(warmup, "*", 10)

    assert again is not None
    assert again.given == 3
    (line,) = await records.read_status(database.claims, SENDER)
    assert (line.granted, line.sent, line.refused) == (10, 6, 1)


async def test_what_does_not_wait_is_charged_and_leaves_less_for_the_others(database: Database, ledger: Ledger) -> None:
    # given a day of which nobody has leased anything
    warmup = await started(database)
    today = (await only(ledger)).on_date
    # when twelve mails went that do not wait
    await ledger.settle([Account(DayKey(warmup, today, "*"), sent=12, refused=0, returned=0, charged=12)])
    # then nothing is left for those that do
    grant = await ledger.lease(warmup, "*", 1)
    assert grant is not None
    assert grant.given == 0
    assert (await only(ledger)).quota_of("").available == -2


async def test_the_next_day_has_a_quota_of_its_own_and_the_last_ends_it(database: Database, ledger: Ledger) -> None:
    warmup = await started(database)
    await ledger.lease(warmup, "*", 10)

    await a_day_passes(database)
    grant = await ledger.lease(warmup, "*", 100)
    assert grant is not None
    assert (grant.given, (await only(ledger)).day) == (20, 2)

    await a_day_passes(database)
    assert (await only(ledger)).over
    assert await ledger.finish() == [SENDER]
    assert await ledger.current() == []


async def test_a_day_that_is_left_out_has_the_quota_of_the_one_before(database: Database, ledger: Ledger) -> None:
    await started(database, Step(1, "*", 5), Step(4, "*", 9))
    await a_day_passes(database, 2)
    assert (await only(ledger)).quota_of("").quota == 5
    await a_day_passes(database)
    assert (await only(ledger)).quota_of("").quota == 9


async def test_before_its_first_day_nothing_may_go(database: Database, ledger: Ledger) -> None:
    warmup = await started(database, started_on=datetime.now(UTC).date() + timedelta(days=3))
    grant = await ledger.lease(warmup, "*", 1)
    assert grant is not None
    assert grant.given == 0


async def test_a_changed_schedule_holds_at_once(database: Database, ledger: Ledger) -> None:
    warmup = await started(database)
    await ledger.lease(warmup, "*", 10)
    await records.define(database, "mine", [Step(1, "*", 12)])
    grant = await ledger.lease(warmup, "*", 10)
    assert grant is not None
    assert grant.given == 2


async def test_paused_it_grants_nothing_and_its_day_does_not_go_on(database: Database, ledger: Ledger) -> None:
    # given day 2
    warmup = await started(database, Step(1, "*", 10), Step(2, "*", 20), Step(3, "*", 30))
    await a_day_passes(database)
    # when it is paused, and three days pass
    await records.pause(database, SENDER, "the list is being cleaned")
    assert await ledger.lease(warmup, "*", 1) is None
    await a_day_passes(database, 3)
    held = await only(ledger)
    assert (held.status, held.why, held.day, held.over) == ("paused", "the list is being cleaned", 2, False)
    # then it goes on with day 2, which has its whole quota
    await records.resume(database, SENDER)
    grant = await ledger.lease(warmup, "*", 100)
    assert grant is not None
    assert (grant.given, (await only(ledger)).day) == (20, 2)


async def refusals(
    database: Database, ledger: Ledger, sent: int, refused: int, group: str = "*"
) -> list[tuple[str, str]]:
    warm_up = await only(ledger)
    await ledger.settle([Account(DayKey(warm_up.id, warm_up.on_date, group), sent, refused, 0, sent + refused)])
    return await ledger.judge([warm_up.id])


@pytest.mark.parametrize(
    ("sent", "refused", "halted"),
    [(95, 5, False), (94, 6, True), (0, 49, False), (0, 50, True), (44, 5, False), (45, 5, True)],
)
async def test_refusals_above_the_bound_halt_it(
    database: Database, ledger: Ledger, sent: int, refused: int, *, halted: bool
) -> None:
    await started(database)
    found = await refusals(database, ledger, sent, refused)
    assert bool(found) == halted
    assert ((await only(ledger)).status == "halted") == halted


async def test_one_group_that_refuses_is_enough(database: Database, ledger: Ledger) -> None:
    await started(database, Step(1, "*", 5000), Step(1, "google", 100))
    assert await refusals(database, ledger, 4000, 0) == []
    ((sender, why),) = await refusals(database, ledger, 10, 50, "google")
    assert (sender, why) == (SENDER, "50 of 60 mails to google were refused: 83.3 %, above 5 %")


async def test_resumed_it_is_judged_anew(database: Database, ledger: Ledger) -> None:
    await started(database, refusals_percent=10.0, refusals_least=20)
    assert await refusals(database, ledger, 10, 10)
    await records.resume(database, SENDER)
    assert await refusals(database, ledger, 19, 0) == []
    assert await refusals(database, ledger, 0, 2) == []
    assert await refusals(database, ledger, 0, 1)


async def test_old_refusals_are_forgotten(database: Database, ledger: Ledger) -> None:
    await started(database, Step(1, "*", 1000), Step(30, "*", 1000))
    warm_up = await only(ledger)
    key = DayKey(warm_up.id, warm_up.on_date, "*")
    await ledger.settle([Account(key, 10, 50, 0, 60)])
    await a_day_passes(database, 3)
    assert await ledger.judge([warm_up.id]) == []


# ------------------------------------------------------------------------------------------------------------ days


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    """The oracle: quarter of an hour by quarter of an hour, the first moment whose date there is `day` or later."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while moment.astimezone(zone).date() < day:
        moment += timedelta(minutes=15)
    return moment


async def test_a_date_begins_at_its_first_moment_whatever_the_clocks_do(database: Database) -> None:
    # given every date of a year in zones that set their clocks at midnight, elsewhen or never
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(366)]
    async with database.claims.connection("asking when dates begin") as connection:
        rows = await connection.fetch(
            "SELECT day, zone, mailworkers.date_begins(day, zone) AS begins"
            " FROM unnest($1::date[]) AS day, unnest($2::text[]) AS zone",
            days,
            ZONES,
        )
    # then each begins when its date is first shown there
    assert len(rows) == len(days) * len(ZONES)
    wrong = [tuple(row) for row in rows if row["begins"] != first_moment(row["day"], ZoneInfo(row["zone"]))]
    assert not wrong


async def test_the_seconds_that_are_left_lead_to_the_next_date(database: Database, ledger: Ledger) -> None:
    await started(database, time_zone="America/Havana")
    warm_up = await only(ledger)
    ends = datetime.now(UTC) + timedelta(seconds=warm_up.seconds_left)
    there = ZoneInfo("America/Havana")
    assert (ends + timedelta(seconds=5)).astimezone(there).date() == warm_up.on_date + timedelta(days=1)
    assert (ends - timedelta(seconds=5)).astimezone(there).date() == warm_up.on_date


# ------------------------------------------------------------------------------------- what a person is told


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Start("news", "braze-moderate"), "'news' is neither an address nor a domain"),
        (Start("a b@news.example", "braze-moderate"), "is neither an address nor a domain"),
        (Start(SENDER, "quick"), "there is no warm-up schedule 'quick'"),
        (Start(SENDER, "mine", time_zone="Berlin"), "there is no time zone 'Berlin'"),
        (Start(SENDER, "mine", refusals_percent=0), "refusals_percent must be above 0"),
        (Start(SENDER, "mine", refusals_least=0), "refusals_least must be at least 1"),
    ],
)
async def test_a_start_that_cannot_be_says_why(database: Database, wanted: Start, why: str) -> None:
    await records.define(database, "mine", [Step(1, "*", 10)])
    with pytest.raises(WarmUpError) as refusal:
        await records.start(database, wanted)
    assert why in refusal.value.message


async def test_an_address_and_its_domain_are_not_warmed_up_beside_each_other(database: Database) -> None:
    await started(database)
    with pytest.raises(WarmUpError, match=r"news\.example is being warmed up already"):
        await records.start(database, Start("ann@News.Example", "mine"))
    await records.stop(database, SENDER)
    await records.start(database, Start("ann@News.Example", "mine"))
    await records.start(database, Start("bob@news.example", "mine"))
    with pytest.raises(WarmUpError, match="is being warmed up already"):
        await records.start(database, Start(SENDER, "mine"))


async def test_a_domain_is_kept_as_it_crosses_the_wire(database: Database) -> None:
    await records.start(database, Start("BÜRO.example", "braze-moderate"))
    (line,) = await records.list_warm_ups(database.claims, 10, live=True)
    assert line.sender == "xn--bro-hoa.example"


async def test_who_is_not_warmed_up_cannot_be_paused(database: Database) -> None:
    with pytest.raises(WarmUpError) as nobody:
        await records.pause(database, "other.example")
    assert str(nobody.value) == "other.example is not being warmed up. No sender is: start_warm_up begins"
    await started(database)
    with pytest.raises(WarmUpError, match=r"There is: news\.example"):
        await records.resume(database, "other.example")


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([Step(1, "*", 1), Step(1, "*", 2)], "day 1 of group '*' is there twice"),
        ([Step(2, "*", 1)], "group '*' must begin with day 1, not day 2"),
        ([Step(1, "google", 1)], "group '*' is missing"),
        ([], "quotas must be a list"),
        ([Step(1, "*", 1), Step(1001, "*", 2)], "day must be between 1 and 1000"),
    ],
)
async def test_a_schedule_that_cannot_be_says_why(database: Database, steps: list[Step], why: str) -> None:
    with pytest.raises(WarmUpError) as refusal:
        await records.define(database, "mine", steps)
    assert why in refusal.value.message


async def test_a_shipped_schedule_stays_as_it_was_published(database: Database) -> None:
    with pytest.raises(WarmUpError, match="is shipped and cannot be changed"):
        await records.define(database, "braze-moderate", [Step(1, "*", 10)])


async def test_shipped_schedules_have_a_source_and_grow(database: Database) -> None:
    lines = await records.list_schedules(database.claims)
    assert {line.name: (line.days, line.first_day, line.last_day) for line in lines} == {
        "braze-conservative": (21, 50, 8_000),
        "braze-moderate": (21, 50, 1_000_000),
        "braze-aggressive": (17, 50, 4_000_000),
        "sendgrid-automated": (42, 480, 470_425_344),
        "oracle-responsys": (7, 32_500, 50_000),
    }
    for line in lines:
        assert line.source is not None
        assert "/" in line.source
        _, schedule = await records.read_schedule(database.claims, line.name)
        for group in schedule.groups:
            quotas = [schedule.quota(day, group) or 0 for day in range(1, schedule.days + 1)]
            assert quotas == sorted(quotas)


async def test_an_application_may_do_it_all_in_sql(app_connection: Any) -> None:
    assert (
        await app_connection.fetchval(
            'SELECT mailworkers.define_warm_up_schedule(\'mine\', \'[{"day": 1, "quota": 5}, {"day": 3, "quota": 9}]\')'
        )
        == 3
    )
    await app_connection.execute("SELECT mailworkers.start_warm_up('news@shop.example', 'mine', 'Europe/Berlin')")
    await app_connection.execute("SELECT mailworkers.pause_warm_up('news@shop.example', 'not yet')")
    await app_connection.execute("SELECT mailworkers.resume_warm_up('news@shop.example')")
    row = await app_connection.fetchrow("SELECT sender, status, quota FROM mailworkers.warm_up_status")
    assert tuple(row) == ("news@shop.example", "running", 5)
    await app_connection.execute("SELECT mailworkers.stop_warm_up('news@shop.example')")
