"""The mails of a measurement: of the size that was asked for, and the same by every way."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from mailworkers.bench.mails import LEAST_SIZE, LINE, Mails


@pytest.mark.parametrize("size", [LEAST_SIZE, 3_000, 20_000, 100_000])
def test_a_mail_has_the_size_that_was_asked_for(size: int) -> None:
    assert abs(len(Mails(size).wire(7).content) - size) <= len(LINE)


def test_every_way_sends_the_same_mail() -> None:
    mails = Mails(3_000)

    ours = message_from_bytes(mails.wire(7).content, policy=policy.default)
    built = message_from_bytes(mails.built(7).as_bytes(), policy=policy.default)

    for name in ("From", "To", "Subject"):
        assert ours[name] == built[name]
    assert ours.get_content().splitlines() == built.get_content().splitlines() == mails.text.splitlines()
