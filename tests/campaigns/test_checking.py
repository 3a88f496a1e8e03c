"""Checking a campaign: the same verdict as composing, each lead once, and bounded in what it keeps."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from mailworkers.campaigns import audience
from mailworkers.campaigns.audience import chunks, target_of
from mailworkers.campaigns.checking import EXAMPLES, MOST_REASONS, OTHERS, Checked, Reject, check
from mailworkers.campaigns.composing import CampaignLetter, Lead
from mailworkers.campaigns.progress import Campaign
from mailworkers.db.pool import Database
from mailworkers.errors import ComposeError
from mailworkers.mail.row import SenderDefaults
from mailworkers.mail.templates import TemplateSource, compile_template
from tests.support import campaigns

CONNECT_SECONDS = 10.0
HTML = "<p>Hello {{ name|default('you') }}{{ odd|default('') }}{{ '\\0' if nul|default(false) }}{{ '\\ud800' if lone|default(false) }}</p>"
LEADS: tuple[tuple[str, str | None, dict[str, Any]], ...] = (
    ("ann@a.example", "Ann", {}),
    ("ann@a.example", "Ännchen " * 100, {}),
    ("ann@a.example", None, {}),
    ("ann@a.example", "a\nb", {}),
    ("ann@a.example", "x" * 2000, {}),
    ("änn@bücher.example", "Änn", {}),
    ("a b@a.example", "Ann", {}),
    ("nobody", "Ann", {}),
    ("ann@a.example", "Ann", {"odd": "\u202e\u2028"}),
    ("ann@a.example", "Ann", {"nul": True}),
    ("ann@a.example", "Ann", {"lone": True}),
    ("ann@a.example", "Ann", {"odd": ["a list"]}),
    ("ann@a.example", "Ann", {"odd": "x" * 1_000_000}),
    ("ann@a.example", "Ann", {"odd": "x" * 3_000_000}),
)  # fmt: skip


def letter(html: str = HTML, subject: str = "For {{ name|default('you') }}", **fields: Any) -> CampaignLetter:
    made: dict[str, Any] = {
        "campaign_id": 1, "workspace": "default", "name": "one", "status": "draft", "template": "letter", "revision": 0,
        "data": {}, "from_email": "letter@news.example", "from_name": None, "reply_to": None, "headers": None,
        "list_name": None, "segment": None, "filter": None, "priority": 10, "max_retries": 3, "start_at": None,
        "created_at": datetime(2026, 11, 1, tzinfo=UTC), "why": None, **fields,
    }  # fmt: skip
    compiled = compile_template(TemplateSource("letter", 1, subject, html_body=html))
    return CampaignLetter(Campaign(**made), compiled, SenderDefaults("s@example.org"))


def verdict(act: Any, lead: Lead) -> str:
    try:
        act(lead)
    except ComposeError as bad:
        return str(bad)
    return ""


@pytest.mark.parametrize(
    "fields",
    [{}, {"reply_to": "no body"}, {"headers": {"X-One": "a\nb"}}, {"from_email": "a@b@c"}, {"from_name": "a\nb"}],
)
def test_a_check_says_of_each_lead_what_composing_its_mail_would_say(fields: dict[str, Any]) -> None:
    its = letter(**fields)
    leads = [Lead(number, email, name, json.dumps(data)) for number, (email, name, data) in enumerate(LEADS)]

    said = [verdict(its.check, lead) for lead in leads]

    assert said == [verdict(its.mail, lead) for lead in leads]
    assert all(said) if fields else {bool(one) for one in said} == {True, False}


async def pieces(*leads: Lead) -> AsyncIterator[tuple[Sequence[Lead], float]]:
    for number, lead in enumerate(leads, 1):
        yield (lead,), number / len(leads)


async def test_reasons_are_grouped_bounded_and_told_as_it_goes() -> None:
    """Given leads that fail at different places of their names, and others for reasons of their own, when they are checked, then
    the first are one group, and no more groups are kept than are allowed."""
    breaks = [Lead(number, f"l{number}@a.example", "x" * number + "\n", "{}") for number in range(1, 11)]
    own = [
        Lead(100 + number, f"b{number}@a.example", "Bo", json.dumps({"kind": number}))
        for number in range(MOST_REASONS + 5)
    ]
    choose = "".join(
        f"{{% if kind|default(0) == {number} %}}{{{{ v{number} }}}}{{% endif %}}" for number in range(MOST_REASONS + 5)
    )
    rejects: list[Reject] = []
    shares: list[float] = []

    def told(now: Checked) -> None:
        shares.append(now.share)

    checked = await check(letter(f"<p>{choose}</p>"), pieces(*breaks, *own), told, rejects.append)

    assert (checked.leads, checked.failed, len(rejects)) == (len(breaks) + len(own),) * 3
    assert shares == sorted(shares)
    assert checked.share == 1.0
    (broken,) = [group for reason, group in checked.groups.items() if "U+" in reason or "control character" in reason]
    assert (broken.leads, len(broken.examples)) == (len(breaks), EXAMPLES)
    assert len(checked.groups) == MOST_REASONS + 1
    assert checked.groups[OTHERS].leads == 6
    assert checked.by_frequency()[0][1].leads == len(breaks)


async def test_each_lead_that_fits_comes_once_in_any_chunks(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    try:
        await campaigns.prepare(owner, 50)
        await owner.execute("INSERT INTO mailworkers.lead_lists (name) VALUES ('some')")
        await owner.execute(
            "INSERT INTO mailworkers.lead_list_members SELECT 1, id FROM mailworkers.leads WHERE id % 3 > 0"
        )
        await owner.execute("UPDATE mailworkers.leads SET status = 'bounced' WHERE id = 5")
        where = "id <> 5 AND data ->> 'city' = 'Bonn'"
        everywhere = await campaigns.create(owner, "everywhere", only='{"city": "Bonn"}')
        listed = await campaigns.create(owner, "listed", only='{"city": "Bonn"}', on="some")
        started = await campaigns.start(owner, "started")
        await owner.execute("INSERT INTO mailworkers.leads (email) VALUES ('late@a.example')")
        expected = {
            everywhere: f"SELECT id FROM mailworkers.leads WHERE {where} ORDER BY id",
            listed: f"SELECT id FROM mailworkers.leads WHERE {where} AND id % 3 > 0 ORDER BY id",
            started: "SELECT id FROM mailworkers.leads WHERE id <> 5 AND email <> 'late@a.example' ORDER BY id",
        }
        for size in (1, 7, 50, 1000):
            monkeypatch.setattr(audience, "CHUNK", size)
            for campaign, query in expected.items():
                target = await target_of(database, campaign)
                came = [(leads, share) async for leads, share in chunks(database.claims, target)]
                assert [lead.lead_id for leads, _ in came for lead in leads] == [
                    row["id"] for row in await owner.fetch(query)
                ]
                assert came[-1][1] <= 1.0
    finally:
        await owner.close(timeout=CONNECT_SECONDS)
