"""The mails of a measurement: of the size that was asked for, and the same by every way."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from mailworkers.bench.mails import HTML_LINE, LEAST_HTML_SIZE, LEAST_SIZE, LINE, Mails


@pytest.mark.parametrize("size", [LEAST_SIZE, 3_000, 20_000, 100_000])
def test_a_mail_has_the_size_that_was_asked_for(size: int) -> None:
    assert abs(len(Mails(size).wire(7).content) - size) <= len(LINE)


@pytest.mark.parametrize("size", [LEAST_HTML_SIZE, 3_000, 20_000, 100_000])
def test_so_has_one_in_two_parts(size: int) -> None:
    mails = Mails(size, html=True)
    content = mails.wire(7).content

    assert abs(len(content) - size) <= 2 * len(LINE + HTML_LINE)
    parts = [part.get_content_type() for part in message_from_bytes(content).walk()]
    assert parts == ["multipart/alternative", "text/plain", "text/html"]
    assert mails.text(1) != mails.text(2)
    assert mails.html(1) != mails.html(2)


def test_every_way_sends_the_same_html() -> None:
    mails = Mails(3_000, html=True)

    ours, built = (
        message_from_bytes(content, policy=policy.default)
        for content in (mails.wire(7).content, mails.built(7).as_bytes())
    )

    for kind in ("plain", "html"):
        shown = [
            [part.get_content().splitlines() for part in mail.walk() if part.get_content_subtype() == kind]
            for mail in (ours, built)
        ]
        assert shown[0] == shown[1] != []


def test_every_way_sends_the_same_mail() -> None:
    mails = Mails(3_000)

    ours = message_from_bytes(mails.wire(7).content, policy=policy.default)
    built = message_from_bytes(mails.built(7).as_bytes(), policy=policy.default)

    for name in ("From", "To", "Subject"):
        assert ours[name] == built[name]
    assert ours.get_content().splitlines() == built.get_content().splitlines() == mails.text(7).splitlines()
