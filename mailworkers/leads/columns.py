"""Which column of a file is the address, which the name, and what the others are called as merge variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailworkers.errors import LeadsError

EMAIL: Final = "email"
NAME: Final = "name"
# What people call these columns, the most certain first, compared as `folded`.
EMAIL_TITLES: Final = ("email", "emailaddress", "mail", "mailaddress", "emailadresse", "courriel", "correo")
NAME_TITLES: Final = ("name", "fullname", "displayname", "contactname")
FIRST_NAME_TITLES: Final = ("firstname", "givenname", "forename", "vorname")
LAST_NAME_TITLES: Final = ("lastname", "surname", "familyname", "nachname")

TITLES_SHOWN: Final = 200  # characters of a header, in a message
_NO_WORD = re.compile(r"\W+")
_VARIABLE = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Columns:
    """Places in a row. `names` are joined by a blank; `variables` are (name, place)."""

    email: int
    names: tuple[int, ...]
    variables: tuple[tuple[str, int], ...]
    width: int


def folded(title: str) -> str:
    """A title as it is compared: without case, blanks and punctuation."""
    return "".join(c for c in title.lower() if c.isalnum())


def variable(title: str) -> str:
    """A title as a merge variable: "Signed up" is `signed_up`. Empty where nothing of it can be one."""
    name = _NO_WORD.sub("_", title.strip().lower()).strip("_")
    return f"_{name}" if name and name[0].isdigit() else name


def check(mapping: Mapping[str, str]) -> None:
    """Refuse what cannot be mapped to.

    Raises:
        LeadsError: a field of the mapping is no name for a variable.
    """
    for field in mapping:
        if not _VARIABLE.fullmatch(field):
            raise LeadsError(
                f"{field!r} cannot be a variable's name", "Use letters, digits and _, as in --map city=Stadt"
            )


def columns(header: Sequence[str], mapping: Mapping[str, str]) -> Columns:
    """Find the columns.

    Args:
        header: the file's titles, in any case.
        mapping: from `email`, `name` or a variable to the title of its column, over what is found by itself.

    Raises:
        LeadsError: no column holds addresses, a mapped column is missing, or two columns become one variable.
    """
    titles = [folded(title) for title in header]
    mapped = {field: _mapped(field, title, header, titles) for field, title in mapping.items()}
    email = mapped.get(EMAIL, _first(titles, EMAIL_TITLES))
    if email is None:
        shown = ", ".join(title.strip() for title in header)[:TITLES_SHOWN] or "empty"
        hint = "Name the column: --map email=TITLE"
        if any("@" in title for title in header):
            hint = "Put titles into the first line, such as email,name: it holds an address now"
        raise LeadsError(f"no column is called email; the header is: {shown}", hint)
    names = (mapped[NAME],) if NAME in mapped else _names(titles)
    taken = {email, *(names if len(names) == 1 else ()), *mapped.values()}
    variables = [(field, place) for field, place in mapped.items() if field not in (EMAIL, NAME)]
    variables += [(variable(title), at) for at, title in enumerate(header) if at not in taken and variable(title)]
    found = [EMAIL, NAME] if names else [EMAIL]
    _refuse_twins([field for field in found if field not in mapping] + [name for name, _ in variables])
    return Columns(email, names, tuple(variables), len(header))


def _mapped(field: str, title: str, header: Sequence[str], titles: Sequence[str]) -> int:
    if title in header:
        return header.index(title)
    if folded(title) and folded(title) in titles:
        return titles.index(folded(title))
    raise LeadsError(
        f"there is no column {title!r} for {field}; the header is: {', '.join(header)[:TITLES_SHOWN]}",
        "Check --map; titles are compared without case, blanks and punctuation",
    )


def _names(titles: Sequence[str]) -> tuple[int, ...]:
    whole = _first(titles, NAME_TITLES)
    if whole is not None:
        return (whole,)
    parts = (_first(titles, FIRST_NAME_TITLES), _first(titles, LAST_NAME_TITLES))
    return tuple(at for at in parts if at is not None) if parts[0] is not None else ()


def _first(titles: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((titles.index(title) for title in wanted if title in titles), None)


def _refuse_twins(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise LeadsError(
                f"two columns would both be {name!r}",
                f"Rename one in the file, or, where they differ in case or blanks, here: --map {name}_2=TITLE",
            )
        seen.add(name)
