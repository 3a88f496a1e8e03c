"""Every row of the list is accounted for, and the verdict is right."""

from __future__ import annotations

from mailworkers.demo.capture import Captured
from mailworkers.demo.inserting import Inserted
from mailworkers.demo.leads import Lead, LeadList, fold
from mailworkers.demo.result import Result, account

ROWS = ("ann@a.example", "bo@b.example", " ann@A.example ", "nobody", "nobody", "cy@büro.example")
SENT = {("sent", ""): 3}


def settled(recipients: dict[str, int], ends: dict[tuple[str, str], int]) -> Result:
    leads = {fold(row): Lead(row.strip()) for row in reversed(ROWS)}
    listed = LeadList(tuple(leads.values()), len(ROWS), {key: sum(fold(row) == key for row in ROWS) for key in leads})
    good = [lead for lead in listed.leads if "@" in lead.email]
    inserted = Inserted(good, {"nobody": "to_email must have one @"})
    return account(listed, inserted, recipients, ends, 2.0, 1.0, [])


def test_one_mail_for_each_is_complete() -> None:
    result = settled({"ann@a.example": 1, "bo@b.example": 1, "cy@xn--bro-hoa.example": 1}, SENT)

    assert result.complete
    assert (result.rows, result.valid, result.duplicates) == (6, 3, 1)
    assert result.refused == {"to_email must have one @": 2}, "a copy of a refused row is refused, not a duplicate"
    assert result.mails_per_second == 3.0


def test_a_lead_without_a_mail_is_missing() -> None:
    result = settled({"ann@a.example": 1, "bo@b.example": 1}, SENT)

    assert not result.complete
    assert result.missing == ("cy@xn--bro-hoa.example",)


def test_a_second_mail_to_the_same_lead_is_no_success() -> None:
    result = settled({"ann@a.example": 2, "bo@b.example": 1, "cy@xn--bro-hoa.example": 1}, SENT)

    assert not result.complete
    assert result.repeated == ("ann@a.example",)


def test_a_mail_to_a_stranger_is_no_success() -> None:
    recipients = {"ann@a.example": 1, "bo@b.example": 1, "cy@xn--bro-hoa.example": 1, "eve@e.example": 1}

    assert settled(recipients, SENT).strangers == ("eve@e.example",)
    assert not settled(recipients, SENT).complete


def test_a_record_that_says_otherwise_is_no_success() -> None:
    recipients = {"ann@a.example": 1, "bo@b.example": 1, "cy@xn--bro-hoa.example": 1}

    result = settled(recipients, {("sent", ""): 2, ("unknown", "the reply was lost"): 1})

    assert not result.complete
    assert result.not_sent == {"unknown: the reply was lost": 1}


def test_the_message_shown_is_one_with_more_than_ascii_in_its_head() -> None:
    plain = Captured("", ("a@a.example",), b"Subject: x\r\n\r\n=?utf-8?")
    telling = Captured("", ("b@a.example",), b"Subject: =?utf-8?q?x?=\r\n\r\nHi")

    result = account(LeadList((), 0, {}), Inserted(), {}, {}, 1.0, 1.0, [plain, telling])

    assert result.message is telling
