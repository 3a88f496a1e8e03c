"""Who a mail is from and for."""

from __future__ import annotations

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.composer import compose
from mailworkers.mail.message import Address, Envelope
from tests.mail.letters import letter


def test_recipients_are_to_cc_and_bcc_in_this_order_each_once() -> None:
    message = letter(
        cc=(Address("bob@firm2.example"), Address("ann@FIRM2.example", "again")),
        bcc=(Address("eve@firm3.example"), Address("bob@firm2.example"), Address("Bob@firm2.example")),
    )

    assert compose(message).envelope == Envelope(
        "letter@firm1.example",
        ("ann@firm2.example", "bob@firm2.example", "eve@firm3.example", "Bob@firm2.example"),
    )


def test_an_internationalized_domain_needs_no_smtputf8() -> None:
    mail = compose(letter(sender=Address("a@büro.firm1.example"), to=Address("b@straße.example")))

    assert mail.envelope == Envelope("a@xn--bro-hoa.firm1.example", ("b@xn--strae-oqa.example",))
    assert b"To: b@xn--strae-oqa.example\r\n" in mail.content
    assert mail.content.isascii()


@pytest.mark.parametrize("field", ["sender", "to", "reply_to", "cc", "bcc"])
def test_a_local_part_beyond_ascii_needs_smtputf8(field: str) -> None:
    address = Address("bücher@büro.firm1.example", "Žofie")
    message = letter(**{field: (address,) if field in ("cc", "bcc") else address})

    mail = compose(message)

    assert mail.envelope.smtputf8
    assert ("<bücher@xn--bro-hoa.firm1.example>".encode() in mail.content) == (field != "bcc")


@pytest.mark.parametrize(
    ("field", "named"),
    [("sender", "from_email"), ("to", "to_email"), ("reply_to", "reply_to"), ("cc", "cc[0]"), ("bcc", "bcc[0]")],
)
def test_a_bad_address_is_named_by_its_column(field: str, named: str) -> None:
    address = Address("ann@firm1..example")

    with pytest.raises(ComposeError) as refused:
        compose(letter(**{field: (address,) if field in ("cc", "bcc") else address}))

    assert str(refused.value).startswith(f"{named}: the domain must be labels")
