"""The end of the drain: what the database does not have yet is written, or it is said truly what is not."""

from __future__ import annotations

import time

import structlog

from mailworkers.queue.ack import AckWriter

LOOK_SECONDS = 0.1  # between two looks whether waiting still serves anything

log = structlog.get_logger(__name__)


async def write_last_results(acks: AckWriter, timeout: float) -> bool:
    """Wait until everything is written; False where results of attempts are lost, after the log has said how many.

    A result is worth the whole time, since a database may be back within it: each one lost is an attempt made again. A job
    that only goes back is worth none once a try has failed: it is freed all the same, when this daemon's lease ends.

    Args:
        acks: still running.
        timeout: seconds, for results.
    """
    end = time.monotonic() + timeout
    while not await acks.flush(LOOK_SECONDS):
        if acks.stalled and not acks.unwritten_results:
            break
        if time.monotonic() >= end:
            break
    results = acks.unwritten_results
    given_back = acks.unwritten - results
    if given_back:
        log.warning("jobs could not be given back: they run again when the lease has ended", jobs=given_back)
    if results:
        log.error("results could not be written: their mails run again", results=results)
    return not results
