"""What an application may insert, and what it is told when it may not."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.support.jobs import insert

CONTRACT_COLUMNS = {
    "workspace_id", "campaign_id", "job_type", "priority", "scheduled_at", "max_retries", "idempotency_key", "delivery",
    "to_email", "to_name", "from_email", "from_name", "reply_to", "cc", "bcc", "subject", "text_body", "html_body",
    "template", "data", "headers", "attachments", "payload",
}  # fmt: skip

NEEDED = "a mail needs to_email"
ONE_AT = "to_email must have one @, as in ann@example.org"
BLANKS = "to_email must not contain blanks or control characters"
PLAIN = "to_email must be plain before its @, in at most 64 octets"
DOMAIN = "to_email must have a valid domain after its @"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (None, NEEDED),
        ("", NEEDED),
        ("nobody", ONE_AT),
        ("two@@signs.example", ONE_AT),
        ("@nolocal.example", ONE_AT),
        ("nodomain@", ONE_AT),
        ("c@dom.example;d@dom.example", ONE_AT),
        ("sp ace@dom.example", BLANKS),
        (" ann@dom.example", BLANKS),
        ("ann@dom.example\n", BLANKS),
        ("ctl\r\nBcc: x@y.example", BLANKS),
        ("dot..dot@dom.example", PLAIN),
        ("a\u200bb@dom.example", PLAIN),
        ("ann@pay\u200bpal.example", DOMAIN),
        ("ann@\u202epay.example", DOMAIN),
        (".lead@dom.example", PLAIN),
        ("<b@angle.example>", PLAIN),
        ('"quoted"@dom.example', PLAIN),
        ("x" * 65 + "@long.example", PLAIN),
        ("ž" * 33 + "@long.example", PLAIN),
        ("a@-dash.example", DOMAIN),
        ("a@dash-.example", DOMAIN),
        ("a@dom..example", DOMAIN),
        ("a@dom.example.", DOMAIN),
        ("a@[127.0.0.1]", DOMAIN),
        ("a@" + "d" * 64 + ".example", DOMAIN),
        ("a@" + "abc." * 62 + "example", DOMAIN),
    ],
)
async def test_a_bad_recipient_is_refused_with_the_reason(
    app_connection: Any, address: str | None, reason: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await insert(app_connection, to_email=address)
    assert refused.value.constraint_name == reason


@pytest.mark.parametrize(
    "address",
    ["ann@example.org", "o'hara+tag@mail.firm-1.example", "ann@localhost", "büro@büro.example", "x@" + "d" * 63 + ".example",
     "x" * 64 + "@long.example", "ΑΒΓ@δοκιμή.example", "😀@emoji.example"],
)  # fmt: skip
async def test_a_good_recipient_is_taken(app_connection: Any, address: str) -> None:
    assert await insert(app_connection, to_email=address)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"subject": "Hi\r\nBcc: x@y.example"}, "subject must be one line: no CR, LF or control characters"),
        ({"subject": "bell\x07"}, "subject must be one line: no CR, LF or control characters"),
        ({"to_name": "Ann\nLee"}, "to_name must be one line: no CR, LF or control characters"),
        ({"from_name": "A\u2028B"}, "from_name must be one line: no CR, LF or control characters"),
        ({"subject": "x" * 1001}, "subject and names must have at most 1000 characters each"),
        ({"from_email": "nobody"}, "from_email must be one address, as in ann@example.org"),
        ({"reply_to": "Ann <ann@example.org>"}, "reply_to must be one address, as in ann@example.org"),
        ({"cc": ["ann@example.org", "b"]}, "cc must list at most 100 addresses, as in ann@example.org"),
        ({"cc": ["ann@example.org", None]}, "cc must list at most 100 addresses, as in ann@example.org"),
        ({"bcc": ["ann@example.org"] * 101}, "bcc must list at most 100 addresses, as in ann@example.org"),
        ({"text_body": None}, "a mail needs text_body, html_body or a template"),
        ({"template": "welcome"}, "a mail has bodies of its own or a template, not both"),
        ({"text_body": None, "template": "wel\ncome"}, "template must be one line of 1 to 200 characters"),
        ({"text_body": None, "template": ""}, "template must be one line of 1 to 200 characters"),
        ({"cc": [["a@b.example"], ["c@d.example"]]}, "cc must list at most 100 addresses, as in ann@example.org"),
        ({"headers": '{"X-A": "' + "x" * 10_001 + '"}'}, "headers: names X-…, List-… and few others, one line each"),
        ({"payload": '["' + "x" * 1024 * 1024 + '"]'}, "data, headers and payload are limited to 1 MB each"),
        ({"attachments": '[{"content": "not base64!"}]'}, "attachments: a list of {filename, content or blob_id}"),
        ({"priority": 101}, "priority must be between -100 (first) and 100 (last)"),
        ({"max_retries": -1}, "max_retries must be between 0 and 100"),
        ({"delivery": "exactly_once"}, "delivery must be 'at_least_once' or 'at_most_once'"),
        ({"workspace_id": ""}, "workspace_id must be one line of 1 to 100 characters"),
        ({"job_type": "Send Email"}, "job_type must be lower case words joined by hyphens"),
        ({"idempotency_key": ""}, "idempotency_key must have 1 to 255 characters"),
        ({"headers": '{"Bcc": "x@y.example"}'}, "headers: names X-…, List-… and few others, one line each"),
        ({"headers": '{"X-A": "b\\r\\nBcc: c@d.example"}'}, "headers: names X-…, List-… and few others, one line each"),
        ({"headers": '{"X-A": 1}'}, "headers: names X-…, List-… and few others, one line each"),
        ({"headers": "[]"}, "headers: names X-…, List-… and few others, one line each"),
        ({"attachments": '[{"url": "x"}]'}, "attachments: a list of {filename, content or blob_id}"),
        ({"attachments": '[{"content": "eA==", "blob_id": 1}]'}, "attachments: a list of {filename, content or blob_id}"),
        ({"attachments": '[{"filename": "x"}]'}, "attachments: a list of {filename, content or blob_id}"),
        ({"attachments": "{}"}, "attachments: a list of {filename, content or blob_id}"),
        ({"attachments": json.dumps([{"content": ""}] * 101)}, "attachments are limited to 100 files"),
        ({"data": "[]", "text_body": None, "template": "t"}, "data must be a JSON object"),
    ],
)  # fmt: skip
async def test_every_other_bad_value_is_refused_with_the_reason(
    app_connection: Any, columns: dict[str, Any], reason: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await insert(app_connection, **columns)
    assert refused.value.constraint_name == reason


async def test_a_moment_that_never_comes_is_refused(app_connection: Any) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="scheduled_at must be a real moment"):
        await app_connection.execute(
            "INSERT INTO mailworkers.email_jobs (to_email, text_body, scheduled_at) VALUES ('a@b.example', 'x', 'infinity')"
        )


async def test_an_application_may_set_the_contracts_columns_and_no_others(app_connection: Any) -> None:
    rows = await app_connection.fetch(
        "SELECT attname, has_column_privilege('mailworkers_app', attrelid, attnum, 'INSERT') AS may "
        "FROM pg_attribute WHERE attrelid = 'mailworkers.email_jobs'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    assert {row["attname"] for row in rows if row["may"]} == CONTRACT_COLUMNS


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE mailworkers.email_jobs SET subject = 'x'",
        "DELETE FROM mailworkers.email_jobs",
        "SELECT text_body FROM mailworkers.email_jobs",
        "INSERT INTO mailworkers.email_blobs (id, filename, content) OVERRIDING SYSTEM VALUE VALUES (1, 'a', '')",
        "INSERT INTO mailworkers.worker_metrics (minute, daemon_id) VALUES (now(), 1)",
        "SELECT mailworkers.drop_partitions('email_sends', 1)",
        "SELECT * FROM mailworkers.email_idempotency_keys",
    ],
)
async def test_an_application_may_do_nothing_else(app_connection: Any, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_connection.execute(statement)


async def test_the_shortest_insert_works_and_tells_its_id_and_status(app_connection: Any) -> None:
    job = await app_connection.fetchval(
        "INSERT INTO mailworkers.email_jobs (to_email, subject, text_body) "
        "VALUES ('ann@example.org', 'Hello', 'Hi Ann') RETURNING id"
    )
    row = await app_connection.fetchrow("SELECT * FROM mailworkers.email_job_status WHERE job_id = $1", job)
    assert (row["status"], row["attempts"], row["workspace_id"]) == ("waiting", 0, "default")


async def test_an_idempotency_key_is_taken_once_in_each_workspace(app_connection: Any) -> None:
    await insert(app_connection, idempotency_key="order-1")
    await insert(app_connection, idempotency_key="order-1", workspace_id="other")
    with pytest.raises(asyncpg.UniqueViolationError, match="was already used") as refused:
        await insert(app_connection, idempotency_key="order-1")
    assert refused.value.constraint_name == "idempotency_key was already used in this workspace"


async def test_a_key_of_an_insert_that_was_rolled_back_is_free(app_connection: Any) -> None:
    transaction = app_connection.transaction()
    await transaction.start()
    await insert(app_connection, idempotency_key="order-2")
    await transaction.rollback()
    assert await insert(app_connection, idempotency_key="order-2")
