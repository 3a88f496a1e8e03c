"""What arrived at the sink against what the record says: nothing lost, and how much came twice."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.support.sink import Sink
from tests.support.waiting import eventually

DONE_SECONDS = 60.0
INSERT = """
INSERT INTO mailworkers.email_jobs (to_email, subject, text_body)
SELECT 'reader' || n || '@example.org', 'Letter ' || n, 'Hi reader ' || n FROM generate_series($1::integer, $2::integer) AS n
"""


@dataclass(frozen=True, slots=True)
class Account:
    """`lost` are mails that never came, `twice` how many arrivals were one too many. `strays` had another Message-ID than
    the first arrival of the same mail, or than the record."""

    mails: int
    lost: int
    twice: int
    strays: int


async def insert_mails(application: Any, mails: int, first: int = 1) -> None:
    """Insert `mails` rows in one commit, each to a recipient of its own."""
    await application.execute(INSERT, first, first + mails - 1)


async def recorded(owner: Any) -> int:
    """Mails that the record calls sent."""
    return int(await owner.fetchval("SELECT count(*) FROM mailworkers.email_sends WHERE status = 'sent'"))


async def all_recorded(owner: Any, mails: int, seconds: float = DONE_SECONDS) -> None:
    """Wait until the record calls all of them sent, and no job is left."""

    async def done() -> bool:
        return await recorded(owner) == mails

    await eventually(done, f"{mails} mails are recorded as sent", seconds)
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs") == 0
    assert await owner.fetchval("SELECT count(DISTINCT job_id) FROM mailworkers.email_sends") == mails


async def account(owner: Any, sink: Sink) -> Account:
    """Compare the sink with the record, mail by mail: each has a recipient of its own."""
    arrived: dict[str, list[str]] = defaultdict(list)
    for mail in sink.mails:
        arrived[mail.rcpt_to[0]].append(mail.message_id)
    rows = await owner.fetch("SELECT to_email, message_id FROM mailworkers.email_sends WHERE status = 'sent'")
    said = {row["to_email"]: row["message_id"].strip("<>") for row in rows}
    return Account(
        mails=len(arrived),
        lost=len(said.keys() - arrived.keys()),
        twice=sum(len(ids) - 1 for ids in arrived.values()),
        strays=sum(1 for to, ids in arrived.items() for message_id in ids if message_id != said.get(to)),
    )
