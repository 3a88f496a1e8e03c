"""Replies are counted, not packets."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.transports.smtp.parser import MAX_LINE, MAX_REPLY, ReplyParser

CONVERSATION = b"250 2.1.0 ok\r\n250-two\r\n250 lines\r\n354 go\n550\r\n421 \r\n"
REPLIES = [(250, b"2.1.0 ok"), (250, b"two\nlines"), (354, b"go"), (550, b""), (421, b"")]


def test_several_replies_in_one_packet() -> None:
    assert ReplyParser().feed(CONVERSATION) == REPLIES


@given(cuts=st.lists(st.integers(0, len(CONVERSATION)), max_size=12))
def test_a_reply_in_any_number_of_packets(cuts: list[int]) -> None:
    parser = ReplyParser()
    edges = [0, *sorted(cuts), len(CONVERSATION)]

    replies = [reply for a, b in itertools.pairwise(edges) for reply in parser.feed(CONVERSATION[a:b])]

    assert replies == REPLIES
    assert parser.between_replies


@pytest.mark.parametrize(
    "line",
    [b"hello\r\n", b"\r\n", b"25 ok\r\n", b"2500 ok\r\n", b"150 ok\r\n", b"650 ok\r\n", b"250+ok\r\n", b" 250 ok\r\n"],
)
def test_what_is_no_reply_is_a_fault(line: bytes) -> None:
    parser = ReplyParser()

    assert parser.feed(b"250 ok\r\n" + line + b"250 never read\r\n") == [(250, b"ok")]

    assert parser.fault


def test_the_code_must_not_change_within_a_reply() -> None:
    parser = ReplyParser()
    assert parser.feed(b"250-one\r\n550 two\r\n") == []
    assert parser.fault


def test_a_line_without_end_is_cut_off_in_bounded_memory() -> None:
    parser = ReplyParser()

    parser.feed(b"250 " + b"x" * MAX_LINE)

    assert "octets" in parser.fault
    assert not parser._rest


def test_a_reply_without_end_is_cut_off_in_bounded_memory() -> None:
    parser = ReplyParser()

    for _ in range(MAX_REPLY):
        parser.feed(b"250-and then\r\n")
        if parser.fault:
            break

    assert "octets" in parser.fault
    assert parser._size < MAX_REPLY + MAX_LINE


@given(st.binary(max_size=200))
def test_no_input_raises(data: bytes) -> None:
    ReplyParser().feed(data)
