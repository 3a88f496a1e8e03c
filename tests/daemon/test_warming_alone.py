"""What a daemon knows of warm-ups, with a ledger in memory and a clock that a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, cast

import pytest

from mailworkers.daemon.vitals import Vitals
from mailworkers.daemon.warming import HELD_SECONDS, NOT_NOW_SECONDS, SPREAD_SECONDS, Warming
from mailworkers.errors import DatabaseUnavailable
from mailworkers.queue.states import Job, Lane, Snooze
from mailworkers.replies import Accepted, Broken, FailureClass, Lost, Outcome, Rejected, Reply, Stage, Throttled
from mailworkers.warming.day import HOLD_SECONDS, Account, DayKey
from mailworkers.warming.ledger import Grant, Ledger
from mailworkers.warming.senders import Quota, WarmUp
from tests.support.clock import Clock
from tests.support.jobs import made_up

TODAY = date(2026, 11, 22)
OK = Accepted(Reply(Stage.FINAL, 250, None, "taken"))
GOOGLE = Lane("default", "google")


@dataclass
class InMemory:
    """One warm-up's ledger."""

    quota: int
    status: str = "running"
    hold_all: bool = False
    day: int = 1
    seconds_left: float = 3600.0
    granted: int = 0
    leases: int = 0
    down: bool = False
    told: list[Account] = field(default_factory=list)

    async def current(self) -> list[WarmUp]:
        self._answer()
        quotas = {"*": Quota("*", self.quota, self.quota - self.granted)}
        on_date = TODAY + timedelta(days=self.day - 1)
        return [
            WarmUp(1, "news.example", self.status, "", self.hold_all, on_date, self.day, 9, self.seconds_left, quotas)
        ]

    async def lease(self, _warmup: int, group: str, wanted: int) -> Grant | None:
        await asyncio.sleep(0)
        self._answer()
        self.leases += 1
        given = max(0, min(wanted, self.quota - self.granted))
        self.granted += given
        return Grant(DayKey(1, TODAY + timedelta(days=self.day - 1), group), given, self.seconds_left)

    async def settle(self, accounts: Sequence[Account]) -> None:
        self._answer()
        self.told += accounts
        self.granted += sum(one.charged - one.returned for one in accounts)

    async def judge(self, _warmups: Sequence[int]) -> list[tuple[str, str]]:
        return []

    async def finish(self) -> list[str]:
        return []

    def _answer(self) -> None:
        if self.down:
            raise DatabaseUnavailable("nobody answers")


@dataclass
class Scene:
    """A daemon's warm-ups, and what they let rest."""

    ledger: InMemory
    clock: Clock = field(default_factory=Clock)
    vitals: Vitals = field(default_factory=Vitals)
    resting: dict[tuple[Lane, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.warming = Warming(
            cast("Ledger", self.ledger), lambda: "info@news.example", self.rest, self.vitals, self.clock
        )

    def rest(self, lane: Lane, campaign: int, until: float, _why: str) -> None:
        self.resting[lane, campaign] = until

    async def admit(self, *jobs: Job) -> list[Snooze | None]:
        return list(await asyncio.gather(*(self.warming.admit(one) for one in jobs)))


async def scene(quota: int, **changes: Any) -> Scene:
    made = Scene(InMemory(quota, **changes))
    await made.warming.round()
    return made


def job(number: int, **fields: Any) -> Job:
    return made_up(number, lane=GOOGLE, **{"campaign_id": 7, **fields})


async def test_without_a_warm_up_nobody_is_asked() -> None:
    class Nothing(InMemory):
        async def current(self) -> list[WarmUp]:
            return []

    made = Scene(Nothing(5))
    assert not made.warming.active
    await made.warming.round()
    assert not made.warming.active
    assert made.vitals.warm_ups == 0


async def test_workers_that_ask_at_once_share_leases() -> None:
    made = await scene(200)
    found = await made.admit(*(job(number) for number in range(20)))
    assert found == [None] * 20
    assert made.ledger.leases == 5  # of four mails each


async def test_what_is_used_up_is_not_asked_for_again() -> None:
    # given a day whose last mail has begun
    made = await scene(1)
    assert await made.admit(job(1)) == [None]
    # when more come, then each waits until tomorrow's first hour
    found = await made.admit(*(job(number) for number in range(2, 10)))
    for waits in found:
        assert waits is not None
        assert waits.ours
        assert 3600 <= waits.delay <= 3600 + SPREAD_SECONDS
    # and the ledger is asked once
    assert made.ledger.leases == 2
    await made.warming.round()
    await made.admit(job(10))
    assert made.ledger.leases == 2


async def test_only_a_campaign_that_is_made_here_rests_as_a_whole() -> None:
    made = await scene(0)
    await made.admit(job(1), job(2, campaign=8, campaign_id=8))
    assert set(made.resting) == {(GOOGLE, 8)}
    assert made.resting[GOOGLE, 8] >= made.clock.now + 3600
    # and no longer than there is a reason
    made.ledger.quota = 5
    await made.warming.round()
    assert made.resting == {(GOOGLE, 8): 0.0}
    assert await made.admit(job(3)) == [None]


async def test_midnight_ends_no_rest_before_its_moment() -> None:
    # given a campaign that rests until some moment of tomorrow's first hour
    made = await scene(0)
    await made.admit(job(1, campaign=8, campaign_id=8))
    until = made.resting[GOOGLE, 8]
    # when tomorrow has begun, with a quota
    made.clock.now += 3601
    made.ledger.day, made.ledger.quota = 2, 100
    await made.warming.round()
    # then not all campaigns begin at midnight
    assert made.resting == {(GOOGLE, 8): until}


async def test_mail_without_a_campaign_never_waits_for_the_ledger() -> None:
    made = await scene(0)
    made.ledger.down = True
    assert await made.admit(job(1, campaign_id=None)) == [None]
    made.warming.settled(job(1, campaign_id=None), OK)
    made.ledger.down = False
    await made.warming.round()
    (account,) = made.ledger.told
    assert (account.sent, account.charged, account.returned) == (1, 1, 0)


async def test_what_does_not_wait_takes_what_is_at_hand_first() -> None:
    made = await scene(200)
    await made.admit(job(1))  # which leases four
    await made.admit(job(2, campaign_id=None))
    await made.warming.close()
    (account,) = made.ledger.told
    assert (account.charged, account.returned) == (0, 2)


async def test_a_silent_ledger_holds_mails_for_a_moment_only() -> None:
    made = await scene(100)
    made.ledger.down = True
    (waits,) = await made.admit(job(1))
    assert waits is not None
    assert (waits.delay, waits.why) == (NOT_NOW_SECONDS, "nobody answers")


@pytest.mark.parametrize("status", ["paused", "halted"])
async def test_a_held_warm_up_is_looked_at_again_soon(status: str) -> None:
    made = await scene(100, status=status)
    waits, urgent = await made.admit(job(1), job(2, campaign_id=None))
    assert waits is not None
    assert HELD_SECONDS / 2 <= waits.delay <= HELD_SECONDS
    assert "mailworkers warmup resume news.example" in waits.why
    assert urgent is None
    assert ("warm_up" in made.vitals.warnings) == (status == "halted")
    made.ledger.status = "running"
    await made.warming.round()
    assert await made.admit(job(3)) == [None]
    assert "warm_up" not in made.vitals.warnings


async def test_a_lease_ends_with_its_day() -> None:
    # given mails leased a second before midnight
    made = await scene(200, seconds_left=1.0)
    await made.admit(job(1))
    # when midnight has passed, which the daemon has not heard of yet
    made.clock.now += 1.5
    made.ledger.day, made.ledger.granted, made.ledger.seconds_left = 2, 0, 86_400.0
    assert await made.admit(job(2)) == [None]
    # then the next mail is of the new day, and the rest of yesterday's goes back to it
    made.warming.settled(job(1), OK)
    made.warming.settled(job(2), OK)
    await made.warming.round()
    told = {account.key.on_date: (account.sent, account.returned) for account in made.ledger.told}
    assert told == {TODAY: (1, 3), TODAY + timedelta(days=1): (1, 0)}


async def test_what_is_not_needed_goes_back_soon() -> None:
    made = await scene(200)
    await made.admit(job(1))
    made.clock.now += HOLD_SECONDS
    await made.warming.round()
    (account,) = made.ledger.told
    assert account.returned == 3


@pytest.mark.parametrize(
    ("outcome", "sent", "refused", "returned"),
    [
        (OK, 1, 0, 3),
        (Rejected(FailureClass.PROVIDER, "blocked", policy=True), 0, 1, 3),
        (Rejected(FailureClass.DATA, "unknown", hard_bounce=True), 0, 1, 3),
        (Rejected(FailureClass.DATA, "too large"), 0, 0, 3),
        (Lost("no reply"), 0, 0, 3),
        (Throttled("slow down"), 0, 0, 4),
        (Broken(Stage.RCPT, "gone"), 0, 0, 4),
    ],
)
async def test_an_outcome_counts_as_what_the_relay_may_have_taken(
    outcome: Outcome, sent: int, refused: int, returned: int
) -> None:
    made = await scene(200)
    await made.admit(job(1))
    made.warming.settled(job(1), outcome)
    made.warming.settled(job(1), outcome)  # a second time changes nothing
    await made.warming.close()
    (account,) = made.ledger.told
    assert (account.sent, account.refused, account.returned) == (sent, refused, returned)


async def test_a_mail_that_did_not_begin_after_all_gives_its_place_back() -> None:
    made = await scene(1)
    await made.admit(job(1))
    made.warming.unused(job(1))
    assert await made.admit(job(2)) == [None]


async def test_counts_outlast_a_ledger_that_is_away() -> None:
    made = await scene(200)
    await made.admit(job(1))
    made.warming.settled(job(1), OK)
    made.ledger.down = True
    with pytest.raises(DatabaseUnavailable):
        await made.warming.round()
    made.ledger.down = False
    await made.warming.round()
    assert [account.sent for account in made.ledger.told] == [1]
