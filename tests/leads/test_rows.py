"""Lines become rows; what cannot be read costs only itself."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailworkers.leads.rows import LONGEST_CSV_ROW, NONE_LEFT, CsvRows, JsonRows, Malformed, Rows, each


def read(rows: Rows, text: str, block: int = 1000, size: int = 10) -> list[tuple[int, Any]]:
    """All rows of a text that comes in blocks of so many lines, and is read so many rows at a time."""
    return read_lines(rows, text.splitlines(keepends=True), block, size)


def read_lines(rows: Rows, lines: list[str], block: int, size: int) -> list[tuple[int, Any]]:
    """The same of lines."""
    found: list[tuple[int, Any]] = []
    for at in range(0, max(len(lines), 1), block):
        last = at + block >= len(lines)
        part = rows.rest + lines[at : at + block]
        rows.begin(part, at + 1 - len(rows.rest), last=last)
        while (portion := rows.take(size)) is not NONE_LEFT:
            found += list(zip(portion.lines, portion.rows, strict=True))
    return found


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_rows_over_several_lines_are_whole_in_any_blocks(block: int) -> None:
    text = 'a,"b\nb\n\nb",c\r\n\nd,e,f\n"g\n","h ""i""",j'
    assert read(CsvRows(","), text, block) == [
        (1, ["a", "b\nb\n\nb", "c"]),
        (6, ["d", "e", "f"]),
        (7, ["g\n", 'h "i"', "j"]),
    ]


PIECES = st.lists(
    st.sampled_from(["a", ",", '"', '""', "\n", "\r\n", "\r", " ", 'x,"y\nz"\n', "b,c\n"]), max_size=30
).map("".join)


@given(PIECES, st.integers(1, 9))
@example('a,"b\nc"\n\nd\n"e" f\ng\n', 9)
def test_rows_taken_together_are_those_taken_one_by_one(text: str, block: int) -> None:
    lines = io.StringIO(text, newline="\n").readlines()
    alone = read_lines(CsvRows(","), lines, block, 1)
    assert read_lines(CsvRows(","), lines, block, 10) == alone
    assert [line for line, _ in alone] == sorted({line for line, _ in alone})


@pytest.mark.parametrize("block", [1, 2, 100])
def test_a_row_with_a_broken_quote_costs_only_itself(block: int) -> None:
    found = read(CsvRows(","), 'a,b\n"c "d" e",f\ng,h\n', block)
    assert [line for line, _ in found] == [1, 2, 3]
    assert found[1] == (2, Malformed('"c "d" e",f\n', found[1][1].reason))
    assert "twice" in found[1][1].reason


def test_a_quote_that_nobody_closes_costs_only_its_line() -> None:
    found = read(CsvRows(","), 'a,b\nc,"d\n' + "e,f\n" * 3, 2)
    assert found[0] == (1, ["a", "b"])
    assert "never closed" in found[1][1].reason
    assert [line for line, _ in found] == [1, 2, 3, 4, 5]


def test_an_open_quote_is_given_up_before_it_has_eaten_the_file() -> None:
    rest = "e,f\n" * LONGEST_CSV_ROW
    found = read(CsvRows(","), 'c,"d\n' + rest, 1000)
    assert len(found) == 1 + LONGEST_CSV_ROW
    assert isinstance(found[0][1], Malformed)


def test_the_lines_that_rows_have_used_are_known_after_each() -> None:
    rows = CsvRows(",")
    rows.begin(["a\n", '"b\n', 'b"\n', "c\n"], 1, last=True)
    used = [rows.used for _ in each(rows)]
    assert used == [1, 3, 4]


def test_json_lines_are_objects_or_refused() -> None:
    found = read(JsonRows(), '{"a": 1}\n\n[1]\n{"a": NaN}\n{"a": -1e999}\n{"a"\n' + "[" * 200_000 + "\n")
    assert found[0] == (1, {"a": 1})
    assert [line for line, _ in found] == [1, 3, 4, 5, 6, 7]
    assert all(isinstance(row, Malformed) for _, row in found[1:])
