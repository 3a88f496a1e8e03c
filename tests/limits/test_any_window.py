"""The promise: no window of the limit's length, wherever it begins, sees more mails than the limit."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailworkers.limits.bucket import Limit
from tests.limits.simulation import Daemon, World

limits = st.builds(
    Limit,
    tokens=st.one_of(st.integers(1, 12), st.sampled_from([20, 40, 100, 1000])),
    period=st.sampled_from([1.0, 60.0, 3600.0]),
    buffer_percent=st.sampled_from([0, 1, 5, 10, 20, 50, 90]),
)
EVENTS = ("wait", "lease", "ask", "go on", "send", "change its mind", "kill", "stop", "outage")
events = st.lists(
    st.tuples(st.sampled_from(EVENTS), st.integers(0, 2), st.integers(1, 60), st.integers(1, 20)),
    min_size=5,
    max_size=120,
)


def a_while(limit: Limit, choice: int) -> float:
    """A time that matters to this limit: about a hold, a token, a burst, a period."""
    landmarks = (limit.hold * 0.999, limit.hold / 7, 1 / limit.rate, limit.capacity / limit.rate, limit.period / 3)
    return landmarks[choice % len(landmarks)] * (0.5 if choice > 10 else 1.0)


def play(world: World, daemons: list[Daemon], event: str, who: int, many: int, choice: int) -> None:
    daemon = daemons[who]
    match event:
        case "wait":
            world.now += a_while(world.limit, choice)
        case "lease":
            daemon.lease(many)
        case "ask":
            daemon.ask(many)
        case "go on":
            daemon.go_on()
        case "send":
            daemon.send(many)
        case "change its mind":
            daemon.change_its_mind(many)
        case "kill":
            daemon.kill()
        case "stop":
            daemon.stop()
        case "outage":
            world.reachable = not world.reachable


@given(limit=limits, story=events)
@settings(max_examples=400, deadline=None)
def test_whatever_happens_to_three_daemons(limit: Limit, story: list[tuple[str, int, int, int]]) -> None:
    # given three daemons that share a limit
    world = World(limit)
    daemons = [Daemon(world) for _ in range(3)]
    # when they lease, send, hesitate, lose the database, are stopped and killed, in any order and timing
    for event in story:
        play(world, daemons, *event)
    for daemon in daemons:
        daemon.kill()
    # then no window saw more than the limit
    assert world.most_in_a_window() <= limit.tokens


def hoard(world: World, daemons: list[Daemon], chance: random.Random) -> None:
    """Lease as much as can be had and send nothing: answers come late, minds are changed, what expires is handed back."""
    tokens, hold = world.limit.tokens, world.limit.hold
    late = chance.choice([0, 0.3, 0.9])
    hesitant = chance.choice([0, 0.5, 1])
    for _ in range(chance.choice([2, 12, 40])):
        for daemon in daemons:
            daemon.ask(tokens)
            daemon.go_on()
            world.now += hold * late / len(daemons)
            if chance.random() < hesitant:
                daemon.change_its_mind(tokens)
        for daemon in daemons:
            world.now += hold * (0.999 - late) / len(daemons)
            daemon.go_on()


def send_flat_out(world: World, daemons: list[Daemon]) -> None:
    """Send what is in hand, and go on for a whole period as fast as tokens come."""
    for daemon in daemons:
        daemon.send(world.limit.tokens)
    end = world.now + world.limit.period
    while world.now < end:
        daemons[0].lease(world.limit.tokens)
        daemons[0].send(world.limit.tokens)
        world.now += max(daemons[0].limiter.wait(*daemons[0].keys), 1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("buffer_percent", [0, 10])
@pytest.mark.parametrize("tokens", [1, 2, 30, 1000])
@pytest.mark.parametrize("period", [1.0, 60.0])
def test_daemons_that_hoard_before_they_send_flat_out(
    tokens: int, period: float, buffer_percent: int, seed: int
) -> None:
    # given daemons that lease all they can get, for long, and send nothing
    chance = random.Random(seed)
    world = World(Limit(tokens, period, buffer_percent))
    daemons = [Daemon(world) for _ in range(chance.choice([1, 3, 8]))]
    hoard(world, daemons, chance)
    # when they send everything at once and go on from there
    send_flat_out(world, daemons)
    # then no window saw more than the limit
    assert world.most_in_a_window() <= tokens


@pytest.mark.parametrize("period", [1.0, 60.0, 3600.0])
@pytest.mark.parametrize("buffer_percent", [0, 10, 50])
@pytest.mark.parametrize("tokens", [1, 5, 100, 1000])
def test_the_rate_is_used_as_far_as_the_buffer_lets_it(tokens: int, buffer_percent: int, period: float) -> None:
    # given one daemon with more to send than it may
    limit = Limit(tokens, period, buffer_percent)
    world = World(limit)
    daemon = Daemon(world)
    periods = max(5, 20 // tokens)
    # when it asks whenever the limiter says that it is worth while
    asked = 0
    while world.now < periods * period:
        daemon.lease(100)
        asked += 1
        daemon.send(100)
        world.now += max(daemon.limiter.wait(*daemon.keys), 1e-4)
    # then it loses next to nothing of the sustained rate, and the ledger is asked a bounded number of times
    assert len(world.sent) >= int(limit.rate * periods * period * 0.98)
    assert world.most_in_a_window() <= tokens
    assert asked <= 2 * len(world.sent) + periods * period / 5 + 2


def test_a_limit_of_one_an_hour_is_one_an_hour() -> None:
    # given the smallest limit there is
    limit = Limit(1, 3600.0)
    world = World(limit)
    daemon = Daemon(world)
    # when a daemon takes the token and does not need it, and takes it again
    daemon.lease(5)
    daemon.change_its_mind(1)
    daemon.lease(5)
    # then the token is still there, all but a breath
    assert daemon.limiter.available(*daemon.keys) == 1
    # and once spent, the next comes after an hour and the buffer
    daemon.send(1)
    for _ in range(3600):
        world.now += 1
        daemon.lease(1)
        daemon.send(1)
    assert len(world.sent) == 1
    world.now += 500
    daemon.lease(1)
    daemon.send(1)
    assert len(world.sent) == 2
