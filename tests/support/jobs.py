"""Jobs for tests: rows in the table, and claimed ones made up without a database."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from mailworkers.queue.states import Job, Lane

DEFAULT_LANE = Lane("default")
_SOMEWHEN = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


async def insert(connection: asyncpg.Connection, count: int = 1, **columns: Any) -> list[int]:
    """Insert `count` mails as an application does; their ids. `columns` overrides or adds columns."""
    values = {"to_email": "ann@example.org", "subject": "Hello", "text_body": "Hi Ann", **columns}
    names = ", ".join(values)
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    rows = await connection.fetch(
        f"INSERT INTO mailworkers.email_jobs ({names}) SELECT {places} FROM generate_series(1, {count}) RETURNING id",
        *values.values(),
    )
    return [row["id"] for row in rows]


def made_up(job_id: int = 1, *, lane: Lane = DEFAULT_LANE, at_most_once: bool = False, **fields: Any) -> Job:
    """A claimed job that no database knows. `fields` overrides columns of its row, and `attempts`, `max_retries`,
    `size` and `put_off`."""
    attempts, max_retries = fields.pop("attempts", 0), fields.pop("max_retries", 3)
    put_off, size = fields.pop("put_off", 0.0), fields.pop("size", 0)
    row = {
        "id": job_id, "workspace_id": lane.workspace_id, "campaign_id": None, "campaign": 0, "priority": 0, "scheduled_at": _SOMEWHEN,
        "created_at": _SOMEWHEN, "message_token": UUID(int=job_id), "to_email": "ann@example.org", "to_name": None,
        "from_email": None, "from_name": None, "reply_to": None, "cc": None, "bcc": None, "subject": "Hello",
        "text_body": "Hi Ann", "html_body": None, "template": None, "data": None, "headers": None,
        "attachments": None, "payload": None, **fields,
    }  # fmt: skip
    return Job(
        id=job_id, lease=1, lane=lane, attempts=attempts, max_retries=max_retries, job_type="send-email",
        at_most_once=at_most_once, waited=0.0, claimed=time.monotonic(), size=size, row=row, put_off=put_off,
    )  # fmt: skip
