"""What must hold after each step: that the database holds what the model holds, and, whatever the model says, the promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from tests.queue.lifecycle.model import message_id_of
from tests.queue.lifecycle.play import Play
from tests.queue.lifecycle.stage import Row


def check(play: Play) -> None:
    """Look at everything once, and check it.

    Raises:
        AssertionError: something is not as it must be.
    """
    live, ended = play.stage.run(play.stage.live()), play.stage.run(play.stage.ended())
    _check_against_the_model(play, live, ended)
    _check_promises(play, live, ended)


def _check_against_the_model(play: Play, live: Mapping[int, Row], ended: Sequence[Row]) -> None:
    """Row by row, in every table that a job leaves something in."""
    jobs = play.model.jobs.values()
    stage = play.stage
    assert live == {
        job.id: (
            job.status, job.attempts, job.rescues, job.lease, job.daemon_id, job.deadline, job.marked_at,
            job.scheduled_at, job.token, job.reply, job.put_off_since,
        )
        for job in jobs if job.live
    }  # fmt: skip
    assert sorted(row[:6] for row in ended) == [
        (job.id, job.status, job.attempts, job.finished_at, job.message_id, job.reply)
        for job in jobs
        if job.finished_at is not None and job.status is not None
    ]
    assert stage.run(stage.shown()) == [
        (job.id, job.status, job.attempts, job.scheduled_at, job.reply, job.message_id, job.finished_at)
        for job in jobs
        if job.status is not None
    ]
    assert stage.run(stage.keys()) == {key: job_id for key, (job_id, _) in play.model.keys.items()}
    assert stage.run(stage.failures()) == {job.id: job.failures for job in jobs if job.failures}
    assert stage.run(stage.figures()) == {key: dict(counts) for key, counts in play.model.figures.items()}
    assert stage.run(stage.ended_daemons()) == {one.id: one.ended_at for one in play.model.daemons.values()}


def _check_promises(play: Play, live: Mapping[int, Row], ended: Sequence[Row]) -> None:
    """Of the rows and the diary alone."""
    ends = {row[0]: row for row in ended}
    assert len(ends) == len(ended), "a job has two ends"
    assert not ends.keys() & live.keys(), "a job is live and has ended"
    for job in play.model.jobs.values():
        assert job.id in live or job.id in ends or job.status is None, f"job {job.id} is lost"
    for job_id, (status, attempts, _, lease, daemon_id, deadline, marked_at, _, token, *_) in live.items():
        job = play.model.jobs[job_id]
        assert (status == "sending") == (lease is not None) == (daemon_id is not None) == (deadline is not None)
        assert marked_at is None or status == "sending", "a mark outlives its lease"
        assert lease is None or lease == play.granted[job_id][-1], "a lease that was not granted last"
        assert attempts <= job.max_retries
        assert token == job.token
    for job_id, status, attempts, _, message_id, _, token in ended:
        job = play.model.jobs[job_id]
        assert attempts <= job.max_retries + 1
        assert message_id in (None, "", message_id_of(job.token))
        assert token is None or UUID(token) == job.token
        assert (token is None) == (status == "sent"), "what was not sent is kept whole"
        assert status != "sent" or play.delivered[job_id] or job_id in play.settled, "recorded as sent, and never was"
        assert status != "unknown" or job.at_most_once
    for job_id, times in play.delivered.items():
        assert times <= len(play.granted[job_id])
        if play.model.jobs[job_id].at_most_once:
            assert times <= 1 + play.insisted[job_id], "an at-most-once mail went out twice"
    for users in play.keys_used.values():
        assert sum(job_id in live or job_id in ends for job_id in users) <= 1, "an idempotency key was used twice"
