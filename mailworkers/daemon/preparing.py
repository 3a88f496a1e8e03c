"""From a claimed job to a mail that a transport can take, or to the reason why it never will be one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from mailworkers.db.pool import Gateway
from mailworkers.errors import ComposeError, DatabaseError
from mailworkers.mail.composer import compose
from mailworkers.mail.message import WireMail
from mailworkers.mail.row import SenderDefaults, message_from_row
from mailworkers.queue.blobs import blobs_of
from mailworkers.queue.states import End, Ended, Failure, Job
from mailworkers.replies import FailureClass, Stage

SEND_EMAIL = "send-email"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A composed mail and the Message-ID that goes into the record."""

    mail: WireMail
    message_id: str


class Preparing:
    """Composes the mails of one daemon.

    Args:
        gateway: for attachments by reference.
        sender: gives the address of rows that name none, as the settings have it now.
    """

    def __init__(self, gateway: Gateway, sender: Callable[[], SenderDefaults]) -> None:
        self._gateway = gateway
        self._sender = sender

    async def prepare(self, job: Job) -> Prepared | Ended:
        """Compose the job's mail.

        Raises:
            DatabaseUnavailable, DatabaseRefused: its attachments could not be read; the job is not to blame.
        """
        if job.job_type != SEND_EMAIL:
            return _never(job, f"no handler for job_type {job.job_type!r}: this daemon knows {SEND_EMAIL!r}")
        try:
            blobs = await blobs_of(job, self._gateway) if job.row["attachments"] is not None else {}
            message = message_from_row(job.row, self._sender(), blobs)
            return Prepared(compose(message), message.message_id)
        except ComposeError as bad:
            return _never(job, str(bad))
        except DatabaseError:
            raise
        except Exception as bug:  # one row that meets a bug of ours must not end the daemon
            log.exception("composing met a bug", job=job.id)
            return _never(job, f"composing failed unexpectedly: {type(bug).__name__}: {bug}", FailureClass.SYSTEM)


def _never(job: Job, text: str, failure: FailureClass = FailureClass.DATA) -> Ended:
    return Ended(job, End.FAILED, Failure(failure, text, stage=Stage.COMPOSE))
