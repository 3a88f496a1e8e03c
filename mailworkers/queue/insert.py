"""Inserting one mail by the contract that every application uses, and what a refused row says."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from mailworkers.db.pool import Database
from mailworkers.errors import EX_DATAERR, MailworkersError


class RowRefused(MailworkersError):
    """The database refused the row: nothing was inserted."""

    exit_code = EX_DATAERR


class KeyUsed(RowRefused):
    """A mail with this idempotency key is queued or sent already: nothing was inserted, and nothing has to be."""

    exit_code = 0


@dataclass(frozen=True, slots=True)
class File:
    """An attachment of a new mail."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class NewMail:
    """What goes into the row. None leaves the column to its default."""

    to_email: str
    subject: str | None = None
    text_body: str | None = None
    html_body: str | None = None
    to_name: str | None = None
    from_email: str | None = None
    from_name: str | None = None
    reply_to: str | None = None
    attachments: tuple[File, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    scheduled_at: datetime | None = None
    idempotency_key: str | None = None
    template: str | None = None
    data: Mapping[str, Any] | None = None
    campaign_id: int | None = None
    workspace_id: str | None = None


async def insert(database: Database, mail: NewMail) -> int:
    """Insert one mail and return its job's number.

    Raises:
        KeyUsed: there is one with its idempotency key.
        RowRefused: a constraint says what is wrong with it.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    values = (
        mail.to_email,
        mail.to_name,
        mail.from_email,
        mail.from_name,
        mail.reply_to,
        mail.subject,
        mail.text_body,
        mail.html_body,
        _as_json(mail.attachments),
        list(mail.cc) or None,
        list(mail.bcc) or None,
        mail.scheduled_at,
        mail.idempotency_key,
        mail.template,
        None if mail.data is None else json.dumps(mail.data),
        mail.campaign_id,
        mail.workspace_id,
    )
    async with database.claims.connection("inserting a mail") as connection:
        try:
            return int(await connection.fetchval(database.queries["change/insert"], *values))
        except asyncpg.UniqueViolationError as refusal:
            raise KeyUsed(reason(refusal), "This mail is queued or sent already") from None
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as refusal:
            raise RowRefused(f"the database refused the mail: {reason(refusal)}") from None


def reason(refusal: asyncpg.PostgresError) -> str:
    """Why a row was refused, in words: constraints are named by sentences, other errors have a message."""
    sentences = (asyncpg.CheckViolationError, asyncpg.UniqueViolationError)
    if isinstance(refusal, sentences) and " " in (refusal.constraint_name or ""):
        return str(refusal.constraint_name)
    if isinstance(refusal, asyncpg.CharacterNotInRepertoireError) and str(refusal).endswith("0x00"):
        return "it holds a zero byte, which no text in PostgreSQL can hold"
    return str(refusal).splitlines()[0]


def _as_json(files: tuple[File, ...]) -> str | None:
    listed = [
        {
            "filename": file.filename,
            "content_type": file.content_type,
            "content": base64.b64encode(file.content).decode("ascii"),
        }
        for file in files
    ]
    return json.dumps(listed) if listed else None
