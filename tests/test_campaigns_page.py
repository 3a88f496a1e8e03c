"""docs/campaigns.md is true: a reader who runs its commands in their order sees what it says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mailworkers.campaigns.words import filter_of
from mailworkers.cli.campaign import app
from tests.support.daemon import free_port
from tests.support.program import PROJECT, environment

PAGE = (PROJECT / "docs" / "campaigns.md").read_text(encoding="utf-8")
TEMPLATES = (PROJECT / "docs" / "templates.md").read_text(encoding="utf-8")
LEADS_PART, _, CAMPAIGNS = PAGE.partition("\n## Campaigns\n")
STORY_SECONDS = 120.0  # a busy machine's worst
LEADS = 952
REFUSED = "mailworkers campaign check tide    # ends with code 1\n"
CONNECT_SECONDS = 10.0


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def story() -> str:
    """All commands of the part on campaigns, in their order, as one script that ends at the first that fails; the two that
    end what runs in the background come last."""
    commands = blocks(CAMPAIGNS, "sh")
    (last,) = [text for text in commands if text.startswith("kill ")]
    told = "".join([*(text for text in commands if text is not last), last])
    assert told.count(REFUSED) == 1
    return "set -e -m\n" + told.replace(REFUSED, "mailworkers campaign check tide && exit 3 || test $? -eq 1\n")


async def in_shell(script: str, folder: Path, database_url: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join((str(folder / "bin"), os.environ["PATH"]))
    variables = environment(DATABASE_URL=database_url, MAILWORKERS_HTTP_PORT="0", PATH=paths, COLUMNS="200")
    return await asyncio.to_thread(
        subprocess.run, ["bash", "-c", script], cwd=folder, env=variables, capture_output=True, text=True,
        timeout=STORY_SECONDS, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the reader is; `mailworkers` is this checkout's."""
    program = tmp_path / "bin" / "mailworkers"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mailworkers "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    yield connection
    await connection.close(timeout=CONNECT_SECONDS)


def pattern_of(line: str) -> str:
    """What finds a line of the page in an output whose blanks are single: times and speeds differ from run to run."""
    pattern = re.escape(" ".join(line.split()))
    for varying in (
        r"\d{4}\\-\d\d\\-\d\d\\ \d\d:\d\d:\d\d",  # a moment
        r"[\d,.\\]+(?=\\ s\b)",  # seconds
        r"[\d,]+(?=\\ (?:leads|mails)/s)",
        r"(?<=rows/s\\ )[\d,]+",
    ):
        pattern = re.sub(varying, r"[-\\d,.: ]+", pattern)
    return pattern


@pytest.mark.one_loop
async def test_a_reader_who_runs_its_commands_sees_what_it_says(folder: Path, database_url: str, owner: Any) -> None:
    """Given the page's commands as one script, when they run in their order, then none fails, the check says what stands on the
    page, each lead gets one mail, and its statements are ones that an application may run."""
    port = str(free_port())
    script = (
        story()
        .replace("capture --out", f"capture --port {port} --out")
        .replace("--smtp-port 1025", f"--smtp-port {port}")
    )
    assert script.count(port) == 2

    ran = await in_shell(script, folder, database_url)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = " ".join(ran.stdout.split())
    shown = [line for block in blocks(CAMPAIGNS, "text") for line in block.splitlines()]
    assert shown
    assert not [line for line in shown if not re.search(pattern_of(line), said)]
    assert "finished after" in said
    assert f"{LEADS} sent, of {LEADS}" in said
    assert f"Captured {LEADS} mails to {LEADS} recipients" in said
    assert len(list((folder / "tour" / "mails").iterdir())) == LEADS
    assert "List-Unsubscribe: <https://notes.example/leave>" in (folder / "tour" / "anna.eml").read_text("ascii")

    for statements in blocks(CAMPAIGNS, "sql"):
        await owner.execute("SET ROLE mailworkers_app")
        await owner.execute(statements)
    await owner.execute("RESET ROLE")
    assert await owner.fetchval("SELECT status FROM mailworkers.campaign_sends WHERE name = 'winter'") == "scheduled"


@pytest.mark.one_loop
async def test_a_reader_who_runs_the_examples_of_leads_and_templates_needs_no_files(
    folder: Path, database_url: str
) -> None:
    script = "set -e -o pipefail\n" + "".join([*blocks(LEADS_PART, "sh"), *blocks(TEMPLATES, "sh")])

    ran = await in_shell(script, folder, database_url)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "<b>Ann</b>" in (folder / "welcome.eml").read_text("ascii")


@pytest.mark.parametrize(
    ("where", "filter_"), re.findall(r"^\| (`[^|]*(?:\\\|[^|]*)*`) \| `(\{.*?\})` \|", CAMPAIGNS, re.MULTILINE)
)
def test_each_condition_makes_the_filter_beside_it(where: str, filter_: str) -> None:
    word = re.findall(r"`([^`]*)`", where)[0].strip("'").replace("\\|", "|")
    assert filter_of([word]) == json.loads(filter_)


def test_every_campaign_command_is_on_the_page() -> None:
    names = {command.name for command in app.registered_commands if command.name}
    missing = {
        name
        for name in names
        if not re.search(rf"(campaign |· )`?{name}\b", CAMPAIGNS) and f"`{name}`" not in CAMPAIGNS
    }
    assert len(names) == 14
    assert not missing
