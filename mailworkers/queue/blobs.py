"""Attachments that a row names by `blob_id`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mailworkers.db.pool import Gateway
from mailworkers.errors import ComposeError
from mailworkers.mail.composer.body import MAX_CONTENT_BYTES
from mailworkers.mail.message import Attachment


async def blobs_of(wanted: Collection[int], workspace_id: str, gateway: Gateway) -> Mapping[int, Attachment]:
    """The named rows of a job's own workspace by id; a missing one is left out, for the composer to complain.

    Raises:
        ComposeError: they are larger together than a mail may be.
        DatabaseUnavailable, DatabaseRefused: as `Gateway.fetch`.
    """
    if not wanted:
        return {}
    rows = await gateway.fetch("queue/blobs", sorted(wanted), [workspace_id] * len(wanted), MAX_CONTENT_BYTES)
    if rows and rows[0]["content"] is None:
        raise ComposeError(
            f"attachments by reference have {rows[0]['octets']:,} octets together, at most {MAX_CONTENT_BYTES:,} fit in a mail"
        )
    return {row["id"]: Attachment(row["filename"], row["content_type"], bytes(row["content"])) for row in rows}
