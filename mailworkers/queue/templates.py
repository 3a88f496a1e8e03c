"""Stored templates: saving and reading versions, and the shelf of compiled ones that a daemon renders from.

A job's `template` names the newest version (`welcome`) or one for ever (`welcome@3`). Each attempt asks anew: a retry of a job
that names the newest sends what is right by then, so that a mistake mended in a template is mended in the mails that still
wait. Whoever needs every mail and every attempt to be of one version, as a campaign does, names it. A campaign's jobs name the
variables that they have in common as well: `welcome@3+17.2` is version 3 with those of campaign 17 in its revision 2, which never
change either, so that they cost no mail a question.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from mailworkers.db.pool import Database, Gateway
from mailworkers.errors import TemplateError, TemplateNotReady
from mailworkers.mail.templates import Letter, Missing, TemplateSource, compile_template, variables
from mailworkers.queue.insert import RowRefused, reason

FRESH_SECONDS = (
    0.5  # the newest version is asked for so often: an edit acts within a second, at two small queries a second
)
KEPT_LETTERS = 4096  # the templates of the campaigns and applications under way: a tenant has a few, of thousands
KEPT_CHARS = 8 * 1024 * 1024  # of their sources; compiled, a template takes about ten times its source
COMPILE_SECONDS = 10.0  # in a thread; the slowest that is accepted takes half a second
# What to do, by how a constraint's sentence begins.
_HINTS = (
    ("name", "Choose another name, such as welcome-2"),
    ("subject", "Give another --subject"),
    ("workspace_id", "Give another --workspace"),
    ("it holds a zero byte", "Save the letter's files as UTF-8 text"),
)
_PINNED = re.compile(r"([^@]*)@([1-9][0-9]{0,8})(?:\+([1-9][0-9]{0,17})\.([1-9][0-9]{0,8}))?")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a job's `template` names. `version` None: the newest. `campaign` None: with no variables but the job's own."""

    name: str
    version: int | None = None
    campaign: int | None = None
    revision: int | None = None

    def __str__(self) -> str:
        if self.campaign is not None:
            return f"{self.name}@{self.version}+{self.campaign}.{self.revision}"
        return self.name if self.version is None else f"{self.name}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """`welcome`, `welcome@3`, or `welcome@3+17.2` with the variables of campaign 17 in its revision 2.

        Raises:
            TemplateError: what stands behind the @ is no version.
        """
        pinned = _PINNED.fullmatch(text)
        if pinned and pinned[3]:
            return cls(pinned[1], int(pinned[2]), int(pinned[3]), int(pinned[4]))
        if pinned:
            return cls(pinned[1], int(pinned[2]))
        if "@" in text:
            raise TemplateError(f"template {shown(text)} has no version behind its @", "Write it as in welcome@3")
        return cls(text)


@dataclass(frozen=True, slots=True)
class TemplateLine:
    """One template in a list, at its newest version."""

    workspace: str
    name: str
    version: int
    created_at: datetime
    missing: str
    subject: str
    has_text: bool
    has_html: bool


async def save(database: Database, workspace_id: str, source: TemplateSource) -> int:
    """Save the next version and return its number; that of the newest where nothing has changed.

    It is compiled first: what no daemon could render is not saved.

    Raises:
        TemplateError: it is no template, or uses what is not allowed.
        RowRefused: a constraint says what is wrong with it.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    await _compiled(source)
    parts = (source.subject, source.text_body, source.html_body, source.missing.value)
    async with database.claims.connection("saving a template") as connection:
        try:
            return int(await connection.fetchval(database.queries["templates/save"], workspace_id, source.name, *parts))
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as refusal:
            raise _refused(source.name, workspace_id, reason(refusal)) from None


async def read(gateway: Gateway, workspace_id: str, reference: Reference) -> TemplateSource | None:
    """What is stored under a reference, or None. Raises as `Gateway.fetch`."""
    if reference.version is None:
        row = await gateway.fetchrow("templates/newest", workspace_id, reference.name, 0)
    else:
        row = await gateway.fetchrow("templates/version", workspace_id, reference.name, reference.version)
    return None if row is None else _source(reference.name, row)


async def find(gateway: Gateway, workspace_id: str, reference: Reference) -> TemplateSource:
    """As `read`, for one that must be there.

    Raises:
        TemplateError: it is not.
        DatabaseUnavailable, DatabaseRefused: as `Gateway.fetch`.
    """
    source = await read(gateway, workspace_id, reference)
    if source is None:
        raise _nowhere(str(reference), workspace_id)
    return source


async def list_templates(gateway: Gateway, workspace_id: str | None, limit: int) -> list[TemplateLine]:
    """The templates of a workspace, or of all, by name. Raises as `Gateway.fetch`."""
    return [TemplateLine(*row) for row in await gateway.fetch("templates/list", workspace_id, limit)]


# Of its own: the loop's executor also looks up names, and a silent name server must not keep letters waiting.
_compiler = ThreadPoolExecutor(max_workers=1, thread_name_prefix="templates")


@dataclass(slots=True)
class _Place:
    """What is known of one reference. `letter` None: nothing yet; `refusal` is kept too, so that a bad template that a
    million jobs name is compiled once."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    version: int = 0
    asked: float = float("-inf")
    letter: Letter | None = None
    refusal: tuple[str, str] | None = None
    chars: int = 0


class Shelf:
    """Compiled letters, the most recently used, bounded in number and size.

    Args:
        gateway: to the templates.
        clock: seconds that only grow.
    """

    def __init__(self, gateway: Gateway, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._places: OrderedDict[tuple[str, str], _Place] = OrderedDict()

    def at_hand(self, workspace_id: str, reference: str) -> Letter | None:
        """The letter, if it is here and fresh: no question to anybody."""
        place = self._places.get((workspace_id, reference))
        if place is None or place.letter is None or not self._is_fresh(place, reference):
            return None
        return place.letter

    def lasting(self, workspace_id: str, reference: str) -> Letter | None:
        """The letter, if it is here and of a named version: still the right one whenever the mail leaves."""
        return self.at_hand(workspace_id, reference) if "@" in reference else None

    async def letter(self, workspace_id: str, reference: str) -> Letter:
        """The letter that a job's `template` means at this moment.

        Raises:
            TemplateError: there is none, or it is no template. The job is to blame.
            TemplateNotReady: this machine was too slow. The job is not; nothing is kept of it.
            DatabaseUnavailable, DatabaseRefused: as `Gateway.fetch`. The job is not.
        """
        wanted = Reference.parse(reference)
        key = (workspace_id, reference)
        place = self._places.setdefault(key, _Place())
        self._places.move_to_end(key)
        async with place.lock:
            if not self._is_fresh(place, reference):
                await self._refresh(place, workspace_id, wanted)
        if place.refusal is not None:
            raise TemplateError(*place.refusal)
        if place.letter is None:
            self._places.pop(key, None)
            raise _nowhere(reference, workspace_id)
        return place.letter

    def _is_fresh(self, place: _Place, reference: str) -> bool:
        """A version is found once and never changes; that there is none is asked again each time."""
        if place.version == 0:
            return False
        return "@" in reference or self._clock() - place.asked < FRESH_SECONDS

    async def _refresh(self, place: _Place, workspace_id: str, wanted: Reference) -> None:
        if wanted.campaign is not None:
            await self._refresh_with_common(place, workspace_id, wanted)
            return
        asked = self._clock()
        if wanted.version is None:
            row = await self._gateway.fetchrow("templates/newest", workspace_id, wanted.name, place.version)
        else:
            row = await self._gateway.fetchrow("templates/version", workspace_id, wanted.name, wanted.version)
        if row is None:
            place.version, place.letter, place.refusal = 0, None, None
            return
        if row["version"] != place.version:
            source = _source(wanted.name, row)
            try:
                place.letter, place.refusal = await _compiled(source), None
            except TemplateError as bad:
                place.letter, place.refusal = None, (bad.message, bad.hint)
            place.version, place.chars = source.version, source.chars
            self._bound()
        place.asked = asked

    async def _refresh_with_common(self, place: _Place, workspace_id: str, wanted: Reference) -> None:
        """The plain version, compiled once for all campaigns and revisions that name it, with what is theirs."""
        plain = await self.letter(workspace_id, f"{wanted.name}@{wanted.version}")
        data = await self._gateway.fetchval("campaigns/revision", wanted.campaign, wanted.revision, workspace_id)
        if data is None:
            raise TemplateError(
                f"campaign {wanted.campaign} has no revision {wanted.revision} in workspace {shown(workspace_id)}",
                "Create jobs of a campaign by creating a campaign",
            )
        place.letter = await _beside(lambda: plain.with_common(variables(data)), plain.source)
        place.version, place.chars = plain.source.version, plain.source.chars + len(data)
        self._bound()

    def _bound(self) -> None:
        chars = sum(place.chars for place in self._places.values())
        while len(self._places) > KEPT_LETTERS or (chars > KEPT_CHARS and len(self._places) > 1):
            chars -= self._places.popitem(last=False)[1].chars


def _nowhere(reference: str, workspace_id: str) -> TemplateError:
    return TemplateError(
        f"template {shown(reference)} does not exist in workspace {shown(workspace_id)}",
        "Save it with `mailworkers templates save`",
    )


def _refused(name: str, workspace_id: str, why: str) -> RowRefused:
    hint = next((hint for begins, hint in _HINTS if why.startswith(begins)), "")
    return RowRefused(
        f"template {shown(name)} was not saved in workspace {shown(workspace_id)}: {why.replace('name: ', 'its name may have ')}",
        hint,
    )


def shown(name: str) -> str:
    """In double quotes, on one line whatever it holds."""
    return '"' + (name if name.isprintable() else ascii(name)[1:-1]) + '"'


def _source(name: str, row: Any) -> TemplateSource:
    return TemplateSource(
        name, row["version"], row["subject"], row["text_body"], row["html_body"], Missing(row["missing"])
    )


async def _compiled(source: TemplateSource) -> Letter:
    return await _beside(lambda: compile_template(source), source)


async def _beside(compiling: Callable[[], Letter], source: TemplateSource) -> Letter:
    """Beside the event loop, where the largest take half a second."""
    try:
        async with asyncio.timeout(COMPILE_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(_compiler, compiling)
    except TimeoutError:
        late = f'template "{source}" could not be compiled within {COMPILE_SECONDS:g} s'
        raise TemplateNotReady(late, "Look at what else this machine is doing") from None
