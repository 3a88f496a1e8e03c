"""The main job against a real relay: rows by COPY, each good one delivered once, as it was inserted."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from csv import writer
from pathlib import Path
from typing import Any

import pytest

from mailworkers.demo.make_leads import HEADER, rows
from mailworkers.mail.addresses import wire_address
from tests.acceptance.conftest import StartDaemon
from tests.acceptance.importing import Row, copy_all, letters
from tests.support import postfix
from tests.support.measured import Measured
from tests.support.postfix import Postfix
from tests.support.waiting import eventually

GIVEN = "MAILWORKERS_TEST_LEADS"  # another list, with the same columns
ROWS = int(os.environ.get("MAILWORKERS_TEST_POSTFIX_ROWS", "2500"))  # 10000 for the whole list; it takes two minutes
SEED = 20
DELIVERED_SECONDS = 240.0
COPY_SECONDS = 120.0

pytestmark = [pytest.mark.system, pytest.mark.root]


@pytest.fixture
def relay() -> Iterator[Postfix]:
    if missing := postfix.missing():
        pytest.skip(missing)
    with postfix.running() as running:
        yield running


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    """A list of leads as people hand them over, a part of it bad."""
    if given := os.environ.get(GIVEN):
        return Path(given)
    made = tmp_path / "leads.csv"
    with made.open("w", encoding="utf-8-sig", newline="") as file:
        lines = writer(file)
        lines.writerow(HEADER)
        lines.writerows(rows(ROWS, SEED))
    return made


async def test_rows_by_copy_reach_postfix_once_each(
    relay: Postfix,
    leads: Path,
    app_connection: Any,
    owner: Any,
    worker_url: str,
    start_daemon: StartDaemon,
    measured: Measured,
) -> None:
    # given a daemon that sends to Postfix, by STARTTLS and with a password
    daemon = start_daemon(
        worker_url,
        relay.port,
        SMTP_TLS="required",
        SMTP_CA_FILE=relay.authority,
        SMTP_USER=relay.user,
        SMTP_PASSWORD=relay.password,
    )
    await daemon.ready()
    inserting = letters(leads)

    # when an application copies a letter for each row of the list
    began = time.monotonic()
    done = await asyncio.wait_for(copy_all(app_connection, inserting), COPY_SECONDS)
    copied = time.monotonic() - began

    # then bad rows were refused, each with the reason; every other one is sent, and delivered
    assert done.rows == len(done.accepted) + done.refused.total()
    assert done.refused
    await eventually(lambda: relay.delivered >= len(done.accepted), "all are delivered", DELIVERED_SECONDS)
    delivered = time.monotonic() - began
    await eventually(lambda: _nothing_left(owner), "all are recorded")
    ends = await owner.fetch("SELECT status, count(*) AS times FROM mailworkers.email_sends GROUP BY 1")
    assert {row["status"]: row["times"] for row in ends} == {"sent": len(done.accepted)}, daemon.output

    # once each, to whom it was for, and as it was inserted
    said = await owner.fetch("SELECT to_email, message_id FROM mailworkers.email_sends")
    ids = {row["to_email"]: row["message_id"].strip("<>") for row in said}
    expected = {wire_address(to, "to_email"): (row, ids[to]) for to, row in done.accepted.items()}
    arrived: Counter[str] = Counter()
    for content in relay.messages():
        to = _check(content, expected)
        arrived[to] += 1
    assert arrived.keys() == expected.keys()
    assert set(arrived.values()) == {1}
    parsed = time.monotonic() - began - delivered

    measured(
        f"Postfix, {done.rows} rows of {leads.name}: {len(done.accepted)} accepted, {done.refused.total()} refused, "
        f"{done.copies} COPYs in {copied:.1f} s; {arrived.total()} delivered, all within {delivered:.1f} s of the first "
        f"COPY; {arrived.total()} parsed as inserted in {parsed:.1f} s"
    )
    for reason, times in done.refused.most_common():
        measured(f"Postfix, refused {times}: {reason}")


async def _nothing_left(owner: Any) -> bool:
    return bool(await owner.fetchval("SELECT NOT EXISTS (SELECT FROM mailworkers.email_jobs)"))


def _check(content: bytes, expected: dict[str, tuple[Row, str]]) -> str:
    """Hold one delivered message to the row that it was; whom it was delivered to."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    to = str(message["X-Original-To"])
    row, message_id = expected[to]
    assert not message.defects
    assert [(one.display_name, one.addr_spec) for one in message["To"].addresses] == [(row.to_name, to)]
    assert [(one.display_name, one.addr_spec) for one in message["From"].addresses] == [(row.from_name, row.from_email)]
    assert message["Subject"] == row.subject
    assert message["Message-ID"].strip("<>") == message_id
    assert message["List-Unsubscribe"] == json.loads(row.headers)["List-Unsubscribe"]
    for kind, body in (("plain", row.text), ("html", row.html)):
        part = message.get_body((kind,))
        assert part is not None
        assert part.get_content() == body
    assert "with ESMTPSA" in message["Received"]  # encrypted and authenticated
    return to
