"""Running commands within the test's own process: quick, with everything but the process itself as in life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from mailworkers.cli.app import app
from mailworkers.cli.ending import DEBUG_VARIABLE, run_to_end

STATEMENT_SECONDS = 10.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]
Sql = Callable[..., Any]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`command("jobs", "list")` runs it."""
    for name in (DEBUG_VARIABLE, "MAILWORKERS_CONFIG"):  # options set them; taken back after the test
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run_to_end(app, arguments)
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    return run


@pytest.fixture
def on_database(command: Command, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The same, with DATABASE_URL naming this test's migrated database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return command


@pytest.fixture
def sql(database_url: str) -> Sql:
    """`sql("SELECT …", value)` runs one statement and returns the first value of its first row."""

    async def run(statement: str, *values: Any) -> Any:
        connection = await asyncpg.connect(database_url, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close(timeout=STATEMENT_SECONDS)

    return lambda statement, *values: asyncio.run(run(statement, *values))
