"""Which addresses are valid, and how they cross the wire."""

from __future__ import annotations

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import ascii_domain, parse_mailbox, wire_address
from mailworkers.mail.message import Address

LABEL_63 = "d" * 63


@pytest.mark.parametrize(
    ("written", "on_the_wire"),
    [
        ("firm1.example", "firm1.example"),
        ("Firm1.Example", "Firm1.Example"),
        ("localhost", "localhost"),
        ("büro.firm1.example", "xn--bro-hoa.firm1.example"),
        ("BÜRO.firm1.example", "xn--bro-hoa.firm1.example"),
        ("straße.example", "xn--strae-oqa.example"),  # IDNA 2008 keeps ß, the standard library's codec does not
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),  # the ideographic full stop separates labels too
        ("xn--bro-hoa.example", "xn--bro-hoa.example"),
    ],
)
def test_a_domain_crosses_the_wire_as_a_labels(written: str, on_the_wire: str) -> None:
    assert ascii_domain(written) == on_the_wire


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "a..example",
        ".example",
        "firm1.example.",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b.example",
        "a\r\nb.example",
        "[192.0.2.1]",
        "☃.example",  # a symbol: IDNA 2008 has letters and digits only
        "é‍.example",
        "é..example",
        "é.example\n",
        "d" * 64 + ".example",
        "é" * 63 + ".example",
        ".".join([LABEL_63] * 4),
    ],
)
def test_what_is_no_domain_is_refused_on_one_line(domain: str) -> None:
    with pytest.raises(ComposeError) as refused:
        ascii_domain(domain)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "email",
    [
        "ann@firm1.example",
        "ann+tag@firm1.example",
        "o'neil.{x}@firm1.example",
        "ann@localhost",
        "x" * 64 + "@firm1.example",
        "a@" + ".".join([LABEL_63] * 3 + ["d" * 60]),  # 254 octets
    ],
)
def test_a_plain_address_stays_as_it_is(email: str) -> None:
    assert wire_address(email, "to_email") == email


@pytest.mark.parametrize(
    ("email", "on_the_wire"),
    [
        ("ann@büro.firm1.example", "ann@xn--bro-hoa.firm1.example"),
        ("bücher@firm1.example", "bücher@firm1.example"),
        ("用户@例え.example", "用户@xn--r8jz45g.example"),
    ],
)
def test_only_the_domain_is_made_ascii(email: str, on_the_wire: str) -> None:
    assert wire_address(email, "to_email") == on_the_wire


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("", "must be one address with one @"),
        ("ann", "must be one address with one @"),
        ("@firm1.example", "must be one address with one @"),
        ("ann@", "must be one address with one @"),
        ("ann@b@firm1.example", "must be one address with one @"),
        ("ann smith@firm1.example", "a blank or a character that cannot be printed"),
        ("ann\r\nBcc:eve@firm1.example", "a blank or a character that cannot be printed"),
        ("ann\x00@firm1.example", "a blank or a character that cannot be printed"),
        ("ann\u200d@firm1.example", "a blank or a character that cannot be printed"),
        ("ann\ud800@firm1.example", "a blank or a character that cannot be printed"),
        ('"ann"@firm1.example', "contains one of"),
        ("<ann@firm1.example", "contains one of"),
        ("ann,bob@firm1.example", "contains one of"),
        ("ann.@firm1.example", "begins or ends with a dot"),
        (".ann@firm1.example", "begins or ends with a dot"),
        ("a..b@firm1.example", "two in a row"),
        ("x" * 65 + "@firm1.example", "has 65 octets; at most 64"),
        ("é" * 33 + "@firm1.example", "has 66 octets; at most 64"),
        ("aa@" + ".".join([LABEL_63] * 3 + ["d" * 60]), "has 255 octets; at most 254"),
        ("ann@firm1.example>", "the domain must be labels"),
        ("ann@firm1.example\n", "the domain must be labels"),
        ("ann@☃.example", "not a valid internationalized name"),
    ],
)
def test_a_bad_address_is_refused_with_field_and_reason(email: str, reason: str) -> None:
    with pytest.raises(ComposeError) as refused:
        wire_address(email, "cc[2]")

    assert str(refused.value).startswith("cc[2]")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("ann@firm1.example", Address("ann@firm1.example")),
        (" ann@firm1.example ", Address("ann@firm1.example")),
        ("<ann@firm1.example>", Address("ann@firm1.example")),
        ("Ann Smith <ann@firm1.example>", Address("ann@firm1.example", "Ann Smith")),
        ('"Smith, Ann" <ann@firm1.example>', Address("ann@firm1.example", "Smith, Ann")),
        (r'"a \"b\" \\c" <ann@firm1.example>', Address("ann@firm1.example", r'a "b" \c')),
        ("Žofie <zofie@büro.firm1.example>", Address("zofie@büro.firm1.example", "Žofie")),
    ],
)
def test_a_person_may_write_a_mailbox_in_the_usual_ways(written: str, address: Address) -> None:
    assert parse_mailbox(written, "--to") == address


@pytest.mark.parametrize(
    "written",
    ["", "Ann", "Ann <ann>", "Ann <a@b.example> x", "<<a@b.example>>", "A\r\nBcc: x <a@b.example>", 'a" <a@b.example>'],
)
def test_what_is_no_mailbox_is_refused(written: str) -> None:
    with pytest.raises(ComposeError, match=r"^--to"):
        parse_mailbox(written, "--to")
