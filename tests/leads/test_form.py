"""How a file is written is found out, or said in words that its owner understands."""

from __future__ import annotations

import pytest

from mailworkers.errors import LeadsError
from mailworkers.leads import columns, delimiter, encoding
from mailworkers.leads.form import told
from mailworkers.leads.ledger import Wanted

WANTED = Wanted("list.csv")


@pytest.mark.parametrize(
    ("lines", "between"),
    [
        (["email,name", "a@b.example,Ann"], ","),
        (["email;name", "a@b.example;Smith, Ann", "c@d.example;Potts, Bo"], ";"),
        (["email\tname", "a@b.example\tAnn"], "\t"),
        (["name|email|city", "Ann|a@b.example|Bonn"], "|"),
        (["email", "a@b.example", "c@d.example"], ","),
        (["email,when", "a@b.example,10:30:00", "c@d.example,11:30:00"], ","),
        (['email;"a,b"', 'a@b.example;"1,2"'], ";"),
    ],
)
def test_the_delimiter_is_found(lines: list[str], between: str) -> None:
    assert delimiter.told([line + "\r\n" for line in lines], {"email"}) == between


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("utf-8", encoding.UTF_8),
        ("utf-8-sig", encoding.UTF_8),
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("latin-1", encoding.WESTERN),
    ],
)
def test_the_encoding_is_found(written: str, found: str) -> None:
    assert encoding.told("email,näme\nann@b.example,Zoë\n".encode(written), "list.csv") == found


def test_a_character_cut_at_the_end_of_the_head_is_no_wrong_one() -> None:
    assert encoding.told("Zoë".encode()[:-1], "list.csv") == encoding.UTF_8


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x7fELF\0\0\0\0\0\0\0\0", "no text"),
        (b"", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        (b'[{"email": "a@b.example"}]', "array"),
        (b"name,city\nAnn,Bonn\n", "name, ?city"),
        (b"ann@b.example,Ann\n", "an address now"),
        (b'email,"na\n', "header cannot be read"),
    ],
)
def test_what_is_no_list_is_refused_in_words(head: bytes, said: str) -> None:
    with pytest.raises(LeadsError, match=said):
        told(head, "list.csv", WANTED)


def test_the_line_by_which_excel_names_its_delimiter_is_no_header() -> None:
    form = told(b"sep=;\r\nEmail;City\r\na@b.example;Bonn, Rhein\r\n", "list.csv", WANTED)
    assert form.header_lines == 2
    assert form.reader(["a@b.example", "Bonn, Rhein"]) == ("a@b.example", None, '{"city":"Bonn, Rhein"}')


@pytest.mark.parametrize(
    ("header", "mapping", "found"),
    [
        (["E-MAIL", "Name", "Signed up"], {}, columns.Columns(0, (1,), (("signed_up", 2),), 3)),
        (
            ["First Name", "Email Address", "Surname"],
            {},
            columns.Columns(1, (0, 2), (("first_name", 0), ("surname", 2)), 3),
        ),
        (["Ort", "Adresse"], {"email": "adresse", "city": "Ort"}, columns.Columns(1, (), (("city", 0),), 2)),
        (["email", "Work"], {"email": "Work"}, columns.Columns(1, (), (("email", 0),), 2)),
        (["email", "City", "city "], {"city_2": "city "}, columns.Columns(0, (), (("city_2", 2), ("city", 1)), 3)),
        (["mail", "email", "", "2nd"], {}, columns.Columns(1, (), (("mail", 0), ("_2nd", 3)), 4)),
    ],
)
def test_columns_are_found_in_any_case(header: list[str], mapping: dict[str, str], found: columns.Columns) -> None:
    assert columns.columns(header, mapping) == found


@pytest.mark.parametrize(
    ("header", "mapping", "said"),
    [
        (["email", "City", "city "], {}, "two columns"),
        (["Email", "Email", "name"], {}, "two columns would both be 'email'"),
        (["email", "Name", "name"], {}, "two columns would both be 'name'"),
        (["email"], {"email": "adresse"}, "no column 'adresse'"),
        (["email", "town"], {"town": "email", "email": "email"}, "two columns"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused(header: list[str], mapping: dict[str, str], said: str) -> None:
    with pytest.raises(LeadsError, match=said):
        columns.columns(header, mapping)


@pytest.mark.parametrize(
    ("written", "wanted", "said"),
    [
        ("utf-8", "utf-16", "list.csv is not utf-16: it holds no zero bytes"),
        ("utf-16", "utf-8", "list.csv is UTF-16, not utf-8"),
        ("utf-32", "utf-8", "list.csv is UTF-32, not utf-8"),
        ("utf-32", "utf-16", "list.csv is UTF-32, not utf-16"),
        ("utf-8", "rot13", "no encoding rot13"),
        ("utf-8", "idna", "no encoding idna"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(written: str, wanted: str, said: str) -> None:
    with pytest.raises(LeadsError, match=said):
        encoding.asked("email,name\nann@b.example,Zoë\n".encode(written), "list.csv", wanted)


@pytest.mark.parametrize(
    ("written", "wanted", "doubted"),
    [("utf-8", "latin-1", True), ("utf-8", "utf8", False), ("latin-1", "latin-1", False), ("utf-16", "utf-16", False)],
)
def test_utf_8_that_is_to_be_read_as_something_else_is_doubted(written: str, wanted: str, doubted: bool) -> None:
    _, notes = encoding.asked("email,name\nann@b.example,Zoë\n".encode(written), "list.csv", wanted)
    assert [("looks like UTF-8" in note) for note in notes] == [True] * doubted


def test_a_workbook_is_none_whatever_encoding_is_named() -> None:
    with pytest.raises(LeadsError, match="Excel"):
        encoding.asked(b"PK\x03\x04", "list.csv", "latin-1")
