"""Write the lead list that the demo ships: mostly fine, partly not, as people really hand them over.

    python -m mailworkers.demo.make_leads mailworkers/demo/leads.csv

The same arguments always give the same bytes. Every address lies under `.example` (RFC 2606), which can never receive
mail. Three invented mailbox providers hold most of the addresses; the rest is a long tail of small domains.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator
from pathlib import Path

ROWS = 1000
SEED = 1869
HEADER = ("Email", "Name", "City", "Plan", "Signed up")

BAD_SHARE = 0.03  # of all rows: an address that no mail can reach
COPY_SHARE = 0.02  # of all rows: an earlier address again, written differently
PROVIDER_SHARE = 0.6  # of the good ones: at one of the three providers
TWO_LINES_SHARE = 0.004  # of all rows: a name with a line break inside

PROVIDERS = ("pigeonpost.example", "bluemail.example", "northwind.example")
PROVIDER_WEIGHTS = (6, 3, 1)
HOSTS = ("", "mail.", "x-1.", "köln.")
LOCALS = ("reader", "anna.b", "shop+news", "d_miller", "OFFICE")
NAMES = (
    "Amélie", "Bjørn", "Carlos", "Δήμητρα", "Эдуард", "Fiadh", "Grzegorz", "हेमा", "Ida", "Jürgen", "김지우", "Løvise",
    "Mark O'Hara", "Noël", "أمل", 'Pat "Pepper" Potts', "Qiáng", "Rossi, Carla", "Şule", "Þóra", "陈伟", "🌻 Sunny",
)  # fmt: skip
CITIES = ("Bergen", "Łódź", "Málaga", "Porto", "Springfield, IL", "Thessaloniki", "大阪", "Zagreb", "")
PLANS = ("free", "plus", "crew", "")
BAD = (
    "",
    "postmaster",
    "at@@home.example",
    "@nobody.example",
    "nowhere@",
    "two words@shop.example",
    "break\r\nBcc: eve@shop.example",
    "double..dot@shop.example",
    ".first@shop.example",
    "last.@shop.example",
    "a@-hyphen.example",
    "a@empty..label.example",
    "<ida@shop.example>",
    "ida@shop.example, bo@shop.example",
    "l" * 65 + "@shop.example",
    "a@" + "d" * 64 + ".example",
)


def rows(count: int = ROWS, seed: int = SEED) -> Iterator[tuple[str, ...]]:
    """The rows below the header, one tuple each."""
    chance = random.Random(seed)  # noqa: S311 - invented people, not secrets
    written: list[str] = []
    for number in range(count):
        yield (
            _address(chance, number, written),
            chance.choice(NAMES) + ("\nand family" if chance.random() < TWO_LINES_SHARE else ""),
            chance.choice(CITIES),
            chance.choice(PLANS),
            f"2026-{chance.randrange(1, 12):02}-{chance.randrange(1, 29):02}",
        )


def _address(chance: random.Random, number: int, written: list[str]) -> str:
    kind = chance.random()
    if kind < BAD_SHARE:
        return chance.choice(BAD)
    if kind < BAD_SHARE + COPY_SHARE and written:
        local, _, domain = chance.choice(written).rpartition("@")
        return chance.choice((f"{local}@{domain.upper()}", f" {local}@{domain}  "))
    if chance.random() < PROVIDER_SHARE:
        domain = chance.choices(PROVIDERS, PROVIDER_WEIGHTS)[0]
    else:
        domain = f"{chance.choice(HOSTS)}shop{chance.randrange(2000)}.example"
    written.append(f"{chance.choice(LOCALS)}{number}@{domain}")
    return written[-1]


def write(path: Path, count: int = ROWS) -> None:
    """A CSV file with a header line and so many rows."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(rows(count))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
