"""The keys that scripts rely on are those that docs/scripts.md names."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from mailworkers.campaigns.failures import NotSent
from mailworkers.campaigns.progress import Campaign, Progress
from mailworkers.campaigns.segments import Segment
from mailworkers.destinations.table import DomainLine, GroupLine
from mailworkers.doctor.finding import Finding
from mailworkers.leads.records import ImportLine, Lead, ListLine
from mailworkers.limits.table import LimitLine
from mailworkers.mail.templates import Rendered, TemplateSource
from mailworkers.queue.follow import Followed
from mailworkers.queue.overview import CampaignLine, DaemonLine, FailureLine, Figures, LoweredLine, Overview, WorkerLine
from mailworkers.queue.records import Attempt, JobLine
from mailworkers.queue.templates import TemplateLine
from mailworkers.queue.workspaces import WorkspaceLine
from mailworkers.warming.records import QuotaLine, ScheduleLine, WarmUpLine
from mailworkers.web.ask import Complaint, LocalDaemon
from tests.support.program import PROJECT

DOCUMENT = (PROJECT / "docs" / "scripts.md").read_text(encoding="utf-8")
# A figure to divide by, which says nothing of a worker.
UNDOCUMENTED = {"daemon_up"}


def section(title: str) -> set[str]:
    """The words in code style below a heading."""
    body = re.split(rf"^## .*{title}.*$", DOCUMENT, flags=re.MULTILINE)[1].partition("\n## ")[0]
    return {word.removesuffix("[]") for word in re.findall(r"`([a-z_\-]+(?:\[\])?)`", body)}


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("status", Overview),
        ("status", Figures),
        ("status", DaemonLine),
        ("status", WorkerLine),
        ("status", FailureLine),
        ("status", LocalDaemon),
        ("status", Complaint),
        ("status", CampaignLine),
        ("status", LoweredLine),
        ("limits", LimitLine),
        ("jobs", JobLine),
        ("jobs", Attempt),
        ("doctor", Finding),
        ("leads", ImportLine),
        ("leads", Lead),
        ("leads", ListLine),
        ("destinations", GroupLine),
        ("destinations", DomainLine),
        ("campaign", Campaign),
        ("campaign", NotSent),
        ("campaign", Progress),
        ("campaign", Segment),
        ("warmup", ScheduleLine),
        ("warmup", QuotaLine),
        ("warmup", WarmUpLine),
        ("workspaces", WorkspaceLine),
        ("templates", TemplateLine),
        ("templates", TemplateSource),
        ("templates", Rendered),
    ],
)
def test_every_key_is_documented(title: str, kind: type) -> None:
    # What two of them are not compared by is how they were made, and not shown.
    assert {field.name for field in fields(kind) if field.compare} - UNDOCUMENTED <= section(title)


def test_every_outcome_of_send_is_documented() -> None:
    assert {outcome.value for outcome in Followed} <= section("send")
