"""Encoded-words, phrases and folding."""

from __future__ import annotations

from email.charset import Charset
from email.header import decode_header, make_header
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.mail.composer.words import FOLD, LINE, WORD, display_name, encoded_words, fold, mailbox
from tests.mail.strategies import one_line

ROOM = 70


def decoded(words: str) -> str:
    return str(make_header(decode_header(words.replace("\r\n", ""))))


@pytest.mark.parametrize(
    "text", ["é", "Žofie Müller", "日本語" * 100, "😀" * 200, "שלום עולם" * 9, "a" * 500, "=?utf-8?q?x?=", " é "]
)
def test_encoded_words_hold_the_text_and_their_length(text: str) -> None:
    words = encoded_words(text, ROOM)

    assert decoded(words) == text
    assert all(len(word) <= WORD for line in words.split("\r\n") for word in line.split())
    assert len(words.split("\r\n")[0]) <= ROOM


@given(
    text=st.one_of(one_line, st.text(st.sampled_from("aé—日😀 "), max_size=200)).filter(bool),
    room=st.integers(-40, LINE),
)
def test_encoded_words_are_the_standard_librarys(text: str, room: int) -> None:
    lines = Charset("utf-8").header_encode_lines(text, chain([min(room, WORD)], repeat(WORD)))

    assert encoded_words(text, room) == FOLD.join(line or "" for line in lines)


def test_a_character_is_never_split_between_two_words() -> None:
    words = encoded_words("😀" * 100, ROOM).split("\r\n ")

    assert len(words) > 1
    assert "".join(decoded(word) for word in words) == "😀" * 100


@pytest.mark.parametrize(
    "value",
    ["word " * 60 + "end", "a  b   c    " * 20 + "end", "x" * 200 + " y", "one " + "x" * 300, "a" + " " * 90 + "b"],
)
def test_unfolding_gives_the_line_back(value: str) -> None:
    line = f"Subject: {value}"

    folded = fold(line, 998)

    assert folded is not None
    assert folded.replace("\r\n", "") == line
    assert all(each.strip() for each in folded.split("\r\n"))


def test_lines_are_as_long_as_78_allows_and_the_name_never_stands_alone() -> None:
    folded = fold("References: " + "<" + "a" * 100 + "> " + "word " * 40 + "end", 998)

    assert folded is not None
    first, *rest = folded.split("\r\n")
    assert first == "References: <" + "a" * 100 + ">"
    assert all(60 < len(line) <= LINE for line in rest[:-1])


def test_a_word_longer_than_allowed_cannot_be_folded() -> None:
    assert fold("X-Note: " + "x" * 991, 998) is None
    assert fold("X-Note: " + "x" * 990, 998) is not None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "ann@firm2.example"),
        ("   ", "ann@firm2.example"),
        ("Ann", "Ann <ann@firm2.example>"),
        ("  Ann   Smith ", "Ann Smith <ann@firm2.example>"),
        ("Smith, Ann", '"Smith, Ann" <ann@firm2.example>'),
        ("Ann (Sales)", '"Ann (Sales)" <ann@firm2.example>'),
        ("A. Smith", '"A. Smith" <ann@firm2.example>'),
        ('Ann "the pen" Smith', '"Ann \\"the pen\\" Smith" <ann@firm2.example>'),
        ("back\\slash", '"back\\\\slash" <ann@firm2.example>'),
        ("eve@firm3.example", '"eve@firm3.example" <ann@firm2.example>'),
        ("Jürgen von der Aue", "=?utf-8?q?J=C3=BCrgen_von_der_Aue?= <ann@firm2.example>"),
        ("Žofie", "=?utf-8?b?xb1vZmll?= <ann@firm2.example>"),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <ann@firm2.example>"),
    ],
)
def test_a_mailbox_is_quoted_and_encoded_as_its_name_asks(name: str, shown: str) -> None:
    assert mailbox(name, "ann@firm2.example", ROOM) == shown


@pytest.mark.parametrize("name", ["Ann " * 50, "é" * 200, "a, b " * 40, "x" * 60])
def test_a_long_name_is_folded(name: str) -> None:
    shown = mailbox(name, "ann@firm2.example", ROOM)
    phrase, _, address = shown.rpartition(" ")

    assert address == "<ann@firm2.example>"
    assert decoded(phrase).strip('"') == display_name(name)
    assert all(len(line) <= LINE for line in shown.split("\r\n"))
