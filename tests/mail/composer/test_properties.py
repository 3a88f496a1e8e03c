"""Whatever a row holds: a reader finds what it would find in the standard library's own build of it, and no line breaks a rule.

`HYPOTHESIS_PROFILE=thorough` tries fifty times as many messages.
"""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_string, policy
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from mailworkers.errors import ComposeError
from mailworkers.mail.composer import compose
from mailworkers.mail.composer.words import LINE, MAX_LINE
from mailworkers.mail.message import Address, Attachment, Message
from tests.mail import reference, strategies
from tests.mail.letters import letter, read

BARE_CR_OR_LF = re.compile(rb"(?<!\r)\n|\r(?!\n)")
OWN_FIELDS = {"from", "to", "subject", "date", "message-id", "mime-version", "content-type"}
PART_FIELDS = {"content-type", "content-transfer-encoding", "content-disposition", "content-id"}

anything = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    [
        "Ann\r\nBcc: eve@firm3.example",
        "Ann\nX-Evil: 1",
        "Ann\rBcc: eve@firm3.example",
        "Ann\r\n\r\nHello",
        "a\0b",
        "a\x85Bcc: b",
        "a\u2028Bcc: b",
        "\x0b\x0c\x1c",
        "x" * 3000,
        "é" * 3000,
        "a b" * 500,
    ]
)
any_address = st.builds(Address, strategies.emails | anything, anything)
any_file = st.builds(Attachment, anything, anything | strategies.content_types, st.binary(max_size=100), anything)


@st.composite
def hostile_messages(draw: st.DrawFn) -> Message:
    """Messages of which most cannot be composed: one or several fields hold anything at all."""
    message = draw(strategies.messages())
    changes: dict[str, st.SearchStrategy[Any]] = {
        "sender": any_address,
        "to": any_address,
        "subject": anything,
        "text_body": st.none() | anything,
        "html_body": st.none() | anything,
        "reply_to": any_address,
        "cc": st.tuples(any_address),
        "message_id": anything,
        "headers": st.dictionaries(
            anything | st.sampled_from(["X-Note", "List-Id", "References"]), anything, max_size=2
        ),
        "attachments": st.tuples(any_file),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(changes)), min_size=1, max_size=2, unique=True))
    return replace(message, **{name: draw(changes[name]) for name in chosen})


@given(strategies.messages())
def test_a_reader_finds_what_it_finds_in_the_standard_library_s_build(message: Message) -> None:
    found = reference.read(compose(message).content)

    assert found == reference.expected(message)


@given(strategies.messages())
def test_the_same_message_gives_the_same_bytes(message: Message) -> None:
    assert compose(message) == compose(replace(message))


@given(hostile_messages())
def test_every_input_is_refused_on_one_line_or_keeps_the_rules(message: Message) -> None:
    try:
        content = compose(message).content
    except ComposeError as refused:
        assert_one_line(str(refused))
        return

    assert not BARE_CR_OR_LF.search(content)
    assert b"\0" not in content
    assert content.endswith(b"\r\n")
    assert all(len(line) <= MAX_LINE for line in content.split(b"\r\n"))
    assert_only_fields_asked_for(message, content)


def assert_one_line(text: str) -> None:
    assert "\n" not in text
    assert "\r" not in text


def assert_only_fields_asked_for(message: Message, content: bytes) -> None:
    parsed = read(content)
    asked = OWN_FIELDS | {name.lower() for name in message.headers or {}}
    asked |= {"cc"} if message.cc else set()
    asked |= {"reply-to"} if message.reply_to else set()
    names = [name.lower() for name in parsed]
    assert len(names) == len(set(names))
    assert set(names) - {"content-transfer-encoding"} == asked
    for part in parsed.walk():
        assert part is parsed or {name.lower() for name in part} <= PART_FIELDS


@given(strategies.messages())
def test_only_what_cannot_be_folded_makes_a_header_line_longer_than_78(message: Message) -> None:
    assume(all(len(address.email) < 60 for address in (message.sender, message.to, *message.cc)))
    assume(message.reply_to is None or len(message.reply_to.email) < 60)
    head = compose(replace(message, headers=None)).content.split(b"\r\n\r\n")[0]

    assert all(len(line) <= LINE for line in head.split(b"\r\n"))


@given(strategies.messages())
def test_bytes_are_seven_bit_and_bcc_stays_in_the_envelope(message: Message) -> None:
    hidden = Address("hidden.one@firm9.example", "Hidden")
    mail = compose(replace(message, bcc=(hidden,)))

    assert mail.content.isascii()
    assert hidden.email in mail.envelope.rcpt_to
    assert b"hidden.one" not in mail.content


@given(strategies.utf8_local_parts, strategies.domains, st.sampled_from(["", "Ann", "Smith, Ann", "Žofie"]))
def test_an_internationalized_local_part_reads_the_same_too(local: str, domain: str, name: str) -> None:
    message = letter(to=Address(f"{local}@{domain}", name))

    mail = compose(message)

    assert mail.envelope.smtputf8
    ours = message_from_string(mail.content.decode(), policy=policy.SMTPUTF8)  # from bytes, it leaves UTF-8 undecoded
    theirs = message_from_string(reference.build(message).decode(), policy=policy.SMTPUTF8)
    assert ours["To"].addresses == theirs["To"].addresses
