"""What relays say, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.replies import (
    MAX_RETRY_AFTER,
    MAX_TEXT,
    MIN_RETRY_AFTER,
    Accepted,
    Deferred,
    FailureClass,
    Outcome,
    Rejected,
    RelayDown,
    Reply,
    Stage,
    Throttled,
    classify,
    make_reply,
)

C, G, E, T, A = Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH
M, R, D, F = Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.FINAL


def of(stage: Stage, line: str) -> Outcome:
    """The outcome of a reply given as on the wire."""
    return classify(make_reply(stage, int(line[:3]), line[4:]))


class TestReply:
    def test_the_enhanced_code_is_taken_out_of_the_text(self) -> None:
        assert make_reply(R, 550, "5.1.1 No such user") == Reply(R, 550, "5.1.1", "No such user")

    def test_lines_are_joined_and_lose_the_code_that_each_repeats(self) -> None:
        reply = make_reply(F, 550, "5.7.26 Not authenticated.\n5.7.26 Set up SPF or DKIM.\n5.7.26  x12si - gsmtp")
        assert reply == Reply(F, 550, "5.7.26", "Not authenticated. Set up SPF or DKIM. x12si - gsmtp")

    @pytest.mark.parametrize("text", ["Requested action not taken", "5.1 short", "5.1.1.1 long", "see 5.1.1", ""])
    def test_no_enhanced_code(self, text: str) -> None:
        assert make_reply(R, 550, text).enhanced is None

    def test_a_code_without_words(self) -> None:
        assert make_reply(R, 550, "5.1.1") == Reply(R, 550, "5.1.1", "")

    @given(st.text())
    def test_the_text_can_be_stored_and_shown(self, text: str) -> None:
        reply = make_reply(F, 550, text)
        assert len(reply.text) <= MAX_TEXT
        assert not any(char in reply.text for char in "\x00\r\n\x1b\x7f")
        reply.text.encode()

    def test_undecodable_octets_are_replaced(self) -> None:
        assert make_reply(F, 550, b"caf\xe9".decode("utf-8", "surrogateescape")).text == "caf?"

    def test_an_essay_is_cut(self) -> None:
        assert len(make_reply(F, 550, "word " * 10_000).text) <= MAX_TEXT
        assert len(make_reply(F, 550, "line\n" * 10_000).text) <= MAX_TEXT


class TestHardBounce:
    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            (R, "550 5.1.1 The account you tried to reach does not exist"),
            (R, "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown in local recipient table"),
            (R, "550 5.1.2 Bad destination system address"),
            (R, "501 5.1.3 Bad recipient address syntax"),
            (R, "550 5.1.4 Ambiguous address"),
            (R, "551 5.1.6 Mailbox has moved"),
            (R, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP address lookup"),
            (R, "550 5.2.1 The account is disabled"),
            (F, "554 5.1.1 this user doesn't have an account here"),
            (D, "550 5.1.1 unknown"),
            (R, "550 No such user here"),
            (R, "550 Unknown recipient"),
            (R, "553 sorry, that mailbox does not exist"),
            (R, "551 user not found"),
        ],
    )
    def test_the_address_is_dead(self, stage: Stage, line: str) -> None:
        outcome = of(stage, line)
        assert isinstance(outcome, Rejected)
        assert outcome.hard_bounce
        assert not outcome.policy
        assert outcome.failure is FailureClass.DATA

    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            (M, "550 5.1.1 sender unknown"),  # the sender's address, not the recipient's
            (R, "550 5.1.8 sender's domain has no MX"),
            (R, "550 5.7.1 no such user, says our policy"),
            (R, "550 rejected"),
            (F, "554 transaction failed"),
            (R, "450 4.1.1 no such user yet"),
        ],
    )
    def test_not_blamed_on_the_recipient(self, stage: Stage, line: str) -> None:
        outcome = of(stage, line)
        assert not (isinstance(outcome, Rejected) and outcome.hard_bounce)


class TestSoft:
    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            (R, "452 4.2.2 The mailbox is over quota"),
            (R, "452 mailbox is full"),
            (F, "452 quota exceeded"),
            (R, "552 Too many recipients"),  # the one 5xx that is worth another try: RFC 821 meant 452
            (R, "552 5.5.3 Too many recipients"),
            (M, "452 4.3.1 Insufficient system storage, try again later"),
            (R, "451 4.4.1 No answer from the next host, try again later"),
            (R, "451 4.4.3 Name server failure"),
            (R, "451 4.4.5 Congestion"),
            (F, "421 4.4.2 Connection dropped"),
            (R, "452 4.5.3 Too many recipients"),
            (R, "450 4.2.0 Mailbox busy"),
            (R, "450 4.1.1 unverified address"),
            (F, "451 Requested action aborted: local error in processing"),
            (D, "499 whatever"),
        ],
    )
    def test_the_next_attempt_follows_on_the_schedule(self, stage: Stage, line: str) -> None:
        outcome = of(stage, line)
        assert isinstance(outcome, Deferred)
        assert outcome.failure is FailureClass.PROVIDER


class TestThrottled:
    @pytest.mark.parametrize(
        ("stage", "line", "seconds"),
        [
            (M, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to complaints", None),
            (M, "421 4.7.0 [TS01] Messages temporarily deferred", None),
            (M, "451 Message not accepted [IPTS04]", None),
            (R, "450 4.2.1 The user is receiving mail at a rate that prevents more", None),
            (F, "421 4.7.28 Our system has detected an unusual rate of mail", None),
            (R, "450 4.7.1 Greylisted, try again in 300 seconds", 300),
            (R, "451 4.7.1 Please try again later", None),
            (M, "454 Throttling failure: maximum sending rate exceeded", None),
            (R, "451 Too many messages, slow down: wait 5 minutes", 300),
            (R, "450 too many connections; retry after 1 hour", 3600),
            (G, "421 too many connections from your host", None),
            (A, "454 4.7.0 Too many login attempts, wait 10 min", 600),
            (M, "421 Service not available, closing", None),
            (F, "450 4.7.0 slow down for 90s", 90),
            (F, "450 4.7.0 Try again in 2 minutes", 120),
            (F, "421 4.7.1 too many messages: limit is 300 per 1 hour", None),
            (F, "421 4.7.0 more than 50 mails in 60 seconds", None),
            (F, "421 4.7.0 more than 50 mails in 60 seconds, try again in 5 minutes", 300),
            (F, "421 4.7.28 Our system 10 h", None),
            (F, "450 4.7.0 slow down for 999999 hours", MAX_RETRY_AFTER),
            (F, "450 4.7.0 Try again in 99999999 seconds", MAX_RETRY_AFTER),
            (F, "450 4.7.0 Try again in 2 days", MAX_RETRY_AFTER),
            (F, f"450 4.7.0 Try again in {'9' * 500} s", MAX_RETRY_AFTER),
            (F, "450 4.7.0 Try again in 3 hours", 10_800),
            (F, "450 4.7.0 Try again in 2hrs", 7200),
            (F, "450 4.7.0 Try again in 1m30s", 90),
            (F, "450 4.7.0 Try again in 1h2m3s.", 3723),
            (F, "450 4.7.0 Try again in 1 hour and 5 minutes", 3900),
            (F, "450 4.7.0 Try again in 1 minute, 30 seconds", 90),
            (F, "450 4.7.0 Try again in 30 seconds, 5 minutes at the latest", 30),
            (F, "450 4.7.0 Try again in 1.5 hours", 5400),
            (F, "450 4.7.0 Try again in 0,5 minutes", 30),
            (F, "450 4.7.0 Try again in 1,200 seconds", 1200),
            (F, "450 4.7.0 Try again in 0 seconds", MIN_RETRY_AFTER),
            (F, "450 4.7.0 Try again in 0.2 seconds", MIN_RETRY_AFTER),
            (F, "450 4.7.0 Try again in -5 minutes", None),
            (F, "450 4.7.0 Try again in 5-10 minutes", 600),
            (F, "450 4.7.0 Try again in 500 ms", None),
            (F, "450 4.7.0 Try again later, retry in 300", None),  # of what, nobody says
            (F, "450 4.7.0 too fast: 4 of 5 attempts, wait 30 seconds, 100 per 60 minutes", 30),
            (F, "450 4.7.0 after 3 failures in 10 minutes you have to wait 1 hour", 3600),
            (F, "450 4.7.0 Try again after 2026-11-23 05:38 h", None),
            (F, "450 4.7.0 Try again after 23/11/2026 d", None),
            (F, "450 4.7.0 Try again after Mon, 23 Nov 2026 05:38:45 +0000", None),
            (F, "450 4.7.0 Try again in 60 seconds (now 2026-11-23 05:38:45)", 60),
            (F, "450 4.7.0 Try again, 192.0.2.5 s", None),
        ],
    )
    def test_asks_for_less(self, stage: Stage, line: str, seconds: float | None) -> None:
        outcome = of(stage, line)
        assert isinstance(outcome, Throttled)
        assert outcome.retry_after == seconds

    @given(
        st.text(max_size=60), st.text("0123456789.,:-/ ", max_size=40), st.sampled_from(["s", "m", "h", "d", "hours"])
    )
    def test_whatever_it_says_the_wait_is_bounded(self, before: str, count: str, unit: str) -> None:
        outcome = classify(make_reply(F, 450, f"4.7.0 {before} try again in {count} {unit}"))
        assert isinstance(outcome, Throttled)
        assert outcome.retry_after is None or MIN_RETRY_AFTER <= outcome.retry_after <= MAX_RETRY_AFTER

    @given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
    def test_hours_minutes_and_seconds_add_up(self, hours: int, minutes: int, seconds: int) -> None:
        for form in ("{}h{}m{}s", "{} h {} min {} sec", "{} hours, {} minutes and {} seconds"):
            outcome = of(F, "450 4.7.0 wait " + form.format(hours, minutes, seconds))
            assert isinstance(outcome, Throttled)
            assert outcome.retry_after == max(MIN_RETRY_AFTER, 3600 * hours + 60 * minutes + seconds)

    @pytest.mark.parametrize("line", ["451 cannot operate on this", "451 4.3.0 corporate policy server moderated this"])
    def test_a_word_that_only_contains_rate_asks_for_nothing(self, line: str) -> None:
        assert isinstance(of(F, line), Deferred)


class TestMessage:
    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            (M, "552 5.3.4 Message size exceeds fixed limit"),
            (F, "552 5.3.4 Message too big for system"),
            (F, "552 5.2.3 Message length exceeds administrative limit"),
            (M, "552 message size exceeds maximum"),
            (F, "552 5.6.0 Headers too large"),
            (F, "554 5.6.1 Body type not supported"),
            (F, "554 5.7.1 Spam message rejected"),
            (F, "552 5.7.0 This message was blocked because its content presents a potential security issue"),
            (D, "554 5.5.3 Too many recipients"),
            (F, "552 5.5.3 Too many recipients"),  # by then it is this mail that has too many
            (R, "552 5.2.2 The email account that you tried to reach is over quota and inactive"),
            (R, "550 5.2.2 Mailbox full"),
            (F, "554 5.2.2 mailbox full"),
            (R, "552 mailbox is full"),
            (F, "552 quota exceeded"),
        ],
    )
    def test_neither_the_recipient_nor_the_sender_is_to_blame(self, stage: Stage, line: str) -> None:
        outcome = of(stage, line)
        assert isinstance(outcome, Rejected)
        assert outcome.failure is FailureClass.DATA
        assert not outcome.policy
        assert not outcome.hard_bounce


class TestPolicy:
    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            (R, "550 5.7.1 Message rejected as spam by policy"),
            (F, "550 5.7.26 Unauthenticated sender: neither SPF nor DKIM passed"),
            (F, "550 5.7.515 Access denied, sending domain does not meet the required authentication level"),
            (R, "554 5.7.1 Service unavailable; client host blocked using a list"),
            (R, "554 5.7.1 <ann@example.org>: Relay access denied"),
            (R, "550 relaying denied"),
            (R, "550 your host is blocklisted"),
            (M, "553 5.7.1 Sender address rejected: not owned by user"),
            (M, "550 5.4.5 Daily SMTP relay sending limit exceeded"),
            (F, "550 hourly quota of this account is used up"),
        ],
    )
    def test_the_sender_needs_attention_and_the_recipient_does_not(self, stage: Stage, line: str) -> None:
        outcome = of(stage, line)
        assert isinstance(outcome, Rejected)
        assert outcome.policy
        assert not outcome.hard_bounce
        assert outcome.failure is FailureClass.PROVIDER


class TestRelay:
    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            (A, "535 5.7.8 Username and Password not accepted"),
            (A, "534 5.7.9 Application-specific password required"),
            (M, "530 5.7.0 Must issue a STARTTLS command first"),
            (M, "530 5.7.1 Authentication required"),
            (A, "538 5.7.11 Encryption required for requested authentication mechanism"),
            (A, "504 5.5.4 Unrecognized authentication type"),
            (G, "554 5.7.1 No SMTP service here"),
            (E, "550 go away"),
        ],
    )
    def test_a_person_must_act(self, stage: Stage, line: str) -> None:
        outcome = of(stage, line)
        assert isinstance(outcome, RelayDown)
        assert outcome.person_must_act

    @pytest.mark.parametrize(
        ("stage", "line"),
        [(G, "421 4.3.2 System not accepting network messages"), (T, "454 TLS not available"), (G, "450 busy")],
    )
    def test_waiting_helps(self, stage: Stage, line: str) -> None:
        outcome = of(stage, line)
        assert isinstance(outcome, RelayDown)
        assert not outcome.person_must_act


class TestRest:
    def test_accepted(self) -> None:
        outcome = of(F, "250 2.0.0 Ok: queued as 4Bx")
        assert outcome == Accepted(Reply(F, 250, "2.0.0", "Ok: queued as 4Bx"))

    @pytest.mark.parametrize("line", ["550 rejected", "554 5.0.0 failed", "503 5.5.1 bad sequence", "599 5.9.9 no"])
    def test_any_other_5xx_is_permanent(self, line: str) -> None:
        outcome = of(F, line)
        assert isinstance(outcome, Rejected)
        assert not outcome.policy
        assert not outcome.hard_bounce

    @pytest.mark.parametrize("line", ["250 early", "354 go on", "211 status"])
    def test_a_reply_that_says_nothing_about_the_mail(self, line: str) -> None:
        assert isinstance(of(M, line), Deferred)

    def test_the_text_says_what_it_means_and_what_was_said(self) -> None:
        outcome = of(R, "550 5.1.1 No such user")
        assert isinstance(outcome, Rejected)
        assert outcome.text == "the recipient's address is dead: 550 5.1.1 No such user"

    @given(stage=st.sampled_from([M, R, D, F]), code=st.integers(400, 599), text=st.text(max_size=60))
    def test_4xx_is_never_final_and_5xx_is_never_repeated_but_for_too_many_recipients(
        self, stage: Stage, code: int, text: str
    ) -> None:
        reply = make_reply(stage, code, text)
        outcome = classify(reply)
        if code < 500:
            assert isinstance(outcome, Deferred | Throttled)
        elif isinstance(outcome, Deferred):
            assert (stage, code) == (Stage.RCPT, 552)
            assert "too many recipients" in outcome.text
        else:
            assert isinstance(outcome, Rejected | RelayDown)
