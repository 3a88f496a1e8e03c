"""The last look at a mail before it leaves."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.mail.composer import compose
from mailworkers.mail.message import Envelope, Message, WireMail
from mailworkers.replies import FailureClass, Rejected
from mailworkers.transports.smtp.wire import Mode, Offer, Prepared, canonical, prepare, stuffed
from tests.mail import strategies

FULL = Offer(pipelining=True, chunking=True, eight_bit=True, smtputf8=True, size=True)
BARE = Offer()
HEADER = b"Subject: Hello\r\n\r\n"


def wire(
    content: bytes = HEADER + b"Hi\r\n", sender: str = "ben@example.com", *to: str, utf8: bool = False
) -> WireMail:
    return WireMail(Envelope(sender, to or ("ann@example.org",), utf8), content)


def prepared(mail: WireMail, offer: Offer = FULL) -> Prepared:
    result = prepare(mail, offer)
    assert isinstance(result, Prepared), result
    return result


class TestOffer:
    def test_is_read_from_ehlo(self) -> None:
        offer = Offer.from_ehlo({"pipelining": "", "size": "10240", "8bitmime": ""})
        assert offer == Offer(pipelining=True, eight_bit=True, size=True, size_limit=10240)

    @pytest.mark.parametrize("size", ["", "0", "many", "9" * 30, "-1", "²"])
    def test_a_size_that_says_nothing_is_no_limit(self, size: str) -> None:
        assert Offer.from_ehlo({"size": size}).size_limit == 0

    @pytest.mark.parametrize(
        ("offer", "mode"),
        [
            (BARE, Mode.PLAIN),
            (Offer(pipelining=True), Mode.PIPELINING),
            (Offer(pipelining=True, chunking=True), Mode.CHUNKING),
            (Offer(chunking=True), Mode.PLAIN),
        ],
    )
    def test_decides_the_mode(self, offer: Offer, mode: Mode) -> None:
        assert offer.mode is mode


class TestCommands:
    def test_without_extensions(self) -> None:
        mail = prepared(wire(HEADER, "ben@example.com", "ann@example.org", "bob@example.org"), BARE)
        assert mail.mail == b"MAIL FROM:<ben@example.com>\r\n"
        assert mail.rcpt == (b"RCPT TO:<ann@example.org>\r\n", b"RCPT TO:<bob@example.org>\r\n")

    def test_size_counts_the_content_before_stuffing(self) -> None:
        content = HEADER + b".dot\r\n"
        assert prepared(wire(content)).mail == b"MAIL FROM:<ben@example.com> SIZE=%d\r\n" % len(content)

    def test_8bit_content_says_so(self) -> None:
        assert prepared(wire(HEADER + "é\r\n".encode())).mail.endswith(b" BODY=8BITMIME\r\n")

    def test_the_null_sender_of_a_bounce(self) -> None:
        assert prepared(wire(HEADER, ""), BARE).mail == b"MAIL FROM:<>\r\n"

    def test_smtputf8_only_where_needed(self) -> None:
        mail = prepared(wire(HEADER, "bèn@example.com", utf8=True))
        assert mail.mail == "MAIL FROM:<bèn@example.com> SIZE=18 SMTPUTF8\r\n".encode()
        assert b"SMTPUTF8" not in prepared(wire()).mail

    def test_a_quoted_local_part_passes(self) -> None:
        assert (
            prepared(wire(HEADER, r'"a \"b\" c"@example.com'), BARE).mail
            == b'MAIL FROM:<"a \\"b\\" c"@example.com>\r\n'
        )


class TestRefused:
    @pytest.mark.parametrize(
        "address",
        [
            "ann@example.org\r\nRCPT TO:<eve@example.org>", "ann@example.org\n", "an\0n@example.org", "a n@example.org",
            "ann@example.org> SIZE=1", "<ann@example.org>", "ann", "@example.org", "ann@", "a@b@c", "", "ann@exämple.org",
            '"ann"eve@example.org', '"an>n"@example.org', "ann@[127.0.0.1", "x" * 320 + "@example.org", "ann@a\x7fb",
        ],
    )  # fmt: skip
    def test_a_recipient_that_could_be_anything_but_an_address(self, address: str) -> None:
        refused = prepare(wire(HEADER, "ben@example.com", address), FULL)
        assert isinstance(refused, Rejected)
        assert refused.failure is FailureClass.DATA

    def test_a_sender_that_injects(self) -> None:
        assert isinstance(prepare(wire(HEADER, "ben@example.com>\r\nDATA"), FULL), Rejected)

    def test_nobody_to_send_to(self) -> None:
        assert isinstance(prepare(WireMail(Envelope("ben@example.com", ()), HEADER), FULL), Rejected)

    @pytest.mark.parametrize("header", [b"Subject: a\nBcc: eve@example.org", b"Subject: a\rBcc: e", b"A: b\n\nbody"])
    def test_a_header_with_a_lone_line_end(self, header: bytes) -> None:
        refused = prepare(wire(header + b"\r\n\r\nHi\r\n"), FULL)
        assert isinstance(refused, Rejected)
        assert "header" in refused.text

    @pytest.mark.parametrize("content", [b"Subject: a\0b\r\n\r\nHi\r\n", HEADER + b"a\0b\r\n"])
    def test_nul_anywhere(self, content: bytes) -> None:
        refused = prepare(wire(content), FULL)
        assert isinstance(refused, Rejected)
        assert "NUL" in refused.text

    @pytest.mark.parametrize(
        ("mail", "lacking", "word"),
        [
            (wire(HEADER, "bèn@example.com", utf8=True), "smtputf8", "SMTPUTF8"),
            (wire("Subject: é\r\n\r\nHi\r\n".encode()), "smtputf8", "SMTPUTF8"),
            (wire(HEADER + "é\r\n".encode()), "eight_bit", "8BITMIME"),
        ],
    )
    def test_what_the_relay_does_not_offer(self, mail: WireMail, lacking: str, word: str) -> None:
        refused = prepare(mail, dataclasses.replace(FULL, **{lacking: False}))
        assert isinstance(refused, Rejected)
        assert word in refused.text

    def test_a_message_above_the_relays_limit(self) -> None:
        refused = prepare(wire(HEADER + b"x" * 1000), dataclasses.replace(FULL, size_limit=1000))
        assert isinstance(refused, Rejected)
        assert "too large" in refused.text


class TestContent:
    def test_lone_line_ends_in_the_body_become_crlf(self) -> None:
        assert canonical(HEADER + b"a\nb\rc\r\n\n.\n\r\r\n") == HEADER + b"a\r\nb\r\nc\r\n\r\n.\r\n\r\n\r\n"

    def test_ends_with_crlf(self) -> None:
        assert canonical(HEADER + b"a") == HEADER + b"a\r\n"
        assert canonical(HEADER + b"a\r\n") == HEADER + b"a\r\n"

    def test_dots_that_begin_a_line_are_doubled(self) -> None:
        assert stuffed(b".a\r\n..b\r\nc.\r\n.\r\n") == b"..a\r\n...b\r\nc.\r\n..\r\n"

    @given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"\r\n.\r\n"])).map(b"".join))
    def test_no_body_holds_another_end_of_the_mail(self, body: bytes) -> None:
        content = canonical(HEADER + body)
        assert isinstance(content, bytes)
        on_the_wire = stuffed(content)
        assert not re.search(rb"(?:\r\n|\n|\r|^)\.(?:\r\n|\n|\r)", on_the_wire)
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", on_the_wire)


class TestTheComposersWord:
    @given(strategies.messages())
    def test_stands_for_what_the_check_would_find(self, message: Message) -> None:
        mail = compose(message)
        assert mail.checked

        unvouched = prepare(dataclasses.replace(mail, checked=False), FULL)

        assert unvouched == prepare(mail, FULL)
        assert isinstance(unvouched, Prepared)
        assert unvouched.content == mail.content
