"""What the campaign commands show: one campaign, many of them, and those under way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.markup import escape

from mailworkers.campaigns.moments import here, told
from mailworkers.campaigns.progress import Campaign, Progress
from mailworkers.cli.output import facts, span, table
from mailworkers.queue.overview import CampaignLine

COLOURS = {
    "running": "cyan", "finished": "green", "paused": "yellow", "scheduled": "yellow", "cancelling": "yellow",
    "cancelled": "dim", "draft": "", "stopped": "red",
}  # fmt: skip
OUTCOMES = ("sent", "failed", "abandoned", "cancelled", "suppressed", "unknown")
DATA_CHARS = 300  # of its variables, on the screen


def state(status: str) -> str:
    """A campaign's state in its colour."""
    colour = COLOURS.get(status, "")
    return f"[{colour}]{status}[/{colour}]" if colour else status


def campaigns_table(lines: Sequence[Progress], now: datetime) -> RenderableType:
    """One line each."""
    columns = ("id#", "name", "workspace", "status", "sent#", "of#", "not sent#", "waiting#", "mails/s#", "when")
    return table(columns, [_line(one, now) for one in lines])


def _line(one: Progress, now: datetime) -> tuple[str, ...]:
    return (
        str(one.campaign_id),
        escape(one.name),
        escape(one.workspace),
        state(one.status),
        f"{one.sent:,}",
        "" if one.expected is None else f"{one.expected:,}",
        f"{one.done - one.sent:,}",
        f"{one.live:,}",
        "" if not one.mails_per_second else f"{one.mails_per_second:,.0f}",
        when(one, now),
    )


def when(one: Progress, now: datetime) -> str:
    """What time says of a campaign, in a few words."""
    if one.finished_at is not None:
        return f"{one.status} {span(max(0.0, (now - one.finished_at).total_seconds()))} ago"
    if one.status == "scheduled" and one.start_at is not None:
        return f"starts {told(here(one.start_at))}"
    if one.ends_at is not None:
        return f"ends in about {span(max(0.0, (one.ends_at - now).total_seconds()))}"
    if one.started_at is not None:
        return f"started {span(max(0.0, (now - one.started_at).total_seconds()))} ago"
    return ""


def under_way(lines: Sequence[CampaignLine], rates: Mapping[int, float], now: datetime) -> RenderableType | None:
    """Campaigns under way, one line each; None where there are none. `rates` of the last seconds go before those of all time."""
    if not lines:
        return None
    columns = ("id#", "name", "workspace", "status", "sent#", "of#", "mails/s#", "")
    return table(columns, [_under_way(one, rates.get(one.campaign_id, one.mails_per_second), now) for one in lines])


def _under_way(one: CampaignLine, rate: float | None, now: datetime) -> tuple[str, ...]:
    if one.status == "scheduled" and one.start_at is not None:
        about = f"starts {told(here(one.start_at))}"
    elif one.status == "running" and one.ends_at is not None:
        about = f"ends in about {span(max(0.0, (one.ends_at - now).total_seconds()))}"
    else:
        about = one.why or ""
    expected = "" if one.expected is None else f"{one.expected:,}"
    speed = f"{rate:,.0f}" if rate and one.status == "running" else ""
    return (
        str(one.campaign_id), escape(one.name), escape(one.workspace), state(one.status), f"{one.sent:,}", expected, speed, escape(about),
    )  # fmt: skip


def campaign_facts(campaign: Campaign, progress: Progress, now: datetime) -> RenderableType:
    """All of one."""
    pairs = {
        "campaign": f"{campaign.campaign_id} {escape(campaign.name)}",
        "workspace": escape(campaign.workspace),
        "status": state(campaign.status) + (f": {escape(campaign.why)}" if campaign.why else ""),
        "template": escape(campaign.template) + (f", revision {campaign.revision}" if campaign.revision > 1 else ""),
        "goes to": escape(audience_told(campaign)),
        "from": escape(_sender(campaign)),
        "reply to": escape(campaign.reply_to or ""),
        "headers": escape("; ".join(f"{name}: {value}" for name, value in (campaign.headers or {}).items())),
        "variables": escape(_short(json.dumps(campaign.data, ensure_ascii=False))) if campaign.data else "",
        "priority": f"{campaign.priority}, {campaign.max_retries} retries",
        "created": told(here(campaign.created_at)),
        "starts": told(here(campaign.start_at)) if campaign.start_at and not progress.started_at else "",
        "started": told(here(progress.started_at)) if progress.started_at else "",
        "ended": told(here(progress.finished_at)) if progress.finished_at else "",
        **_counts(progress, now),
    }
    return facts({name: value for name, value in pairs.items() if value})


def audience_told(campaign: Campaign) -> str:
    """Whom it goes to, in words."""
    parts = []
    if campaign.list_name is not None:
        parts.append(f"list {campaign.list_name}")
    if campaign.segment is not None:
        parts.append(f"segment {campaign.segment}")
    if campaign.filter:
        parts.append(json.dumps(campaign.filter, ensure_ascii=False))
    return ", ".join(parts) or "all leads of the workspace"


def outcomes_told(progress: Progress) -> str:
    """Counts by outcome, without those that are 0 but for the mails sent."""
    counts = [(name, getattr(progress, name)) for name in OUTCOMES]
    return ", ".join(f"{count:,} {name}" for name, count in counts if count or name == "sent")


def _counts(progress: Progress, now: datetime) -> dict[str, str]:
    if progress.started_at is None:
        return {}
    expected = "counting" if progress.expected is None else f"{progress.expected:,}"
    speed = "" if not progress.mails_per_second else f"{progress.mails_per_second:,.0f} mails/s without pauses"
    ends = "" if progress.ends_at is None else f"in about {span(max(0.0, (progress.ends_at - now).total_seconds()))}"
    return {
        "leads": f"{expected} to write to; {progress.looked_at:,} looked at, {progress.skipped:,} of them passed over",
        "mails": f"{outcomes_told(progress)}; {progress.live:,} waiting or in flight",
        "speed": speed,
        "ends": ends,
    }


def _sender(campaign: Campaign) -> str:
    if campaign.from_email is None:
        return "as the daemon's settings say"
    return f"{campaign.from_name} <{campaign.from_email}>" if campaign.from_name else campaign.from_email


def _short(text: str) -> str:
    return text if len(text) <= DATA_CHARS else text[: DATA_CHARS - 1] + "…"
