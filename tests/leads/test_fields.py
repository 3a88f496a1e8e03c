"""Rows taken apart together are what they are alone."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailworkers.leads.columns import columns
from mailworkers.leads.fields import LARGEST_DATA, LONGEST_NAME, CsvReader, JsonReader, UnfitRow

TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["", " ", "a  b", " a", "a|", "| a", "a\nb", "\0", "\\u0000", "\ud800", '"', "\\", "\t"]),
)
ROWS = st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=6)


@given(
    ROWS,
    st.sampled_from(
        [("email", "name", "city"), ("first name", "email", "last name"), ("a", "b", "email"), ("email", "", "")]
    ),
)
@example([["a@b.example", "n" * (LONGEST_NAME + 1), ""]], ("email", "name", "city"))
@example([["a@b.example", "n", "x" * (LARGEST_DATA + 1)]], ("email", "name", "city"))
@example([["a@b.example", "n", "c"], ["a@b.example", "n"]], ("email", "name", "city"))
def test_many_rows_are_taken_apart_as_each_alone(rows: list[list[str]], header: tuple[str, ...]) -> None:
    reader = CsvReader(columns(header, {}))

    together = reader.many([list(row) for row in rows])

    if together is not None:
        alone = [reader(list(row)) for row in rows]
        assert list(together.written) == [written for written, _, _ in alone]
        assert together.contents == [(name, data) for _, name, data in alone]
    elif all(len(row) == len(header) for row in rows):
        # given up only where one of them cannot be a lead
        assert any(is_unfit(reader, row) for row in rows)


def is_unfit(reader: CsvReader, row: list[str]) -> bool:
    try:
        reader(list(row))
    except UnfitRow:
        return True
    return False


def test_hardly_a_row_is_taken_apart_by_itself() -> None:
    reader = CsvReader(columns(["email", "name", "city"], {}))
    assert reader.many([["a@b.example", "Ann\nSmith", 'x"y'], ["c@d.example", " Bo ", ""]]) is not None


@pytest.mark.parametrize(("address", "shown"), [(None, "null"), (["ann@a.example"], '["ann@a.example"]'), (5, "5")])
def test_an_address_that_is_no_text_is_shown_as_the_file_has_it(address: object, shown: str) -> None:
    assert JsonReader({}).raw_email({"email": address}) == shown
