"""Hostile contacts and hostile letters, from the file to the relay: refused or rendered harmless, one line each in the record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mailworkers.campaigns.life import Plan, create
from mailworkers.campaigns.progress import list_campaigns
from mailworkers.db.pool import Database
from mailworkers.errors import CampaignError
from mailworkers.leads.importing import import_leads
from mailworkers.leads.ledger import Wanted
from mailworkers.settings import Settings
from tests.support.running import running_daemon
from tests.support.sink import Received, Sink
from tests.support.waiting import eventually

CONNECT_SECONDS = 10.0
ENDED_SECONDS = 40.0  # a busy machine's worst; all of it takes two seconds
SAVE = "SELECT mailworkers.save_template('default', $1, $2, $3, $4)"
CREATE = (
    "SELECT mailworkers.create_campaign($1, $2, list => $3, from_email => 'letter@news.example', from_name => $4,"
    " data => $5, start_at => now())"
)
ENDS = "SELECT to_email, status, reply FROM mailworkers.email_sends WHERE campaign_id = $1"
STATUS = "SELECT status FROM mailworkers.campaign_sends WHERE id = $1"

VALUES = {
    "crlf": "Ann\r\nBcc: eve@evil.example\r\n\r\n<b>owned</b>",
    "lf": "Ann\nBcc: eve@evil.example",
    "cr": "Ann\rBcc: eve@evil.example",
    "html": "<script>alert('x')</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=\"alert(1)",
    "header": "Bcc: eve@evil.example",
    "encoded": "=?utf-8?q?Ann=0D=0ABcc:_eve@evil.example?=",
    "override": "Ann \u202egnp.exe\u2066",
    "separator": "Ann\u2028Bcc: eve@evil.example\u2029\u0085",
    "template": "{{ ''.__class__ }}{% for i in range(99999999) %}x{% endfor %}",
    "nul": "Ann\u0000Bob",
    "surrogate": "Ann\ud800",
    "megabyte": "x" * 1_000_000,
    "dot": ".\r\n.\r\nMAIL FROM:<eve@evil.example>\r\n",
}  # fmt: skip
FIELDS = ("email", "name", "city", "plan")
LETTER = '<h1 title="{{ city }}">Hello {{ name }}</h1><p>{{ city }} {{ plan }}</p>'
SUBJECT = "For {{ name|default('you', true) }} in {{ city }}"
HEADERS = {"from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"}

GROWS = "{% set s = name %}" + "{% set s = s ~ s %}" * 40 + "{{ s }}"
TEMPLATES = {
    "loops": "".join(f"{{% for {name} in range(10000) %}}" for name in "abcde") + "x" + "{% endfor %}" * 5,
    "grows": GROWS,
    "hundred-megabytes": "{% for i in range(10000) %}" + "x" * 10_000 + "{% endfor %}",
    "nests": "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
    "nests-tags": "{% if name %}" * 500 + "x" + "{% endif %}" * 500,
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "class": "{{ ''.__class__ }}",
    "mro": "{{ ''['__class__']['__mro__'] }}",
    "subclasses": "{{ name.__class__.__base__.__subclasses__() }}",
    "attr": "{{ name|attr('__class__') }}",
    "globals": "{{ self.__init__.__globals__ }}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "format": "{{ '{0.__class__}'.format(name) }}",
    "map-attribute": "{{ [name]|map(attribute='__class__')|list }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}",
    "none": "{% for",
}  # fmt: skip


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    yield connection
    await connection.close(timeout=CONNECT_SECONDS)


def hostile_file(folder: Path) -> tuple[Path, int]:
    """A row for each value in each field, as JSON Lines, which can say all of it; and how many rows there are."""
    rows = []
    for kind, value in VALUES.items():
        for field in FIELDS:
            row = {"email": f"{kind}.{field}@a.example", "name": "Ann", "city": "Bonn", "plan": "free"}
            row[field] = f"{value}@a.example" if field == "email" else value
            rows.append(row)
    path = folder / "hostile.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path, len(rows)


async def ended(owner: Any, campaign: int) -> dict[str, tuple[str, str]]:
    """What became of each mail of a campaign, once it has finished."""

    async def finished() -> bool:
        return bool(await owner.fetchval(STATUS, campaign) == "finished")

    await eventually(finished, f"campaign {campaign} finishes", ENDED_SECONDS)
    return {row["to_email"]: (row["status"], row["reply"] or "") for row in await owner.fetch(ENDS, campaign)}


def assert_harmless(mail: Received) -> None:
    """It has the headers of every mail and no others, one recipient, and nothing in its HTML that runs."""
    assert len(mail.rcpt_to) == 1
    message = message_from_bytes(mail.content, policy=default)
    assert isinstance(message, EmailMessage)
    names = Counter(name.lower() for name in message)
    assert set(names) <= HEADERS, names
    assert set(names.values()) == {1}
    assert "\n" not in message["subject"]
    assert "\r" not in message["subject"]
    assert b"\r" not in mail.content.replace(b"\r\n", b"")
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert b"\0" not in mail.content
    part = message.get_body(("html",))
    assert part is not None
    html = str(part.get_content())
    for alive in ("<script", "<img", '" onmouseover="', "<class"):
        assert alive not in html


async def test_hostile_contacts_get_a_harmless_mail_or_none(
    settings: Settings, database: Database, app_connection: Any, owner: Any, tmp_path: Path
) -> None:
    """Given contacts with line ends, HTML, header text, overrides, a megabyte and NUL in each field, when they are imported
    and written to, then each is refused with its line, got one harmless mail, or has one line in the record."""
    path, rows = hostile_file(tmp_path)
    await app_connection.fetchval(SAVE, "letter", SUBJECT, None, LETTER)

    done = await import_leads(database, Wanted(str(path), list_name="all"))
    leads = {row["email"] for row in await owner.fetch("SELECT email FROM mailworkers.leads")}
    reasons = [row["reason"] for row in await owner.fetch("SELECT reason FROM mailworkers.lead_import_rejects")]
    assert (done.rows, len(leads) + len(reasons)) == (rows, rows)
    assert all(reason and "\n" not in reason for reason in reasons)

    async with (
        Sink() as sink,
        running_daemon(settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": sink.port})),
    ):
        campaign = await app_connection.fetchval(CREATE, "hostile", "letter", "all", "The Letter", "{}")
        ends = await ended(owner, campaign)

    by_recipient = Counter(mail.rcpt_to[0] for mail in sink.mails)
    sent = {email for email, (status, _) in ends.items() if status == "sent"}
    assert set(ends) == leads
    assert by_recipient == Counter(sent)
    for mail in sink.mails:
        assert_harmless(mail)
    failed = {email: reply for email, (status, reply) in ends.items() if status != "sent"}
    assert {status for status, _ in ends.values()} <= {"sent", "failed"}
    assert all(reply and "\n" not in reply and "\r" not in reply and len(reply) < 1000 for reply in failed.values())
    assert {
        f"{kind}.{field}@a.example" for kind in ("html", "header", "template") for field in ("name", "city")
    } <= sent
    assert all(
        'template "letter@1", subject: it contains' in failed[f"{kind}.city@a.example"] for kind in ("crlf", "lf", "cr")
    )
    assert "megabyte.city@a.example" not in sent


async def test_hostile_letters_end_their_own_mails_and_nothing_else(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    """Given templates that loop, nest, grow or reach for Python, saved past every check, when campaigns of them run, then
    each mail of theirs fails with one line, all campaigns finish, and one that is good is sent."""
    for number in range(3):
        await app_connection.fetchval(
            "SELECT mailworkers.add_lead($1, 'Ann', '{\"city\": \"Bonn\"}', list => 'all')", f"reader{number}@a.example"
        )
    templates = {**TEMPLATES, "good": "Hello {{ name }}"}
    for name, text in templates.items():
        await app_connection.fetchval(SAVE, name, "Hello", text, None)

    async with (
        Sink() as sink,
        running_daemon(settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": sink.port})),
    ):
        campaigns = {
            name: await app_connection.fetchval(CREATE, name, name, "all", "The Letter", "{}") for name in templates
        }
        ends = {name: await ended(owner, campaign) for name, campaign in campaigns.items()}

    assert {status for status, _ in ends.pop("good").values()} == {"sent"}
    assert len(sink.mails) == 3
    for name, found in ends.items():
        assert len(found) == 3, name
        for status, reply in found.values():
            assert status == "failed", (name, reply)
            assert reply.startswith('template "'), (name, reply)
            assert "\n" not in reply
            assert len(reply) < 1000


HOSTILE_LINE = "x\r\nBcc: eve@evil.example"


@pytest.mark.parametrize(
    "hostile",
    [
        {"name": HOSTILE_LINE},
        {"template": HOSTILE_LINE},
        {"from_email": HOSTILE_LINE},
        {"from_name": HOSTILE_LINE},
        {"reply_to": HOSTILE_LINE},
        {"headers": {"X-One": HOSTILE_LINE}},
        {"headers": {HOSTILE_LINE: "one"}},
        {"headers": {"Bcc": "eve@evil.example"}},
        {"workspace": HOSTILE_LINE},
    ],
)
async def test_header_text_in_a_campaigns_own_fields_is_refused(
    database: Database, app_connection: Any, hostile: dict[str, Any]
) -> None:
    """Given a line end in what a campaign itself says, when it is created, then it is refused, and none is there."""
    await app_connection.fetchval(SAVE, "letter", "Hello", "Hi", None)

    with pytest.raises(CampaignError) as refused:
        await create(database, Plan(**{"name": "one", "template": "letter", **hostile}))

    assert "\n" not in refused.value.message
    assert await list_campaigns(database.claims, None, 10) == []
