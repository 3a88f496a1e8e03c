"""CPU time by stage: which code belongs to which, and that sampling sees it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import mailworkers
from mailworkers.bench.mails import Mails
from mailworkers.bench.stages import ACK, CLAIM, COMPOSE, REST, SEND, StageSampler, stage_of

PACKAGE = Path(mailworkers.__file__).parent
BUSY_SECONDS = 0.5  # of CPU; a hundred samples where the kernel's tick is 4 ms


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("queue/claim.py", CLAIM),
        ("daemon/dispatcher.py", CLAIM),
        ("mail/composer/head.py", COMPOSE),
        ("transports/smtp/session.py", SEND),
        ("queue/ack.py", ACK),
        ("daemon/heartbeat.py", REST),
        ("db/pool.py", None),
        ("replies.py", None),
    ],
)
def test_each_file_works_for_its_stage(file: str, stage: str | None) -> None:
    assert (PACKAGE / file).is_file()
    assert stage_of(str(PACKAGE / file)) == stage


def test_a_library_s_time_is_its_caller_s() -> None:
    assert stage_of(time.__name__) is None
    assert stage_of(pytest.__file__) is None


def test_what_runs_is_what_is_seen() -> None:
    mails, sampler = Mails(3_000), StageSampler()
    sampler.start()
    try:
        ends = time.process_time() + BUSY_SECONDS
        while time.process_time() < ends:
            mails.wire(1)
    finally:
        shares = sampler.stop()

    assert shares[COMPOSE] > 0.5
    assert sum(shares.values()) == pytest.approx(1)
