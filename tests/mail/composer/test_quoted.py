"""Quoted-printable of a text in pieces: the same bytes as of the whole text, however often its pieces came before."""

from __future__ import annotations

from binascii import b2a_qp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.mail.composer import quoted
from mailworkers.mail.composer.quoted import (
    LEAST_RUN_CHARS,
    LONGEST_RUN_CHARS,
    MOST_RUN_CHARS,
    quoted_pieces,
    quoted_printable,
)

LINES = "Grüße aus Köln.\n.\nname=value \n\ttab\t\n" * 4
ODD = st.sampled_from(
    [
        LINES,
        LINES + "no end",
        "begun " + LINES,
        "é" * 200 + "\n" * LEAST_RUN_CHARS,
        "\n" * 100,
        "x" * 80 + " \n" * 70,
        ".",
        " ",
        "",
    ]
)
PIECES = st.lists(
    ODD | st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=90), min_size=1
)


def whole(pieces: list[str]) -> bytes:
    text = "".join(pieces)
    return quoted_printable((text if text.endswith("\n") else text + "\n").encode().replace(b"\n", b"\r\n"))


@given(PIECES.filter(lambda pieces: bool("".join(pieces))))
def test_pieces_are_encoded_as_the_whole_is(pieces: list[str]) -> None:
    assert quoted_pieces(pieces) == whole(pieces)
    assert quoted_pieces(pieces) == whole(pieces)  # now that they came before


def test_only_lines_that_differ_are_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[bytes] = []

    def seen(data: bytes) -> bytes:
        encoded.append(data)
        return b2a_qp(data)

    quoted_pieces(["Dear Ann", ",\n" + LINES, "Bye"])
    monkeypatch.setattr(quoted, "b2a_qp", seen)
    quoted_pieces(["Dear Žofie", ",\n" + LINES, "Bye"])

    assert encoded == ["Dear Žofie,\r\n".encode(), b"Bye\r\n"]


def test_what_is_remembered_is_bounded() -> None:
    for number in range(200):
        quoted_pieces([f"{number}\n" + "é\n" * (LONGEST_RUN_CHARS // 4)])
    quoted_pieces(["longer\n" * LONGEST_RUN_CHARS])

    kept = sum(2 * len(piece) + (len(run[1]) if run else 0) for piece, run in quoted._runs.items())
    assert 0 < kept <= MOST_RUN_CHARS
    assert max(map(len, quoted._runs)) <= LONGEST_RUN_CHARS
