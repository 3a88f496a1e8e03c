"""Read a lead list as people hand it over: a byte-order mark, any order of columns, blanks, copies of the same address.

Whether an address is good is not decided here: the database refuses a bad row when it is inserted, and says why.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from mailworkers.errors import EX_DATAERR, MailworkersError

SHIPPED: Final = Path(__file__).with_name("leads.csv")
SHIPPED_NAME: Final = "the list that comes with mailworkers"

# What people call the columns, compared without case, blanks, "-" and "_".
COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "email": frozenset({"email", "emailaddress", "mail", "address"}),
    "name": frozenset({"name", "fullname", "firstname"}),
    "city": frozenset({"city", "town"}),
    "plan": frozenset({"plan"}),
    "signed_up": frozenset({"signedup", "signedupon", "signup"}),
}


class LeadsError(MailworkersError):
    """The file is missing, is not text, or has no column with addresses."""

    exit_code = EX_DATAERR


@dataclass(frozen=True, slots=True)
class Lead:
    """One person to write to. `email` has lost its surrounding blanks; everything else is on one line."""

    email: str
    name: str = ""
    city: str = ""
    plan: str = ""
    signed_up: str = ""

    @property
    def key(self) -> str:
        """Equal for addresses that reach the same mailbox (see `fold`)."""
        return fold(self.email)


@dataclass(frozen=True, slots=True)
class LeadList:
    """A file's leads, each address once, in the file's order. `rows` counts all data rows, `times` those of each key."""

    leads: tuple[Lead, ...]
    rows: int
    times: Mapping[str, int]


def fold(email: str) -> str:
    """What makes two addresses one: the domain is compared without case, the local part exactly (RFC 5321 §2.4)."""
    local, at, domain = email.strip().rpartition("@")
    return f"{local}{at}{domain.lower()}"


def read_leads(path: Path, limit: int | None = None) -> LeadList:
    """Read a CSV file (RFC 4180) in UTF-8 with a header line.

    Args:
        path: the file.
        limit: read only so many data rows.

    Raises:
        LeadsError: the file cannot be read, is not UTF-8, is malformed, or names no column for the address.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _fold_all(islice(_leads(csv.reader(file), path), limit))
    except OSError as problem:
        raise LeadsError(f"cannot read {path}: {problem.strerror}", "Give a CSV file with --leads") from None
    except UnicodeDecodeError:
        raise LeadsError(f"{path} is not UTF-8", "Save it as CSV in UTF-8") from None
    except csv.Error as problem:
        raise LeadsError(f"{path} is not a CSV file: {problem}", "Save it as CSV in UTF-8") from None


def _leads(reader: Iterator[list[str]], path: Path) -> Iterator[Lead]:
    header = next(reader, [])
    place = {field: _find(header, names) for field, names in COLUMNS.items()}
    if place["email"] is None:
        raise LeadsError(
            f"{path} has no column with addresses: its header is {', '.join(header)[:200] or 'empty'}",
            "Name one column Email in the first line",
        )
    for row in reader:
        if row:  # a wholly empty line is no row
            cell = {field: row[at] if at is not None and at < len(row) else "" for field, at in place.items()}
            email = cell.pop("email").strip()
            yield Lead(email, **{field: " ".join(text.split()) for field, text in cell.items()})


def _find(header: Sequence[str], names: frozenset[str]) -> int | None:
    for at, title in enumerate(header):
        if "".join(c for c in title.lower() if c.isalnum()) in names:
            return at
    return None


def _fold_all(leads: Iterator[Lead]) -> LeadList:
    first: dict[str, Lead] = {}
    times: Counter[str] = Counter()
    for lead in leads:
        key = lead.key
        first.setdefault(key, lead)
        times[key] += 1
    return LeadList(tuple(first.values()), times.total(), times)
