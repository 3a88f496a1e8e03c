"""From an outcome to a result: which attempts count, what is tried again, and when."""

from __future__ import annotations

import pytest

from mailworkers.daemon.outcomes import JITTER, result_of
from mailworkers.queue.states import End, Ended, Failure, Retry, Sent, Snooze
from mailworkers.replies import (
    Accepted,
    Broken,
    Deferred,
    FailureClass,
    Lost,
    Outcome,
    Rejected,
    RelayDown,
    Reply,
    Stage,
    Throttled,
)
from tests.support.jobs import made_up

SCHEDULE = (300.0, 900.0, 2700.0, 8100.0)
REPLY = Reply(Stage.FINAL, 250, None, "ok")


def test_an_accepted_mail_is_sent() -> None:
    job = made_up()
    assert result_of(job, Accepted(REPLY), "id@x.example", SCHEDULE) == Sent(job, "id@x.example", REPLY)


def test_a_permanent_reply_ends_the_job_at_once() -> None:
    job = made_up(max_retries=3)
    result = result_of(job, Rejected(FailureClass.DATA, "no such user", REPLY), "", SCHEDULE)
    assert result == Ended(job, End.FAILED, Failure(FailureClass.DATA, "no such user", reply=REPLY))


@pytest.mark.parametrize(("attempts", "delay"), [(0, 300.0), (1, 900.0), (2, 2700.0), (3, 8100.0), (9, 8100.0)])
def test_retries_follow_the_schedule_and_its_last_step_repeats(attempts: int, delay: float) -> None:
    job = made_up(attempts=attempts, max_retries=20)
    result = result_of(job, Deferred(FailureClass.PROVIDER, "later", REPLY), "", SCHEDULE)
    assert isinstance(result, Retry)
    assert delay * (1 - JITTER) <= result.delay <= delay * (1 + JITTER)


def test_when_the_retries_are_spent_the_job_is_abandoned() -> None:
    job = made_up(attempts=3, max_retries=3)
    result = result_of(job, Deferred(FailureClass.PROVIDER, "later", REPLY), "", SCHEDULE)
    assert isinstance(result, Ended)
    assert result.end is End.ABANDONED


@pytest.mark.parametrize(
    "outcome",
    [
        Throttled("slower", REPLY, 30.0),
        Throttled("slower", REPLY),
        RelayDown("refused"),
        Broken(Stage.MAIL, "421 closing", closing=True),
    ],
)
def test_what_is_not_the_mails_fault_spends_no_attempt(outcome: Outcome) -> None:
    result = result_of(made_up(attempts=3, max_retries=3), outcome, "", SCHEDULE)
    assert isinstance(result, Snooze)
    assert result.delay > 0


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (Throttled("slower", REPLY, 30.0), FailureClass.PROVIDER),
        (Broken(Stage.MAIL, "421 closing", closing=True), FailureClass.NETWORK),
    ],
)
def test_what_the_relay_only_ever_puts_off_is_abandoned_at_last(outcome: Outcome, failure: FailureClass) -> None:
    early = result_of(made_up(put_off=3500.0), outcome, "id@x.example", SCHEDULE, 3600.0)
    late = result_of(made_up(put_off=3600.0), outcome, "id@x.example", SCHEDULE, 3600.0)

    assert isinstance(early, Snooze)
    assert early.put_off
    assert isinstance(late, Ended)
    assert (late.end, late.why.failure, late.message_id) == (End.ABANDONED, failure, "id@x.example")
    assert late.why.text == f"given up after the relay put it off for 1.0 hours: {outcome.text}"  # type: ignore[union-attr]


def test_a_relay_that_cannot_be_talked_to_ends_no_mail() -> None:
    result = result_of(made_up(put_off=1e9), RelayDown("wrong password", person_must_act=True), "", SCHEDULE, 3600.0)
    assert isinstance(result, Snooze)
    assert not result.put_off


def test_a_mail_that_was_never_put_off_before_is_not_given_up_whatever_the_limit() -> None:
    assert isinstance(result_of(made_up(), Throttled("slower"), "", SCHEDULE, 1e-9), Snooze)


def test_a_relay_that_names_a_time_is_believed() -> None:
    result = result_of(made_up(), Throttled("slower", REPLY, 30.0), "", SCHEDULE)
    assert isinstance(result, Snooze)
    assert 27.0 <= result.delay <= 33.0


def test_a_broken_connection_is_the_networks_failure() -> None:
    result = result_of(made_up(), Broken(Stage.BODY, "cut"), "", SCHEDULE)
    assert isinstance(result, Retry)
    assert (result.why.failure, result.why.stage) == (FailureClass.NETWORK, Stage.BODY)


def test_a_lost_final_reply_is_tried_again_unless_the_mail_must_go_at_most_once() -> None:
    assert isinstance(result_of(made_up(), Lost("no reply"), "", SCHEDULE), Retry)
    result = result_of(made_up(at_most_once=True), Lost("no reply"), "", SCHEDULE)
    assert isinstance(result, Ended)
    assert result.end is End.UNKNOWN
