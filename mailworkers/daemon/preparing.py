"""From a claimed job to a mail that a transport can take, or to the reason why it never will be one.

Small mails, which nearly all are, are composed on the event loop, where that takes microseconds; large ones beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import structlog

from mailworkers.daemon import aside
from mailworkers.db.pool import Gateway
from mailworkers.errors import ComposeError
from mailworkers.frozen import frozen
from mailworkers.mail.composer import Headed, finished, headed
from mailworkers.mail.message import Attachment, WireMail
from mailworkers.mail.row import NO_BLOBS, SenderDefaults, blob_ids, message_from_row
from mailworkers.mail.templates import Letter, Rendered, rendered
from mailworkers.queue.blobs import blobs_of
from mailworkers.queue.states import End, Ended, Failure, Job
from mailworkers.queue.templates import Shelf
from mailworkers.replies import FailureClass, Stage

SEND_EMAIL = "send-email"

# Jobs composed with the one whose turn it is. One by one, between the writes and reads of a conversation, composing takes
# half as long again, since the processor has to fetch its code and data anew each time. More at once would keep
# replies waiting for longer than a millisecond.
AHEAD_JOBS = 40
MOST_AHEAD = 200  # with those whose turn was put off, which may never come back
AHEAD_CHARACTERS = 32 * 1024  # of one job's content: what is composed ahead is in memory twice

# Seconds after which no further letter is rendered ahead: a hostile template takes a thousand times as long as a usual one.
AHEAD_SECONDS = 0.005

# Characters of content from which on a mail is composed in a thread. At up to 15 µs a kilobyte this is 4 ms, as long as the
# others may well wait; the way to a thread and back costs 0.1 ms, which is too much for each small mail.
LARGE_CHARACTERS = 256 * 1024

Key = tuple[int, int]  # a job and its lease
_Result = TypeVar("_Result")

log = structlog.get_logger(__name__)


@frozen
class Prepared:
    """A composed mail and the Message-ID that goes into the record."""

    mail: WireMail
    message_id: str


@frozen
class _Draft:
    """A job, the letter that its template means, and the blobs that its attachments refer to."""

    job: Job
    letter: Letter | None
    blobs: Mapping[int, Attachment]


class Preparing:
    """Composes the mails of one daemon.

    Args:
        gateway: for templates, and for attachments by reference.
        sender: gives the address of rows that name none, as the settings have it now.
        upcoming: gives the next so many jobs of the line.
    """

    def __init__(
        self, gateway: Gateway, sender: Callable[[], SenderDefaults], upcoming: Callable[[int], Iterable[Job]]
    ) -> None:
        self._gateway = gateway
        self._sender = sender
        self._upcoming = upcoming
        self._shelf = Shelf(gateway)
        self._aside = aside.Aside()
        self._ahead: dict[Key, Prepared | Ended] = {}

    async def prepare(self, job: Job) -> Prepared | Ended:
        """Compose the job's mail.

        Raises:
            MemoryError: there is not enough of it just now.
            TemplateNotReady: its template could not be compiled in time; the job is not to blame.
            DatabaseUnavailable, DatabaseRefused: its template or its attachments could not be read; the job is not to blame.
        """
        prepared = self._ahead.pop((job.id, job.lease), None)
        if prepared is not None:
            return prepared
        try:
            letter = await self._letter(job)
            if _is_small(job):
                return self._composed_with_the_next(_Draft(job, letter, NO_BLOBS))
            blobs = await self._blobs(job)
            draft = _Draft(job, letter, blobs)
            if job.size + sum(len(blob.content) for blob in blobs.values()) <= LARGE_CHARACTERS:
                return self._composed(draft)
            return await self._aside.run(lambda: self._composed(draft))
        except ComposeError as bad:
            return _never(job, str(bad))
        except TimeoutError:
            log.error("composing took too long", job=job.id)  # noqa: TRY400 -- where it hangs is not known here
            return _never(job, f"composing took more than {aside.LONGEST_SECONDS:g} s", FailureClass.SYSTEM)

    def keep(self, job: Job, prepared: Prepared) -> None:
        """A composed mail that could not be begun: its job waits for another turn. A large one does so uncomposed."""
        if _is_small(job):
            if len(self._ahead) >= MOST_AHEAD:
                self._ahead = {}
            self._ahead[job.id, job.lease] = prepared

    def drop_ahead(self) -> None:
        """Let go what was composed ahead of its turn: the settings that it was composed with are in force no more."""
        self._ahead = {}

    async def _letter(self, job: Job) -> Letter | None:
        reference = job.row["template"]
        if reference is None or job.job_type != SEND_EMAIL:
            return None
        at_hand = self._shelf.at_hand(job.lane.workspace_id, reference)
        return at_hand or await self._shelf.letter(job.lane.workspace_id, reference)

    async def _blobs(self, job: Job) -> Mapping[int, Attachment]:
        """What the row's attachments refer to. They are looked through only where one does: that may be 40 MB of JSON."""
        attachments = job.row["attachments"]
        if attachments is None or '"blob_id"' not in attachments:
            return NO_BLOBS
        wanted = blob_ids(job.row) if job.size <= LARGE_CHARACTERS else await self._aside.run(lambda: blob_ids(job.row))
        return await blobs_of(wanted, job.lane.workspace_id, self._gateway)

    def _composed_with_the_next(self, draft: _Draft) -> Prepared | Ended:
        """This one, and with it the next small jobs of the line."""
        before, self._ahead = self._ahead, {}
        drafts = [draft, *self._next_drafts(before)]
        try:
            composed, *others = self._composed_together(drafts)
        except MemoryError:  # each of the others meets it in its own turn
            return self._composed(draft)
        for other, mail in zip(islice(drafts, 1, None), others, strict=False):
            self._ahead[_key(other.job)] = mail
        return composed

    def _next_drafts(self, before: Mapping[Key, Prepared | Ended]) -> Iterable[_Draft]:
        """Of jobs with a template, those that name a version which is at hand. What was composed before is kept and not composed
        again: where the line has changed, most of it comes a little later."""
        for job in self._upcoming(AHEAD_JOBS):
            key = _key(job)
            reference = job.row["template"]
            if key in before:
                self._ahead[key] = before[key]
            elif not _is_small(job):
                continue
            elif reference is None:
                yield _Draft(job, None, NO_BLOBS)
            elif letter := self._shelf.lasting(job.lane.workspace_id, reference):
                yield _Draft(job, letter, NO_BLOBS)

    def _composed(self, draft: _Draft) -> Prepared | Ended:
        return self._composed_together([draft])[0]

    def _composed_together(self, drafts: Sequence[_Draft]) -> Sequence[Prepared | Ended]:
        """The first of them, and as many others as could be rendered in time.

        All are rendered, then all heads are written, then all bodies. One mail after the other takes a quarter to two fifths
        longer: each of the three is more code than the processor's nearest cache holds beside the others.
        """
        until = time.perf_counter() + AHEAD_SECONDS
        says: list[Rendered | Ended | None] = []
        for draft in drafts:
            if says and time.perf_counter() > until:
                break
            says.append(_tried(draft.job, _said, draft))
        begun = [_tried(draft.job, self._begun, draft, said) for draft, said in zip(drafts, says, strict=False)]
        return [_tried(draft.job, _ready, each) for draft, each in zip(drafts, begun, strict=False)]

    def _begun(self, draft: _Draft, says: Rendered | None) -> Headed:
        return headed(message_from_row(draft.job.row, self._sender(), draft.blobs, says))


def _said(draft: _Draft) -> Rendered | None:
    job = draft.job
    if job.job_type != SEND_EMAIL:
        raise ComposeError(f"no handler for job_type {job.job_type!r}: this daemon knows {SEND_EMAIL!r}")
    return None if draft.letter is None else rendered(job.row, draft.letter)


def _ready(begun: Headed) -> Prepared:
    return Prepared(finished(begun), begun.message.message_id)


def _tried(job: Job, step: Callable[..., _Result], *given: object) -> _Result | Ended:
    """What a step makes of what the one before gave, which comes last; or why the job will never be a mail."""
    before = given[-1]
    if isinstance(before, Ended):
        return before
    try:
        return step(*given)
    except ComposeError as bad:
        return _never(job, str(bad))
    except MemoryError:  # this machine's trouble, not the row's
        raise
    except Exception as bug:  # one row that meets a bug of ours must not end the daemon
        log.exception("composing met a bug", job=job.id)
        return _never(job, f"composing failed unexpectedly: {type(bug).__name__}: {bug}", FailureClass.SYSTEM)


def _key(job: Job) -> Key:
    return job.id, job.lease


def _is_small(job: Job) -> bool:
    """Whether it can be composed at once, and ahead of its turn."""
    return job.row["attachments"] is None and job.size <= AHEAD_CHARACTERS


def _never(job: Job, text: str, failure: FailureClass = FailureClass.DATA) -> Ended:
    return Ended(job, End.FAILED, Failure(failure, text, stage=Stage.COMPOSE))
