"""The gate to the relay: shut after a failure, one worker tries, open again for all."""

from __future__ import annotations

import asyncio

import pytest

from mailworkers.daemon.relay_gate import FIRST_REST_SECONDS, RelayGate


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1000.0]
    monkeypatch.setattr("mailworkers.daemon.relay_gate.time.monotonic", lambda: clock[0])
    return clock


async def test_an_open_gate_lets_everybody_through() -> None:
    gate = RelayGate()
    await asyncio.wait_for(asyncio.gather(gate.permission(), gate.permission()), 1)


async def test_a_shut_gate_lets_one_worker_try_when_it_is_time(now: list[float]) -> None:
    gate = RelayGate()
    gate.down("connection refused", person_must_act=False, connected=0)
    assert gate.problem == "connection refused"
    now[0] += FIRST_REST_SECONDS

    await asyncio.wait_for(gate.permission(), 1)
    second = asyncio.create_task(gate.permission())
    await asyncio.sleep(0)
    assert not second.done()

    assert gate.up()
    await asyncio.wait_for(second, 1)
    assert gate.is_open


async def test_a_probe_that_was_stopped_leaves_its_turn_to_another(now: list[float]) -> None:
    gate = RelayGate()
    gate.down("connection refused", person_must_act=False, connected=0)
    now[0] += FIRST_REST_SECONDS
    await gate.permission()
    gate.give_up_probe()
    await asyncio.wait_for(gate.permission(), 1)


async def test_where_others_are_connected_the_relay_only_takes_no_more(now: list[float]) -> None:
    gate = RelayGate()
    assert gate.down("too many connections", person_must_act=False, connected=5) > 0
    assert gate.is_open
    assert gate.tolerated(connected=5) == 5
    now[0] += 61
    assert gate.tolerated(connected=5) is None


async def test_a_refused_password_shuts_the_gate_whoever_is_connected() -> None:
    gate = RelayGate()
    gate.down("535 no", person_must_act=True, connected=5)
    assert not gate.is_open


async def test_connections_that_fail_together_count_once(now: list[float]) -> None:
    gate = RelayGate()
    for _ in range(10):
        gate.down("connection refused", person_must_act=False, connected=0)
    now[0] += FIRST_REST_SECONDS

    await asyncio.wait_for(gate.permission(), 1)
