"""One spelling for each mailbox; the quick way says what email-validator says."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from mailworkers.leads.address import NotAnAddress, normalized, plain_ones
from mailworkers.mail.addresses import wire_address

ATOMS = "abzABZ019_!#$%&'*+/=?^`{|}~-."
HOST = "abzABZ019-."
WORDS = st.sampled_from(
    ["info", "Sales", "xn--", "ab--c", "example", "EXAMPLE", "test", "invalid", "local", "123", "a" * 63, "b" * 64]
)
INTERNATIONAL = st.sampled_from(
    [
        "büro",
        "BÜRO",
        "straße",
        "例え",
        "אב",
        "٠א",
        "xn--bro-hoa",
        "ü" * 60,
        "ﬀ",
        "a。b",
        "-ü",
        "ü-",
        "ab--ü",
        "\u200dü",
        "u\u0308",
        "İ",
    ]
)
LOCALS = st.one_of(st.text(ATOMS, max_size=70), st.text(max_size=8), WORDS)
DOMAINS = st.one_of(
    st.text(HOST, max_size=70),
    st.lists(st.one_of(WORDS, st.text(HOST, max_size=6)), max_size=6).map(".".join),
    st.lists(st.one_of(WORDS, INTERNATIONAL), min_size=1, max_size=4).map(".".join),
    st.text(max_size=8),
)


@given(st.lists(st.tuples(LOCALS, DOMAINS).map("@".join), max_size=5))
@example(
    [
        "INFO@a.example",
        "info@A.example",
        "ann@BÜRO.example",
        " ann@a.example",
        "a@@b.example",
        "a@b.example ",
        "a" * 64 + "@b.example",
    ]
)
def test_what_is_plain_among_many_is_what_it_is_alone(written: list[str]) -> None:
    for text, spelling in zip(written, plain_ones(written), strict=True):
        assert spelling is None or spelling == normalized(text)


def test_hardly_any_address_needs_a_look_of_its_own() -> None:
    assert plain_ones(["ann@a.example", "o'hara+1@A.b.example", "a.b@büro.example"]) == [
        "ann@a.example", "o'hara+1@a.b.example", "a.b@xn--bro-hoa.example",
    ]  # fmt: skip


@given(LOCALS, DOMAINS)
@example("a", "b.c" * 84 + ".example")
@example("a" * 64, ("d" * 60 + ".") * 3 + "example")
@example("a" * 65, "b.example")
@example("x", "büro.example")
@example("é", "b.example")
@example("ab", "ab--c.example")
@example("ab", "c.example1")
def test_the_quick_way_agrees_with_the_library(local: str, domain: str) -> None:
    written = f"{local}@{domain}".strip()
    try:
        found = validate_email(written, check_deliverability=False, strict=True)
        expected: str | None = f"{found.local_part}@{found.ascii_domain.lower()}"
    except EmailNotValidError:
        expected = None
    try:
        got: str | None = normalized(written)
    except NotAnAddress:
        got = None
    # The composer refuses a few that the library takes, such as a local part of more than 64 octets; none the other way round.
    if got is not None or expected is None:
        assert got == expected
    else:
        assert not written.isascii()


@given(LOCALS, DOMAINS)
def test_what_is_stored_can_cross_the_wire_and_stays_as_it_is(local: str, domain: str) -> None:
    try:
        address = normalized(f"{local}@{domain}")
    except NotAnAddress:
        return
    assert wire_address(address, "it") == address
    assert address.rpartition("@")[2].isascii()
    assert normalized(address) == address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("  ann@A.Example ", "ann@a.example"),
        ("Ann@a.example", "Ann@a.example"),
        ("INFO@a.example", "info@a.example"),
        ("ann@BÜRO.example", "ann@xn--bro-hoa.example"),
        ("ann@xn--bro-hoa.example", "ann@xn--bro-hoa.example"),
        ("zoe\u0308@a.example", "zo\u00eb@a.example"),
        ("o'hara+news@a.example", "o'hara+news@a.example"),
    ],
)
def test_one_mailbox_has_one_spelling(written: str, address: str) -> None:
    assert normalized(written) == address


@pytest.mark.parametrize(
    "written",
    [
        "", "nobody", "two@@signs.example", "@a.example", "ann@", "an n@a.example", "ann@a.example\r\nBcc: x@b.example",
        "a..b@a.example", ".a@a.example", "a@-b.example", "a@b..example", "x" * 65 + "@a.example", "a@" + "d" * 64 + ".example",
        "<a@b.example>", "a@b.example;c@d.example", '"a b"@c.example', "a@[192.0.2.1]", "a@localhost", "a@printer.local",
        "a\u200bb@c.example", "é" * 40 + "@a.example", "a@b.example1",
    ],
)  # fmt: skip
def test_what_no_mail_reaches_is_refused_with_a_reason(written: str) -> None:
    with pytest.raises(NotAnAddress, match=r"\w+ \w+ .*[^.]$"):
        normalized(written)
