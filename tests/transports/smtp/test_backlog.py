"""Mails under way, and the line behind them, without I/O."""

from __future__ import annotations

import asyncio

import pytest

from mailworkers.replies import (
    Accepted,
    Broken,
    Deferred,
    FailureClass,
    Outcome,
    Rejected,
    RelayDown,
    Reply,
    Stage,
    Throttled,
)
from mailworkers.transports.ending import Ending
from mailworkers.transports.smtp.backlog import Backlog, holds_up_the_line
from mailworkers.transports.smtp.transaction import Transaction
from mailworkers.transports.smtp.wire import Prepared

REPLY = Reply(Stage.FINAL, 250, "2.0.0", "Ok")
CONTENT = b"Hi\r\n"


def a_transaction(deadline: float = 100.0, settled: Outcome | None = None) -> Transaction:
    loop = asyncio.new_event_loop()
    loop.close()
    prepared = Prepared(b"", (b"",), ("ann@example.org",), CONTENT)
    transaction = Transaction(None if settled else prepared, Ending(loop), deadline)
    transaction.settled = settled
    return transaction


def filled(*deadlines: float, window: int = 2) -> Backlog:
    backlog = Backlog(window)
    for deadline in deadlines:
        backlog.add(a_transaction(deadline))
    return backlog


def test_no_more_are_under_way_than_the_window_has() -> None:
    backlog = filled(1, 2, 3)
    first, _ = backlog.begin(), backlog.begin()
    assert not backlog.has_turn

    assert backlog.end() is first
    assert backlog.has_turn


def test_what_is_settled_waits_for_those_before_it_and_takes_no_turn() -> None:
    backlog = filled(1)
    backlog.add(a_transaction(settled=Accepted(REPLY)))
    backlog.begin()
    assert not backlog.has_turn
    assert len(backlog) == 2

    backlog.end()
    assert backlog.head is not None
    assert backlog.head.settled == Accepted(REPLY)


def test_the_octets_of_what_ended_are_free_again() -> None:
    backlog = filled(1, 2)
    before = backlog.octets
    backlog.begin()
    backlog.end()
    assert 0 < backlog.octets < before


def test_what_is_recalled_ends_as_not_begun_and_what_is_under_way_stays() -> None:
    backlog = filled(1, 2, 3)
    under_way = backlog.begin()

    backlog.recall("told so")

    assert (backlog.in_line, len(backlog), backlog.has_turn) == (0, 3, False)
    assert under_way.settled is None
    backlog.end()
    assert backlog.head is not None
    assert backlog.head.settled == Broken(Stage.MAIL, "told so", closing=True, begun=False)


def test_only_those_are_recalled_whose_deadline_has_passed() -> None:
    backlog = filled(1, 2, 3, 4)
    backlog.begin()

    backlog.recall("late", before=3)

    assert backlog.in_line == 1
    assert backlog.deadline == 1


def test_a_head_that_never_began_leaves_the_line_with_its_end() -> None:
    backlog = filled(1, 2)
    backlog.end()
    assert (backlog.in_line, len(backlog)) == (1, 1)


@pytest.mark.parametrize(
    ("outcome", "heeded"),
    [
        (Accepted(REPLY), False),
        (Rejected(FailureClass.DATA, "no such user", REPLY), False),
        (Rejected(FailureClass.PROVIDER, "blocked", REPLY, policy=True), True),
        (Deferred(FailureClass.PROVIDER, "later", REPLY), False),
        (Throttled("slower", REPLY), False),
        (RelayDown("log in first"), True),
    ],
)
def test_after_which_outcomes_the_line_is_held_up(outcome: Outcome, heeded: bool) -> None:
    assert holds_up_the_line(outcome) is heeded
