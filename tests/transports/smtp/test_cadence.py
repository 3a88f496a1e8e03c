"""What tells a relay's replies apart."""

from __future__ import annotations

import asyncio

import pytest

from mailworkers.replies import Stage
from mailworkers.transports.ending import Ending
from mailworkers.transports.smtp.cadence import Cadence
from mailworkers.transports.smtp.transaction import Transaction

USUAL = {Stage.MAIL: b"2.1.0 ok", Stage.RCPT: b"2.1.5 ok", Stage.FINAL: b"2.6.0 <1@x.example> queued"}


def at(stage: Stage, *, chunked: bool = True) -> Transaction:
    loop = asyncio.new_event_loop()
    loop.close()
    transaction = Transaction(None, Ending(loop), 0.0, pipelined=True, chunked=chunked)
    transaction.stage = stage
    return transaction


def heard(said: dict[Stage, bytes]) -> Cadence:
    cadence = Cadence()
    for stage, text in said.items():
        assert cadence.fits(at(stage), 250, text)
    return cadence


def test_three_codes_tell_three_commands_apart() -> None:
    cadence = heard(USUAL)
    assert cadence.tells
    for stage in USUAL:
        for other, text in USUAL.items():
            assert cadence.fits(at(stage), 250, text) == (stage is other)


@pytest.mark.parametrize(
    "said",
    [
        {stage: text for stage, text in USUAL.items() if stage is not Stage.RCPT},
        {**USUAL, Stage.MAIL: b"ok"},
        {**USUAL, Stage.MAIL: b"2.1.5 ok"},
        {**USUAL, Stage.FINAL: b"2.1.0 taken"},
        dict.fromkeys(USUAL, b"OK"),
        dict.fromkeys(USUAL, b"2.0.0 OK"),
    ],
)
def test_less_does_not(said: dict[Stage, bytes]) -> None:
    cadence = heard(said)
    assert not cadence.tells
    assert all(cadence.fits(at(stage), 250, text) for stage in USUAL for text in USUAL.values())


def test_refusals_other_codes_and_data_prove_nothing() -> None:
    cadence = heard(USUAL)
    assert cadence.fits(at(Stage.RCPT), 550, b"5.1.1 no such user")
    assert cadence.fits(at(Stage.RCPT), 251, b"2.1.7 will forward")
    assert cadence.fits(at(Stage.RCPT), 250, b"ok")
    assert cadence.fits(at(Stage.DATA, chunked=False), 354, b"2.1.0 go on")
    assert cadence.fits(at(Stage.RCPT, chunked=False), 250, USUAL[Stage.MAIL])
