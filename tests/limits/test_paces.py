"""The law by which a relay's rate is found out, played against relays of many kinds. No I/O, no real time."""

from __future__ import annotations

import itertools
import math

import pytest

from mailworkers.limits.pace import LONGEST_REST_SECONDS, Pace
from mailworkers.limits.paces import MOST_PACES, Paces
from tests.limits.relays import ClosedRelay, Relay, Sender, TokenRelay, WindowRelay, play

SETTLED_SECONDS = 120.0
WATCHED_SECONDS = 120.0


@pytest.mark.parametrize(
    ("relay", "rate"),
    [
        pytest.param(TokenRelay(50), 50, id="tokens"),
        pytest.param(TokenRelay(50, burst=50), 50, id="tokens with a burst of a second"),
        pytest.param(TokenRelay(50, burst=500, tokens=500), 50, id="tokens with a burst of ten seconds"),
        pytest.param(TokenRelay(500, burst=50), 500, id="fast"),
        pytest.param(TokenRelay(0.2, burst=1), 0.2, id="one in five seconds"),
        pytest.param(TokenRelay(50, named=5.0), 50, id="names five seconds"),
        pytest.param(WindowRelay(50, 1.0), 50, id="window of a second"),
        pytest.param(WindowRelay(600, 60.0), 10, id="window of a minute"),
        pytest.param(WindowRelay(600, 60.0, tells=True), 10, id="window of a minute, and says when it ends"),
    ],
)
@pytest.mark.parametrize(
    ("latency", "closing", "daemons"), [(0.02, False, 1), (0.2, False, 1), (0.02, True, 1), (0.02, False, 2)]
)
def test_the_rate_settles_near_the_relays(
    relay: Relay, rate: float, latency: float, closing: bool, daemons: int
) -> None:
    relay = type(relay)(**{name: getattr(relay, name) for name in relay.__dataclass_fields__})  # type: ignore[attr-defined]
    senders = [Sender(relay, latency, window=300, closing=closing) for _ in range(daemons)]
    play(senders, SETTLED_SECONDS + WATCHED_SECONDS)
    taken = sum(one.taken(SETTLED_SECONDS, SETTLED_SECONDS + WATCHED_SECONDS) for one in senders)
    assert taken / WATCHED_SECONDS == pytest.approx(rate, rel=0.2)
    refused = sum(moment >= SETTLED_SECONDS for one in senders for moment in one.refused)
    assert refused <= max(12 * daemons, taken * 0.2)


def test_a_relay_that_refuses_everything_is_asked_seldom() -> None:
    sender = Sender(ClosedRelay())
    play([sender], 1800)
    later = [moment for moment in sender.refused if moment > 600]
    assert 1 <= len(later) <= 2 * 1200 / LONGEST_REST_SECONDS
    gaps = [b - a for a, b in itertools.pairwise(sender.refused) if b - a > 0.5]
    assert gaps == sorted(gaps)


def test_a_rate_that_moves_is_followed() -> None:
    relay = TokenRelay(50)
    sender = Sender(relay)
    play([sender], 60)
    for rate in (10.0, 200.0):
        relay.rate = rate
        play([sender], 120)
        assert sender.taken(sender.now - 40, sender.now) / 40 == pytest.approx(rate, rel=0.2)


def test_when_the_limit_is_lifted_the_rate_recovers_and_is_forgotten() -> None:
    relay = TokenRelay(50)
    sender = Sender(relay, demand=1000.0)
    play([sender], 60)
    relay.rate = relay.burst = 1e6
    play([sender], 180)
    assert sender.taken(230, 240) / 10 == pytest.approx(1000, rel=0.05)
    play([sender], 60)
    assert sender.paces.known == {}


def test_a_rate_that_is_not_used_does_not_rise_and_is_forgotten_in_the_end() -> None:
    sender = Sender(TokenRelay(50))
    play([sender], 60)
    sender.demand = 0.0
    play([sender], 5)
    rate = sender.paces.known["lane"].rate
    play([sender], 600)
    assert sender.paces.known["lane"].rate == rate
    play([sender], 3600)
    assert sender.paces.known == {}


def test_mails_of_one_round_cut_once() -> None:
    pace = Pace(100.0, mails=50, accepting_since=99.0)
    assert pace.refused(100.0, begun=99.9, recent=50.0)
    rate = pace.rate
    assert not any(pace.refused(100.0 + late, begun=99.95, recent=50.0) for late in (0.01, 0.1, 0.4))
    assert pace.rate == rate == 40.0


def test_what_the_relay_names_is_waited_for() -> None:
    pace = Pace(100.0, mails=50, accepting_since=99.0)
    pace.refused(100.0, begun=99.9, recent=50.0, named=30.0, spread=0.0)
    assert pace.wait(100.0) == 30.0
    assert pace.room(129.9) == 0
    assert pace.refused(101.0, begun=99.9, recent=50.0, named=60.0)  # another of that round names more
    assert pace.rests_until == 161.0


def test_after_a_strike_one_mail_goes_ahead() -> None:
    pace = Pace(100.0, mails=50, accepting_since=99.0)
    pace.refused(100.0, begun=99.9, recent=50.0)
    pace.refused(102.0, begun=101.5, recent=0.0)
    now = pace.rests_until
    assert pace.room(now) == 1
    pace.take(now, 1)
    assert pace.room(now + 1) == 0
    pace.accepted(now + 1)
    assert pace.room(now + 2) >= 1
    assert not pace.probing


def test_it_never_falls_below_the_floor() -> None:
    pace = Pace(100.0, mails=1, accepting_since=99.0, floor=2.0)
    for moment in range(100, 5000, 10):
        pace.refused(float(moment), begun=moment - 0.1, recent=0.0)
    assert pace.rate == 2.0


def test_what_was_never_refused_has_no_limit() -> None:
    paces: Paces[str] = Paces(lambda: 100.0)
    paces.accepted("lane")
    paces.take("lane", 10)
    assert (paces.room("lane"), paces.wait("lane"), paces.tick()) == (math.inf, 0.0, [])


def test_however_many_are_refused_memory_is_bounded() -> None:
    paces: Paces[int] = Paces(lambda: 100.0)
    rests = [paces.refused(key, 99.0, "421", 7.0) for key in range(MOST_PACES + 5)]
    assert len(paces.known) == MOST_PACES
    assert all(rest >= 7.0 for rest in rests)
