"""Inserting as an application does: with the rights of `mailworkers_app` and no others."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from mailworkers.bench.mails import SENDER, SENDER_NAME, Mails
from mailworkers.db.faults import as_ours
from mailworkers.db.pool import CONNECT_SECONDS, FAULTS
from mailworkers.db.queries import Queries

ROLE = "mailworkers_app"
COLUMNS = ("to_email", "to_name", "from_email", "from_name", "subject", "text_body", "html_body")
COPY_SECONDS = 600.0  # millions of rows on a slow disk


class Application:
    """Inserts mails into one schema."""

    def __init__(self, connection: Any, schema: str, mails: Mails) -> None:
        self._connection = connection
        self._schema = schema
        self._mails = mails
        self._insert = Queries(schema)["bench/insert"]

    @asynccontextmanager
    async def copied(self, jobs: int) -> AsyncIterator[None]:
        """Insert so many by COPY; they are committed when the block ends. Raises DatabaseError."""
        try:
            async with self._connection.transaction():
                await self._connection.copy_records_to_table(
                    "email_jobs",
                    schema_name=self._schema,
                    columns=COLUMNS,
                    records=self._rows(jobs),
                    timeout=COPY_SECONDS,
                )
                yield
        except FAULTS as fault:
            raise as_ours(fault, "inserting the bench's mails") from fault

    async def insert_one(self, number: int) -> float:
        """Insert and commit one mail; the monotonic time when that was done. Raises DatabaseError."""
        mails = self._mails
        try:
            await self._connection.execute(
                self._insert,
                mails.recipient(number),
                mails.subject(number),
                mails.text(number),
                SENDER,
                mails.html(number),
            )
        except FAULTS as fault:
            raise as_ours(fault, "inserting one of the bench's mails") from fault
        return time.monotonic()

    def _rows(self, jobs: int) -> Iterator[tuple[str | None, ...]]:
        mails = self._mails
        for number in range(jobs):
            recipient, subject = mails.recipient(number), mails.subject(number)
            yield (
                recipient,
                f"Reader {number}",
                SENDER,
                SENDER_NAME,
                subject,
                mails.text(number),
                mails.html(number),
            )


@asynccontextmanager
async def application(dsn: str, schema: str, mails: Mails) -> AsyncIterator[Application]:
    """A connection for inserting, as long as the block runs.

    Args:
        dsn: its user must be able to become `mailworkers_app`.
        schema: whose `email_jobs`.
        mails: what to insert.

    Raises:
        DatabaseUnavailable, DatabaseRefused: no connection, or not in that role.
    """
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_SECONDS,
            command_timeout=CONNECT_SECONDS,
            server_settings={"role": ROLE, "application_name": "mailworkers bench: the application"},
        )
    except (*FAULTS, ValueError) as fault:
        raise as_ours(fault, "connecting as an application") from fault
    try:
        yield Application(connection, schema, mails)
    finally:
        connection.terminate()
