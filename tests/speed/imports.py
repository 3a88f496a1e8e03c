"""What an import of contacts costs against a bare COPY of the same file into an unlogged table, and how much memory it takes.

MAILWORKERS_SPEED_LEADS rows (2,000,000 by default) of the generator behind the demo's list, or the CSV file of MAILWORKERS_SPEED_LIST.
The command runs as a process of its own, as a person would start it; its time is told with its start. CPU is told for each
row, of the command and of all of PostgreSQL's processes, since a shared machine says little by the clock.
"""

from __future__ import annotations

import asyncio
import csv
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mailworkers.bench.schema import own_schema
from mailworkers.db.pool import connect_once
from mailworkers.demo.make_leads import HEADER, rows
from mailworkers.settings import Settings
from tests.speed.ground import RUNS, a_database, main, ratio, show, verdict

LEADS = int(os.environ.get("MAILWORKERS_SPEED_LEADS", "2000000"))
LIST = os.environ.get("MAILWORKERS_SPEED_LIST")
SEED = 7
WANTED = 0.15
MOST_MEMORY_MIB = 150
BLOCK_OCTETS = 1024 * 1024
LOOK_SECONDS = 0.05
MOST_SECONDS = 600.0
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
COPY, IMPORT, LISTED = "a bare COPY", "an import", "an import onto a list"


@dataclass(frozen=True, slots=True)
class Passage:
    """One way through the file. CPU seconds of the client, None where that is this process, and of the server."""

    seconds: float
    client: float
    server: float
    peak_mib: float


class Server:
    """The CPU seconds of PostgreSQL's processes, those that have ended too.

    Args:
        session: on the same machine; its parent is the server.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    async def cpu(self) -> float:
        """So far, in seconds; 0 throughout where the server is on another machine."""
        backend = await self._session.fetchval("SELECT pg_backend_pid()")
        try:
            postmaster = _stat(backend)[1]
            return TICK_SECONDS * sum(
                sum(numbers[11:15] if pid == postmaster else numbers[11:13])
                for pid, numbers in _processes()
                if pid == postmaster or numbers[1] == postmaster
            )
        except OSError:
            return 0.0


def _processes() -> Iterator[tuple[int, list[int]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), _stat(int(folder.name))
            except OSError:
                continue


def _stat(pid: int) -> list[int]:
    """The fields of proc(5) from the state on; the state itself as 0."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]


@contextmanager
def a_list() -> Iterator[tuple[Path, int]]:
    """The file, and how many rows it has."""
    if LIST is not None:
        with Path(LIST).open(encoding="utf-8-sig", newline="") as file:
            yield Path(LIST), sum(1 for _ in csv.reader(file)) - 1
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows(rows(LEADS, SEED))
        yield path, LEADS


async def copied(owner: Any, server: Server, schema: str, path: Path) -> Passage:
    """COPY, and nothing else."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        columns = len(next(csv.reader(file)))
    names = ", ".join(f"column_{number} text" for number in range(columns))
    await owner.execute(f"DROP TABLE IF EXISTS {schema}.bare; CREATE UNLOGGED TABLE {schema}.bare ({names})")
    cpu, began = await server.cpu(), time.monotonic()
    mine = time.process_time()
    await owner.copy_to_table(
        "bare", schema_name=schema, source=_blocks(path), format="csv", header=True, timeout=MOST_SECONDS
    )
    seconds, mine = time.monotonic() - began, time.process_time() - mine
    return Passage(seconds, mine, await server.cpu() - cpu, 0.0)


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_OCTETS):
            yield block


async def imported(settings: Settings, dsn: str, server: Server, path: Path, *options: str) -> Passage:
    """The command, in a schema of its own."""
    async with own_schema(settings, dsn) as schema:
        cpu, began = await server.cpu(), time.monotonic()
        process = subprocess.Popen(  # noqa: ASYNC220 -- its memory is asked of the system
            [sys.executable, "-m", "mailworkers", "leads", "import", str(path), *options],
            env={**os.environ, "DATABASE_URL": dsn, "MAILWORKERS_SCHEMA": schema},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ended, peak = 0, 0.0
        while not ended:
            await asyncio.sleep(LOOK_SECONDS)
            peak = max(peak, _high_water(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)  # noqa: ASYNC222 -- it does not wait
        seconds = time.monotonic() - began
        assert status == 0, status
        return Passage(seconds, usage.ru_utime + usage.ru_stime, await server.cpu() - cpu, peak)


def _high_water(process: int) -> float:
    """MiB that it ever had in memory; not what wait4 tells, which begins with what its parent had when it was forked."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


async def measure() -> bool:
    """All ways, side by side, several times."""
    passages: dict[str, list[Passage]] = {COPY: [], IMPORT: [], LISTED: []}
    async with a_database() as (settings, dsn), own_schema(settings, dsn) as schema:
        owner = await connect_once(settings, dsn, "speed")
        await owner.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        server = Server(owner)
        with a_list() as (path, count):
            for _ in range(RUNS):
                passages[COPY].append(await copied(owner, server, schema, path))
                passages[IMPORT].append(await imported(settings, dsn, server, path))
                passages[LISTED].append(await imported(settings, dsn, server, path, "--list", "all"))
        owner.terminate()
    rates = {name: [count / one.seconds for one in found] for name, found in passages.items()}
    show(rates, "rows/s")
    for name, found in passages.items():
        client, backend = (
            1e6 / count * statistics.median(values)
            for values in ([one.client for one in found], [one.server for one in found])
        )
        print(f"{name:44} µs of CPU a row: client {client:.2f}, PostgreSQL {backend:.2f}")
    peak = max(one.peak_mib for one in (*passages[IMPORT], *passages[LISTED]))
    print(f"peak memory of the command: {peak:.0f} MiB")
    print(f"{LISTED} against {COPY}: {ratio(rates, LISTED, COPY):.3f}")
    return all(
        [
            verdict(f"{IMPORT} against {COPY}", ratio(rates, IMPORT, COPY), WANTED),
            verdict(f"{MOST_MEMORY_MIB} MiB against the peak", MOST_MEMORY_MIB / peak, 1.0),
        ]
    )


if __name__ == "__main__":
    main(measure)
