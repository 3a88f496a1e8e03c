"""Lead lists as people hand them over, and which addresses are one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from mailworkers.demo import make_leads
from mailworkers.demo.leads import SHIPPED, LeadsError, fold, read_leads


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_columns_are_found_by_name_in_any_order_and_spelling(tmp_path: Path) -> None:
    path = written(tmp_path, "Full name,CITY,e-mail,Signed up\nAnn,Porto,ann@a.example,2026-01-02\n")

    (lead,) = read_leads(path).leads

    assert (lead.email, lead.name, lead.city, lead.plan, lead.signed_up) == (
        "ann@a.example", "Ann", "Porto", "", "2026-01-02"
    )  # fmt: skip


def test_a_byte_order_mark_belongs_to_no_column(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbfEmail\r\nann@a.example\r\n")

    assert [lead.email for lead in read_leads(path).leads] == ["ann@a.example"]


def test_a_name_on_two_lines_comes_out_on_one(tmp_path: Path) -> None:
    path = written(tmp_path, 'Email,Name\nann@a.example,"Ann\nand  family "\n')

    assert read_leads(path).leads[0].name == "Ann and family"


def test_short_rows_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, "Name,Email,City\nAnn,ann@a.example\n\nBo\n")

    found = read_leads(path)

    assert found.rows == 2
    assert [(lead.name, lead.email) for lead in found.leads] == [("Ann", "ann@a.example"), ("Bo", "")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@Shop.Example", "ann@shop.example"),
        ("  ann@shop.example\t", "ann@shop.example"),
        ("ann@BÜRO.example", "ann@büro.example"),
    ],
)
def test_the_same_mailbox_written_differently_is_one_lead(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("Ann@a.example", "ann@a.example"), ("", "@"), ("a@b@c", "a@c")])
def test_different_addresses_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_copies_are_counted_and_the_first_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "Email,Name\nann@a.example,Ann\n ann@A.example,Anne\nbo@a.example,Bo\n")

    found = read_leads(path)

    assert [lead.name for lead in found.leads] == ["Ann", "Bo"]
    assert found.times["ann@a.example"] == 2
    assert found.rows == 3


def test_only_the_first_rows_are_read_where_a_limit_is_given(tmp_path: Path) -> None:
    path = written(tmp_path, "Email\na@a.example\nb@a.example\nc@a.example\n")

    assert read_leads(path, limit=2).rows == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no column with addresses: its header is empty"),
        (b"Name,Phone\nAnn,1\n", "no column with addresses: its header is Name, Phone"),
        (b"Email\nb\xfcro@a.example\n", "is not UTF-8"),
        (b'Email\n"' + b"x" * 200_000 + b'"\n', "is not a CSV file"),
    ],
)
def test_a_file_that_is_no_list_is_refused_in_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(LeadsError) as refused:
        read_leads(written(tmp_path, content))

    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeadsError, match=r"cannot read .*none\.csv: No such file"):
        read_leads(tmp_path / "none.csv")


def test_the_shipped_list_is_what_its_maker_writes() -> None:
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(make_leads.HEADER)
    writer.writerows(make_leads.rows())

    assert SHIPPED.read_bytes().decode("utf-8-sig") == made.getvalue()


def test_the_shipped_list_has_1000_rows_and_can_reach_nobody() -> None:
    found = read_leads(SHIPPED)

    assert found.rows == 1000
    domains = {lead.email.rpartition("@")[2] for lead in found.leads if lead.email.count("@") == 1}
    assert all(domain.strip(">").endswith(".example") for domain in domains if domain)
