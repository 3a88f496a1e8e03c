"""What a daemon has in hand of a quota: whatever happens in whatever order, no more goes out than the day allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.warming.day import HOLD_SECONDS, Account, Day, DayKey, lease_size

KEY = DayKey(1, date(2026, 11, 22), "*")
NOW, LATER = 100.0, 100.0 + HOLD_SECONDS
DAEMONS = 3


def day(in_hand: int = 0) -> Day:
    made = Day(KEY)
    made.receive(in_hand, LATER)
    return made


@pytest.mark.parametrize(("quota", "size"), [(0, 1), (1, 1), (99, 1), (100, 2), (5000, 100), (1_000_000, 200)])
def test_a_lease_is_a_small_share_of_the_day(quota: int, size: int) -> None:
    assert lease_size(quota) == size


def test_only_what_was_leased_may_begin() -> None:
    one = day(2)
    assert [one.take(NOW) for _ in range(3)] == [True, True, False]


def test_a_lease_ends() -> None:
    one = day(2)
    assert not one.take(LATER)
    assert one.settle(LATER) == Account(KEY, 0, 0, returned=2, charged=0)
    assert one.settle(LATER) is None


def test_what_the_relay_did_not_take_may_begin_again() -> None:
    one = day(1)
    assert one.take(NOW)
    one.not_sent(NOW)
    assert one.take(NOW)
    one.not_sent(LATER)  # too late to be used here: another may have it
    assert one.settle(LATER) == Account(KEY, 0, 0, returned=1, charged=0)


def test_what_was_charged_gives_nobody_a_turn() -> None:
    # given a mail that did not wait for the quota, and that the relay did not take
    one = day(0)
    one.receive(0, LATER)
    one.charge()
    one.not_sent(NOW, charged=True)
    # then no other may begin in its place here, and the ledger is even
    assert not one.take(NOW)
    assert one.settle(NOW) == Account(KEY, 0, 0, returned=1, charged=1)


def test_counts_are_told_once_and_again_where_nobody_answered() -> None:
    one = day(5)
    for _ in range(3):
        assert one.take(NOW)
    one.sent()
    one.sent()
    one.refused()
    account = one.settle(NOW)
    assert account == Account(KEY, sent=2, refused=1, returned=0, charged=0)
    assert one.settle(NOW) is None
    one.not_told(account)
    assert one.settle(NOW, everything=True) == Account(KEY, sent=2, refused=1, returned=2, charged=0)
    assert one.is_settled


def test_what_was_handed_back_is_not_used_even_where_nobody_answered() -> None:
    # given a mail that was handed back, and nobody knows whether that arrived
    one = day(1)
    account = one.settle(LATER)
    assert account is not None
    one.not_told(account)
    # then another may have it by now: it is neither in hand, also after the next lease, nor handed back again
    one.receive(0, LATER + HOLD_SECONDS)
    assert not one.take(LATER)
    assert one.settle(LATER, everything=True) is None


@dataclass
class Model:
    """A day's quota, daemons that share it, and a relay that counts what it took."""

    quota: int
    granted: int = 0
    charged: int = 0
    taken: int = 0  # by the relay, of mails that wait
    days: list[Day] = field(default_factory=lambda: [Day(KEY) for _ in range(DAEMONS)])
    on_the_way: list[int] = field(default_factory=lambda: [0] * DAEMONS)
    now: float = NOW

    def lease(self, daemon: int, heard: bool) -> None:
        given = max(0, min(lease_size(self.quota), self.quota - self.granted))
        self.granted += given
        if heard:
            self.days[daemon].receive(given, self.now + HOLD_SECONDS)

    def begin(self, daemon: int) -> None:
        if self.days[daemon].take(self.now):
            self.on_the_way[daemon] += 1

    def end(self, daemon: int, outcome: str) -> None:
        if not self.on_the_way[daemon]:
            return
        self.on_the_way[daemon] -= 1
        match outcome:
            case "sent":
                self.taken += 1
                self.days[daemon].sent()
            case "lost":  # it may have been taken
                self.taken += 1
            case "not sent":
                self.days[daemon].not_sent(self.now)

    def urgent(self, daemon: int) -> None:
        self.days[daemon].charge()

    def settle(self, daemon: int, arrived: bool, heard: bool) -> None:
        account = self.days[daemon].settle(self.now)
        if account is None:
            return
        if arrived:
            self.granted = max(0, self.granted - account.returned + account.charged)
            self.charged += account.charged
        if not heard:
            self.days[daemon].not_told(account)

    def kill(self, daemon: int) -> None:
        self.taken += self.on_the_way[daemon]  # the relay may have taken each
        self.days[daemon], self.on_the_way[daemon] = Day(KEY), 0

    def wait(self, seconds: float) -> None:
        self.now += seconds


daemons, either = st.integers(0, DAEMONS - 1), st.booleans()
steps = st.one_of(
    st.tuples(st.just("lease"), daemons, either),
    st.tuples(st.just("begin"), daemons),
    st.tuples(st.just("begin"), daemons),
    st.tuples(st.just("end"), daemons, st.sampled_from(["sent", "lost", "not sent"])),
    st.tuples(st.just("urgent"), daemons),
    st.tuples(st.just("settle"), daemons, either, either),
    st.tuples(st.just("kill"), daemons),
    st.tuples(st.just("wait"), st.sampled_from([0.5, HOLD_SECONDS])),
)


@given(st.integers(0, 120), st.lists(steps, max_size=120))
def test_mails_that_wait_never_pass_the_quota(quota: int, happened: list[tuple[str, int]]) -> None:
    # given any quota and daemons that lease, send, fail, wait, are killed and lose answers
    model = Model(quota)
    for what, *arguments in happened:
        getattr(model, what)(*arguments)
        # then at no moment has the relay more than the day allows
        assert model.taken + sum(model.on_the_way) <= quota
        assert model.granted <= quota + model.charged
