"""Stored templates: versions that never change, who may save them, and what a daemon keeps of them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import asyncpg
import pytest

from mailworkers.db.pool import Database
from mailworkers.errors import ComposeError, TemplateError, TemplateNotReady
from mailworkers.mail.templates import Letter, Missing, TemplateSource, compile_template, rendered
from mailworkers.queue import templates
from mailworkers.queue.insert import RowRefused
from mailworkers.queue.templates import FRESH_SECONDS, Reference, Shelf, list_templates, read, save
from tests.support.clock import Clock

SAVE = "SELECT mailworkers.save_template($1, $2, $3, $4, $5)"


def source(subject: str = "Hello {{ name }}", text: str | None = "Hi {{ name }}", **more: Any) -> TemplateSource:
    return TemplateSource("welcome", 0, subject, text, **more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf(database: Database, clock: Clock) -> Shelf:
    return Shelf(database.claims, clock)


# ---------------------------------------------------------------- the table


async def test_each_save_makes_the_next_version(database: Database) -> None:
    assert await save(database, "default", source()) == 1
    assert await save(database, "default", source("Hello again")) == 2
    assert await save(database, "other", source()) == 1

    first = await read(database.claims, "default", Reference("welcome", 1))
    newest = await read(database.claims, "default", Reference("welcome"))
    assert first == TemplateSource("welcome", 1, "Hello {{ name }}", "Hi {{ name }}")
    assert newest == TemplateSource("welcome", 2, "Hello again", "Hi {{ name }}")
    assert await read(database.claims, "default", Reference("welcome", 3)) is None
    assert await read(database.claims, "third", Reference("welcome")) is None


async def test_saving_what_is_saved_makes_no_version(database: Database) -> None:
    await save(database, "default", source())

    assert await save(database, "default", source()) == 1
    assert await save(database, "default", source(missing=Missing.BLANK)) == 2
    assert await save(database, "default", source()) == 3


async def test_saves_at_once_follow_each_other(database: Database) -> None:
    async with asyncio.TaskGroup() as group:
        saving = [group.create_task(save(database, "default", source(f"Hello {n}"))) for n in range(10)]

    assert sorted(task.result() for task in saving) == list(range(1, 11))


async def test_a_version_never_changes(database_url: str, database: Database) -> None:
    await save(database, "default", source())
    owner = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    try:
        with pytest.raises(
            asyncpg.IntegrityConstraintViolationError, match="version 1 of template 'welcome' never changes"
        ):
            await owner.execute("UPDATE mailworkers.templates SET subject = 'x'")
    finally:
        await owner.close(timeout=10)


async def test_an_application_saves_by_the_function_alone(app_connection: Any) -> None:
    assert await app_connection.fetchval(SAVE, "default", "welcome", "Hello", "Hi", None) == 1

    for statement in ("SELECT * FROM mailworkers.templates", "DELETE FROM mailworkers.templates",
                      "INSERT INTO mailworkers.templates SELECT * FROM mailworkers.templates"):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app_connection.execute(statement)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (("", "a", "s", "t", None), "workspace_id must be one line of 1 to 100 characters"),
        (("w", "a b", "s", "t", None), "name: 1 to 100 letters, digits, dots, hyphens, underscores"),
        (("w", "a@1", "s", "t", None), "name: 1 to 100 letters, digits, dots, hyphens, underscores"),
        (("w", "", "s", "t", None), "name: 1 to 100 letters, digits, dots, hyphens, underscores"),
        (("w", "a", "s\r\nBcc: x", "t", None), "subject must be one line of 1 to 1000 characters"),
        (("w", "a", "", "t", None), "subject must be one line of 1 to 1000 characters"),
        (("w", "a", "s", None, None), "a template needs text_body or html_body"),
        (("w", "a", "s", "t" * 262_145, None), "text_body and html_body have at most 262144 characters each"),
    ],
)
async def test_a_bad_template_is_refused_with_the_reason(
    app_connection: Any, values: tuple[Any, ...], why: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await app_connection.fetchval(SAVE, *values)
    assert refused.value.constraint_name == why


async def test_what_no_daemon_could_render_is_not_saved(database: Database) -> None:
    with pytest.raises(TemplateError, match="there is no filter 'uper'"):
        await save(database, "default", source("{{ name|uper }}"))
    with pytest.raises(RowRefused, match=r"its name may have 1 to 100 letters.* Choose another name"):
        await save(database, "default", TemplateSource("a b", 0, "s", "t"))
    with pytest.raises(RowRefused, match=r'"welcome" .* in workspace "": workspace_id .* Give another --workspace'):
        await save(database, "", TemplateSource("welcome", 0, "s", "t"))
    with pytest.raises(RowRefused, match="it holds a zero byte"):
        await save(database, "default", TemplateSource("welcome", 0, "s", "a\0b"))

    assert await read(database.claims, "default", Reference("welcome")) is None


async def test_lists_show_the_newest_versions(database: Database) -> None:
    for workspace, name in (("b", "two"), ("a", "one"), ("b", "one"), ("b", "two")):
        await save(database, workspace, TemplateSource(name, 0, f"{workspace} {name}", "t"))
    await save(database, "b", TemplateSource("two", 0, "new", None, "<p>Hi</p>"))

    lines = await list_templates(database.claims, None, 10)

    assert [(line.workspace, line.name, line.version) for line in lines] == [
        ("a", "one", 1),
        ("b", "one", 1),
        ("b", "two", 2),
    ]
    assert (lines[2].subject, lines[2].has_text, lines[2].has_html, lines[2].missing) == ("new", False, True, "error")
    assert [line.name for line in await list_templates(database.claims, "b", 10)] == ["one", "two"]
    assert len(await list_templates(database.claims, None, 2)) == 2
    assert await list_templates(database.claims, "c", 10) == []


# ---------------------------------------------------------------- the shelf


@pytest.mark.parametrize(
    ("text", "reference"),
    [("welcome", Reference("welcome")), ("welcome@3", Reference("welcome", 3)), ("a.b-c@12", Reference("a.b-c", 12))],
)
def test_references(text: str, reference: Reference) -> None:
    assert Reference.parse(text) == reference


@pytest.mark.parametrize(
    "text", ["welcome@", "welcome@0", "welcome@new", "a@b@1", "welcome@-1", "welcome@9999999999", "w@٣"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="has no version behind its @"):
        Reference.parse(text)


async def test_an_edit_acts_within_a_second(database: Database, shelf: Shelf, clock: Clock) -> None:
    await save(database, "default", source("One"))
    first = await shelf.letter("default", "welcome")
    await save(database, "default", source("Two"))

    assert FRESH_SECONDS < 1
    assert shelf.at_hand("default", "welcome") is first
    clock.now += FRESH_SECONDS
    assert shelf.at_hand("default", "welcome") is None
    assert (await shelf.letter("default", "welcome")).source.subject == "Two"
    assert (await shelf.letter("default", "welcome@1")).source.subject == "One"


async def test_a_letter_is_compiled_once_a_version(
    database: Database, shelf: Shelf, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(database, "default", source())
    compiled: list[TemplateSource] = []

    def counting(given: TemplateSource) -> Letter:
        compiled.append(given)
        return compile_template(given)

    monkeypatch.setattr(templates, "compile_template", counting)

    letters = await asyncio.gather(*(shelf.letter("default", "welcome") for _ in range(10)))
    clock.now += 10
    again = await shelf.letter("default", "welcome")

    assert {id(letter) for letter in letters} == {id(again)}
    assert len(compiled) == 1


async def test_a_named_version_is_asked_for_once(database: Database, shelf: Shelf, clock: Clock) -> None:
    await save(database, "default", source())
    letter = await shelf.letter("default", "welcome@1")
    before = database.statements
    clock.now += 3600

    assert await shelf.letter("default", "welcome@1") is letter
    assert shelf.lasting("default", "welcome@1") is letter
    assert shelf.lasting("default", "welcome") is None
    assert database.statements == before


async def test_a_template_that_did_not_exist_is_found_as_soon_as_it_does(database: Database, shelf: Shelf) -> None:
    for reference in ("welcome", "welcome@1"):
        with pytest.raises(ComposeError, match=f'template "{reference}" does not exist in workspace "default"'):
            await shelf.letter("default", reference)

    await save(database, "default", source())

    assert (await shelf.letter("default", "welcome")).source.version == 1
    assert (await shelf.letter("default", "welcome@1")).source.version == 1
    with pytest.raises(ComposeError):
        await shelf.letter("other", "welcome")


async def test_a_bad_template_is_compiled_once_too(
    app_connection: Any, database: Database, shelf: Shelf, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given one that an application saved past every check, when jobs name it, then each gets the reason at no cost."""
    await app_connection.fetchval(SAVE, "default", "welcome", "{{ x", "Hi", None)
    with pytest.raises(TemplateError, match='template "welcome@1", subject line 1: '):
        await shelf.letter("default", "welcome")
    monkeypatch.setattr(templates, "compile_template", None)
    clock.now += 10

    with pytest.raises(TemplateError, match='template "welcome@1", subject line 1: '):
        await shelf.letter("default", "welcome")
    monkeypatch.undo()
    await save(database, "default", source())
    clock.now += 10
    assert (await shelf.letter("default", "welcome")).source.version == 2


async def test_the_shelf_is_bounded(database: Database, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 5):
        await save(database, "default", source(f"{number}"))
    monkeypatch.setattr(templates, "KEPT_LETTERS", 2)

    for number in (1, 2, 1, 3):
        await shelf.letter("default", f"welcome@{number}")
    assert [shelf.at_hand("default", f"welcome@{n}") is not None for n in (1, 2, 3)] == [True, False, True]

    monkeypatch.setattr(templates, "KEPT_CHARS", 5)
    await shelf.letter("default", "welcome@4")
    assert [shelf.at_hand("default", f"welcome@{n}") is not None for n in (1, 3, 4)] == [False, False, True]


async def test_a_compilation_that_hangs_ends(database: Database, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    await save(database, "default", source())
    go_on = threading.Event()

    def hang(wanted: TemplateSource) -> Letter:
        go_on.wait(10)
        return compile_template(wanted)

    monkeypatch.setattr(templates, "compile_template", hang)
    monkeypatch.setattr(templates, "COMPILE_SECONDS", 0.01)
    with pytest.raises(TemplateNotReady, match=r"could not be compiled within 0\.01 s"):
        await shelf.letter("default", "welcome@1")

    # and the machine's trouble is not held against the template
    go_on.set()
    monkeypatch.setattr(templates, "COMPILE_SECONDS", 10)
    assert (await shelf.letter("default", "welcome@1")).render({"name": "Ann"}).subject


# ---------------------------------------------------------------- a campaign's variables

REVISION = "INSERT INTO mailworkers.campaign_revisions (campaign_id, revision, template, data) VALUES ($1, $2, 'welcome@1', $3)"
CAMPAIGN = "SELECT mailworkers.create_campaign('autumn', 'welcome', workspace_id => $1)"


@pytest.mark.parametrize("text", ["welcome", "welcome@3", "welcome@3+17.2"])
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(Reference.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["welcome@3+17", "welcome@3+0.1", "welcome@3+17.0", "welcome@+17.2", "welcome@3+1.2.3"]
)
def test_half_a_reference_to_a_campaign_is_none(text: str) -> None:
    with pytest.raises(TemplateError, match="has no version behind its @"):
        Reference.parse(text)


async def test_mails_of_a_campaign_see_its_variables_below_their_own(database: Database, shelf: Shelf) -> None:
    # given a template, and a campaign whose variables were changed once
    await save(database, "default", source("{{ shop }}: {{ name }}"))
    async with database.claims.connection("a test") as connection:
        campaign = await connection.fetchval(CAMPAIGN, "default")
        await connection.execute(REVISION, campaign, 1, '{"shop": "Nord", "name": "reader"}')
        await connection.execute(REVISION, campaign, 2, '{"shop": "Süd", "name": "reader"}')
    row = {"to_email": "ann@example.org", "to_name": None, "subject": None, "data": "{}"}

    # when both revisions are asked for
    first = await shelf.letter("default", f"welcome@1+{campaign}.1")
    second = await shelf.letter("default", f"welcome@1+{campaign}.2")
    asked = database.claims.statements

    # then each has its own, a mail's come first, and nothing is asked twice
    assert rendered(row, first).subject == "Nord: reader"
    assert rendered({**row, "data": '{"name": "Ann"}'}, second).subject == "Süd: Ann"
    assert shelf.lasting("default", f"welcome@1+{campaign}.2") is second
    assert await shelf.letter("default", f"welcome@1+{campaign}.1") is first
    assert database.claims.statements == asked
    # and the template was compiled once
    assert first.source is second.source is (await shelf.letter("default", "welcome@1")).source


async def test_no_other_workspace_sees_a_campaigns_variables(database: Database, shelf: Shelf) -> None:
    await save(database, "default", source())
    await save(database, "other", source())
    async with database.claims.connection("a test") as connection:
        campaign = await connection.fetchval(CAMPAIGN, "default")
        await connection.execute(REVISION, campaign, 1, '{"name": "secret"}')

    with pytest.raises(TemplateError, match=f'campaign {campaign} has no revision 1 in workspace "other"'):
        await shelf.letter("other", f"welcome@1+{campaign}.1")
    assert await shelf.letter("default", f"welcome@1+{campaign}.1")
