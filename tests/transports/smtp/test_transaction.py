"""One mail's replies, without I/O."""

from __future__ import annotations

import asyncio

import pytest

from mailworkers.replies import Accepted, Broken, Deferred, Lost, Rejected, Stage
from mailworkers.transports.ending import Ending
from mailworkers.transports.smtp.transaction import Transaction, Verdict
from mailworkers.transports.smtp.wire import Prepared

OK = (250, b"2.0.0 ok")
GO_ON = (354, b"go on")
NO_SUCH_USER = (550, b"5.1.1 no such user")
PREPARED = Prepared(b"", (b"", b""), ("ann@example.org", "bob@example.org"), b"Hi\r\n")


@pytest.fixture
def ending() -> Ending:
    loop = asyncio.new_event_loop()
    loop.close()
    return Ending(loop)


def begun(transaction: Transaction) -> Transaction:
    transaction.begun = True
    return transaction


@pytest.fixture
def pipelined(ending: Ending) -> Transaction:
    return begun(Transaction(PREPARED, ending, 0.0, pipelined=True))


@pytest.fixture
def chunked(ending: Ending) -> Transaction:
    return begun(Transaction(PREPARED, ending, 0.0, pipelined=True, chunked=True))


@pytest.fixture
def plain(ending: Ending) -> Transaction:
    return begun(Transaction(PREPARED, ending, 0.0))


def verdicts(transaction: Transaction, *replies: tuple[int, bytes]) -> list[Verdict]:
    return [transaction.take(*reply)[0] for reply in replies]


def test_the_way_of_an_accepted_mail(pipelined: Transaction) -> None:
    assert verdicts(pipelined, OK, OK, OK, GO_ON) == [Verdict.WAIT] * 3 + [Verdict.SEND_CONTENT]

    verdict, outcome = pipelined.take(*OK)

    assert verdict is Verdict.DONE
    assert isinstance(outcome, Accepted)
    assert not pipelined.open_at_relay


def test_each_refused_recipient_is_recorded_by_name(pipelined: Transaction) -> None:
    verdicts(pipelined, OK, OK, NO_SUCH_USER, GO_ON)
    _, outcome = pipelined.take(*OK)
    assert isinstance(outcome, Accepted)
    assert [refused.email for refused in outcome.refused] == ["bob@example.org"]


def test_plain_stops_at_the_first_reply_that_ends_it(plain: Transaction) -> None:
    assert verdicts(plain, (550, b"5.7.1 no")) == [Verdict.DONE]
    assert not plain.open_at_relay


def test_plain_sends_no_data_for_nobody(plain: Transaction) -> None:
    assert verdicts(plain, OK, NO_SUCH_USER, NO_SUCH_USER) == [Verdict.WAIT, Verdict.WAIT, Verdict.DONE]
    assert plain.open_at_relay, "MAIL must not follow without RSET"


def test_pipelined_reads_all_replies_it_is_owed(pipelined: Transaction) -> None:
    replies = [(550, b"5.7.1 no"), (503, b""), (503, b""), (503, b"")]
    assert verdicts(pipelined, *replies) == [Verdict.WAIT] * 3 + [Verdict.DONE]


def test_nobody_left_although_data_was_accepted(pipelined: Transaction) -> None:
    assert verdicts(pipelined, OK, NO_SUCH_USER, NO_SUCH_USER, GO_ON)[-1] is Verdict.SEND_NOTHING
    _, outcome = pipelined.take(*OK)  # whatever it says to a lone dot
    assert isinstance(outcome, Rejected)


def test_rset_must_succeed(pipelined: Transaction) -> None:
    pipelined.resetting = True
    assert verdicts(pipelined, (500, b"")) == [Verdict.OUT_OF_STEP]


@pytest.mark.parametrize("before", [0, 1, 3, 4])
def test_a_reply_that_cannot_stand_here(pipelined: Transaction, before: int) -> None:
    verdicts(pipelined, *[OK, OK, OK, GO_ON][:before])
    wrong = OK if before == 3 else GO_ON
    assert verdicts(pipelined, wrong) == [Verdict.OUT_OF_STEP]


def test_a_refused_chunk_leaves_the_transaction_open(chunked: Transaction) -> None:
    assert verdicts(chunked, OK, OK, OK, (451, b"not now")) == [Verdict.WAIT] * 3 + [Verdict.DONE]
    assert chunked.open_at_relay


class TestInterrupted:
    def test_before_the_content_was_handed_over(self, pipelined: Transaction) -> None:
        verdicts(pipelined, OK)
        assert pipelined.interrupted("gone", closing=False) == Broken(Stage.RCPT, "gone")

    def test_before_anything_of_it_left(self, pipelined: Transaction) -> None:
        pipelined.begun = False
        assert pipelined.interrupted("gone", closing=True) == Broken(Stage.MAIL, "gone", closing=True, begun=False)

    def test_in_the_middle_of_the_content(self, pipelined: Transaction) -> None:
        verdicts(pipelined, OK, OK, OK, GO_ON)
        pipelined.content_begun = True
        assert pipelined.interrupted("gone", closing=False) == Broken(Stage.BODY, "gone")

    def test_after_it(self, pipelined: Transaction) -> None:
        verdicts(pipelined, OK, OK, OK, GO_ON)
        pipelined.content_begun = pipelined.handed = True
        assert isinstance(pipelined.interrupted("gone", closing=False), Lost)

    def test_a_chunk_is_in_doubt_before_any_reply(self, chunked: Transaction) -> None:
        chunked.content_begun = chunked.handed = True
        assert isinstance(chunked.interrupted("gone", closing=True), Lost)

    def test_but_not_where_the_relay_said_that_it_goes(self, chunked: Transaction) -> None:
        chunked.content_begun = chunked.handed = True
        assert chunked.interrupted("421", closing=True, told=True) == Broken(Stage.MAIL, "421", closing=True)

    def test_nor_where_everyone_had_been_refused(self, chunked: Transaction) -> None:
        chunked.content_begun = chunked.handed = True
        verdicts(chunked, OK, NO_SUCH_USER, (450, b"4.2.1 busy"))
        assert isinstance(chunked.interrupted("gone", closing=False), Deferred)
