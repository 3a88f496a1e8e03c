"""Tokens for the next claims: leased before they are missing, rarely, and no more than soon can be used."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.provision import RESERVE_CLAIMS, Provision
from mailworkers.limits import BucketKey, Limiter, Scope
from mailworkers.limits.bucket import Limit
from mailworkers.limits.keys import SYSTEM_NAME, Limits, Period
from mailworkers.limits.ledger import Ask, Grant
from mailworkers.queue.claim import Head
from mailworkers.queue.states import Lane
from tests.support.jobs import made_up

THEN = datetime(2026, 1, 1, tzinfo=UTC)
CLAIM = 100  # jobs
LANES = 500
ACME, ZOO = Lane("acme", ""), Lane("zoo", "")
SYSTEM = BucketKey(Scope.SYSTEM, SYSTEM_NAME, Period.SECOND)
OF_ACME = BucketKey(Scope.WORKSPACE, "acme", Period.MINUTE)
FIRST, SECOND = (BucketKey(Scope.WORKER, f"host#1/{slot}", Period.MINUTE) for slot in (1, 2))
HIGH: Limits = {
    (Scope.SYSTEM, Period.SECOND): Limit(1_000_000, 1.0),
    (Scope.WORKSPACE, Period.MINUTE): Limit(1_000_000, 60.0),
    (Scope.WORKER, Period.MINUTE): Limit(1_000_000, 60.0),
}


@dataclass
class Ledger:
    """Gives what is asked for, up to `most` of each."""

    most: int = 1_000_000
    statements: list[dict[BucketKey, int]] = field(default_factory=list)

    async def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        self.statements.append({ask.key: ask.wanted for ask in asks})
        return [Grant(ask.key, min(ask.wanted, self.most), 0.0, THEN) for ask in asks]


class Two:
    """Workers."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def keys(self, most: int | None = None) -> list[BucketKey]:
        return [FIRST, SECOND][:most]

    def tokens(self) -> float:
        return sum(self._limiter.available(key) for key in self.keys())


@dataclass
class Stand:
    ledger: Ledger
    limiter: Limiter
    book: LaneBook
    buffer: Buffer
    provision: Provision

    async def lease(self) -> None:
        await self.provision.lease(self.lacking())

    def lacking(self) -> dict[BucketKey, int]:
        return self.provision.lacking(CLAIM, LANES)

    def spend(self, jobs: int) -> None:
        """So many mails of acme leave, by both workers in turn."""
        for number in range(jobs):
            assert self.limiter.take(SYSTEM, OF_ACME, (FIRST, SECOND)[number % 2])


@pytest.fixture
def stand() -> Stand:
    ledger, book, buffer = Ledger(), LaneBook(), Buffer()
    limiter = Limiter(ledger, time.monotonic)
    limiter.configure(HIGH)
    book.renew([Head(ACME, 0, 0, THEN, 1, -1.0)])
    return Stand(ledger, limiter, book, buffer, Provision(limiter, Two(limiter), book, buffer))


def test_without_limits_nothing_is_asked_for(stand: Stand) -> None:
    stand.limiter.configure({})
    assert stand.lacking() == {}
    assert stand.provision.common() == float("inf")


async def test_at_first_tokens_for_some_claims_are_leased_in_one_statement(stand: Stand) -> None:
    assert not stand.provision.suffices(CLAIM, stand.lacking())

    await stand.lease()

    assert stand.ledger.statements == [dict.fromkeys((SYSTEM, OF_ACME, FIRST, SECOND), RESERVE_CLAIMS * CLAIM)]
    assert stand.lacking() == {}
    assert stand.provision.of_lane(ACME) == stand.provision.of_workspace("acme") == RESERVE_CLAIMS * CLAIM
    assert stand.provision.common() == RESERVE_CLAIMS * CLAIM


async def test_the_next_are_leased_while_there_are_enough_for_one_more_claim(stand: Stand) -> None:
    await stand.lease()
    stand.buffer.put([made_up(number, lane=ACME) for number in range(CLAIM)])
    while not (wanted := stand.lacking()):
        stand.spend(10)

    assert stand.provision.suffices(CLAIM, wanted)
    assert min(stand.limiter.available(SYSTEM), stand.limiter.available(OF_ACME)) >= 2 * CLAIM, "buffer and claim"


async def test_where_less_is_left_than_the_next_claim_takes_it_waits_for_them(stand: Stand) -> None:
    await stand.lease()
    stand.spend(RESERVE_CLAIMS * CLAIM - CLAIM + 1)
    assert not stand.provision.suffices(CLAIM, stand.lacking())


async def test_what_has_less_than_nine_tenths_is_leased_along_with_what_is_low(stand: Stand) -> None:
    await stand.lease()
    stand.spend(RESERVE_CLAIMS * CLAIM // 2)  # half of what all mails have, a quarter of what each worker has
    assert stand.lacking() == {}
    stand.spend(2)
    assert set(stand.lacking()) == {SYSTEM, OF_ACME, FIRST, SECOND}


async def test_what_waits_in_the_buffer_has_its_tokens_beside_those_for_claims(stand: Stand) -> None:
    stand.buffer.put([made_up(number, lane=ACME) for number in range(50)])
    await stand.lease()
    assert stand.limiter.available(SYSTEM) == RESERVE_CLAIMS * CLAIM + 50
    assert stand.provision.of_workspace("acme") == RESERVE_CLAIMS * CLAIM


async def test_a_workspace_with_jobs_in_the_buffer_gets_tokens_though_none_of_it_is_due_outside(stand: Stand) -> None:
    stand.buffer.put([made_up(lane=ZOO)])
    assert BucketKey(Scope.WORKSPACE, "zoo", Period.MINUTE) in stand.lacking()


async def test_for_a_guess_a_few_workers_and_the_guessed_workspace_are_enough(stand: Stand) -> None:
    stand.book.renew([])
    wanted = stand.provision.lacking(CLAIM, LANES, 1, ["zoo"])
    assert set(wanted) == {SYSTEM, BucketKey(Scope.WORKSPACE, "zoo", Period.MINUTE), FIRST}


@pytest.mark.parametrize("claim", [1, 2, 3])
async def test_a_small_claim_too_is_provided_for_before_the_last_token_is_spent(stand: Stand, claim: int) -> None:
    await stand.provision.lease(stand.provision.lacking(claim, LANES))
    assert stand.provision.common() >= claim
    for key in (SYSTEM, OF_ACME, FIRST):
        while stand.limiter.take(key):
            pass
        assert key in stand.provision.lacking(claim, LANES)


async def test_what_the_ledger_refuses_is_told_as_lacking_with_the_time_to_wait(stand: Stand) -> None:
    stand.ledger.most = 0
    assert not stand.provision.lacks()
    await stand.lease()
    assert stand.provision.lacks()
    assert 0 < stand.provision.wait(LANES) < float("inf")
    # and is not asked for again until then
    await stand.lease()
    assert len(stand.ledger.statements) == 1


async def test_a_destination_group_has_what_all_workspaces_in_the_buffer_leave_it(stand: Stand) -> None:
    stand.limiter.configure({**HIGH, (Scope.DESTINATION, Period.SECOND): Limit(1_000_000, 1.0)})
    lanes = [Lane(workspace, "google") for workspace in ("acme", "zoo")]
    stand.book.renew([Head(lane, 0, 0, THEN, 1, -1.0) for lane in lanes])
    stand.buffer.put([made_up(number, lane=lanes[number % 2]) for number in range(50)])

    await stand.lease()

    assert stand.provision.of_lane(lanes[0]) == RESERVE_CLAIMS * CLAIM + 25, "what its workspace has"
    assert stand.provision.of_group("google") == RESERVE_CLAIMS * CLAIM
    stand.buffer.take_out(lambda _job: True)
    assert stand.provision.of_group("google") == RESERVE_CLAIMS * CLAIM + 50


def test_a_destination_group_without_a_limit_may_have_all(stand: Stand) -> None:
    assert stand.provision.of_group("google") == float("inf")
