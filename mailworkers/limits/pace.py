"""How fast one relay, or one lane of it, may be sent to, found out from its answers; pure arithmetic, no I/O.

A relay seldom says how much it takes. It answers 421 or 450 4.7.0 above its limit, and that is all there is to learn from, as
a lost packet is for congestion control. The law is CUBIC's (RFC 9438), in mails a second instead of a window:

    a cut       once per round of replies: what was begun before the last cut tells nothing new. `good` becomes what was
                really accepted just now, the rate CUT of it. After the first cut `good` is not known yet: the rate
                doubles each DOUBLING_SECONDS until the next.
    the rise    from there back to `good` quickly first, then more and more slowly; beyond `good` carefully first, then faster
                and faster: rate = good · (1 + (1 - CUT) · ((t - K) / K)³), which is CUT · good at t = 0 and `good` at t = K.
                Only time counts in which the rate was what held the mails back.
    a strike    refused again before anything was accepted: a limit that counts minutes, or a relay that takes nothing. Each
                strike in a row doubles the rest, up to LONGEST_REST_SECONDS, and after it one mail goes ahead and asks.
                `good` then falls to the average from the first accepted mail of the last round up to now, its rest included.
    the end     where the rate has long not been what held mails back, nothing is left to learn: `over`.

What a relay names ("try again in 30 seconds") is waited for, whatever the law would do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

CUT: Final = 0.8  # of what was accepted: the relay's own average then lies about 5 % above ours
RISE_SECONDS: Final = 15.0  # K: until the last good rate is tried again, a few times within the two minutes of settling
FIRST_RISE_SECONDS: Final = 5.0  # … the first time: what doubling found is half as sure
RISE_RESTS: Final = 12.0  # … nor before so many of the times that the relay named: each try may cost that rest again
RISE_MAILS: Final = 20.0  # … and not before so many mails: else one in three of a slow relay would be refused
FIRST_REST_SECONDS: Final = 1.0  # most limits count seconds
LONGEST_REST_SECONDS: Final = (
    300.0  # a relay that refuses all hears of a lane so seldom; what is lifted is found as late
)
NAMED_JITTER: Final = 0.1  # upwards only: what the relay named is waited for
EVIDENCE_SECONDS: Final = 2.0  # what was accepted in a shorter round is no rate yet
FIRST_RATE: Final = (
    1.0  # mails a second, where none was accepted before the first refusal; doubled each DOUBLING_SECONDS
)
DOUBLING_SECONDS: Final = 1.0
DOUBLED_SHARE: Final = 0.7  # of the rate that is refused: the relay's own lies between the half of it and the whole
FLOOR: Final = 1 / 60  # mails a second: what providers ask for from a sender that is "temporarily deferred"
BURST_SECONDS: Final = 0.1  # of the rate may leave at once: spares claims, and is small beside a window of a second
PROBE_SECONDS: Final = 5.0  # until another mail may ask, should the first have got no answer that tells anything
LONGEST_ROUND_SECONDS: Final = 60.0  # an average over more than a minute would be of another time
SHORTEST_SPAN_SECONDS: Final = 1.0  # what is accepted within a shorter time counts as accepted within this
UNBOUND_SECONDS: Final = 30.0  # of work that the rate did not hold back: it is of no more use
IDLE_SECONDS: Final = 3600.0  # without any work: what was learned is too old then


@dataclass(slots=True)
class Recent:
    """What was accepted lately, counted without a clock: `roll` is called about once a second."""

    count: int = 0
    before: int = 0
    since: float = 0.0

    def roll(self, now: float) -> bool:
        """Begin the next second; whether there is anything to remember."""
        self.before, self.count, self.since = self.count, 0, now
        return self.before > 0

    def rate(self, now: float, length: float = SHORTEST_SPAN_SECONDS) -> float:
        """Mails a second in the last second or two."""
        partial = max(0.0, now - self.since)
        if self.before:
            return (self.before + self.count) / (length + partial)
        return self.count / max(partial, SHORTEST_SPAN_SECONDS)


@dataclass(slots=True)
class Pace:
    """One learned rate. All times are by one monotonic clock, in seconds; rates are mails a second.

    Args:
        began: when the first refusal came.
        mails: what had been accepted shortly before it, since `accepting_since`.
        floor: the rate never falls below it.
    """

    began: float
    mails: float = 0.0
    accepting_since: float = 0.0
    floor: float = FLOOR
    reason: str = ""
    rests_until: float = 0.0
    good: float = math.inf  # not known yet
    start: float = FIRST_RATE
    grown: float = 0.0  # seconds of the rise that count
    strikes: int = 0
    cut_at: float = -math.inf
    sure: bool = False  # `good` was found by the rise, not while doubling
    probing: bool = False
    _named: float = 0.0  # seconds that the relay asked for last
    _round: tuple[float, float] = (0.0, 0.0)  # the last in which mails were accepted: since when, and how many
    _tokens: float = 0.0
    _filled_at: float = field(init=False)
    _ticked_at: float = field(init=False)
    _probed_at: float = -math.inf
    _bound: bool = False
    _used: bool = False
    _unbound: float = 0.0
    _idle: float = 0.0

    def __post_init__(self) -> None:
        self._filled_at = self._ticked_at = self.began

    @classmethod
    def at(cls, now: float, rate: float, floor: float, reason: str) -> Pace:
        """One that was found out elsewhere: it begins with that rate, and rises as after a cut."""
        pace = cls(now, floor=floor, reason=reason)
        pace.good, pace.start, pace.cut_at, pace.sure = max(floor, rate), max(floor, CUT * rate), now, True
        return pace

    @property
    def rate(self) -> float:
        """Mails a second that may be begun now, rests aside."""
        if self.good == math.inf:
            return self.start * 2 ** (self.grown / DOUBLING_SECONDS)
        rise = max(RISE_SECONDS if self.sure else FIRST_RISE_SECONDS, RISE_MAILS / self.good, RISE_RESTS * self._named)
        return max(self.start, self.good * (1 + (1 - CUT) * ((self.grown - rise) / rise) ** 3))

    # What the relay answers ----------------------------------------------------------------------------------------

    def accepted(self, now: float, mails: int = 1) -> None:
        """The relay took mails."""
        if not self.mails:
            self.accepting_since = now
        self.mails += mails
        self.answered()

    def answered(self) -> None:
        """The relay gave an answer that is not about the rate: it takes what is sent."""
        self.probing, self.strikes = False, 0

    def refused(self, now: float, begun: float, recent: float, named: float | None = None, spread: float = 0.0) -> bool:
        """The relay asked for less; whether that changed anything.

        Args:
            now: the moment.
            begun: when the refused mail was begun.
            recent: what was accepted within the last second or two, a second.
            named: seconds that the relay asked for.
            spread: between 0 and 1, at random: so far into the jitter.
        """
        if named is not None:
            self.rests_until = max(self.rests_until, now + named * (1 + NAMED_JITTER * spread))
        if begun < self.cut_at:
            return named is not None
        if self.mails:
            self._cut(now, recent)
        else:
            self._strike(now)
        self._named = named or 0.0
        if named is None:
            rest = min(FIRST_REST_SECONDS * 2**self.strikes, LONGEST_REST_SECONDS)
            self.rests_until = max(self.rests_until, now + rest * (1 + NAMED_JITTER * spread))
        self.cut_at, self.grown, self._unbound, self._idle = now, 0.0, 0.0, 0.0
        self._tokens, self._filled_at = 0.0, max(now, self.rests_until)
        return True

    def _cut(self, now: float, recent: float) -> None:
        lasted = now - self.accepting_since
        really = max(recent, self.mails / max(SHORTEST_SPAN_SECONDS, lasted))
        if self.cut_at == -math.inf:  # how much a second that was is not known yet: `good` is found by doubling
            self.start = max(self.floor, CUT * really)
        else:
            if (
                self.good == math.inf
            ):  # while it doubles, the last second or two are far below what was taken in the end
                really = max(really, DOUBLED_SHARE * self.rate)
            else:
                self.sure = True
            if self.good < math.inf and lasted < EVIDENCE_SECONDS:  # too short to tell: a step down
                really = max(really, CUT * self.good)
            self.good = max(self.floor, min(self.rate, really))
            self.start = max(self.floor, CUT * self.good)
        self._round = (self.accepting_since, self.mails)
        self.mails, self.strikes = 0.0, 0

    def _strike(self, now: float) -> None:
        self.strikes = min(self.strikes + 1, 30)
        self.probing = True
        since, mails = self._round
        if mails:
            average = mails / max(SHORTEST_SPAN_SECONDS, now - since)
            self.good, self.sure = max(self.floor, min(self.good, average)), True
            self.start = max(self.floor, min(self.start, CUT * self.good))

    # What may be begun ---------------------------------------------------------------------------------------------

    def room(self, now: float) -> int:
        """Mails that may be begun now."""
        if now < self.rests_until:
            return 0
        if self.probing:
            return 1 if now - self._probed_at >= PROBE_SECONDS or self._probed_at < self.cut_at else 0
        rate = self.rate
        most = max(1.0, rate * BURST_SECONDS)
        self._tokens = min(most, self._tokens + rate * max(0.0, now - self._filled_at))
        self._filled_at = max(now, self._filled_at)
        return int(self._tokens + 1e-9)

    def take(self, now: float, mails: int) -> None:
        """So many are begun. `room` has just said that they may."""
        self._used = True
        if self.probing:
            self._probed_at = now
            return
        self._tokens -= mails
        self._bound = self._bound or self._tokens < 1

    def wait(self, now: float) -> float:
        """Seconds until a mail may be begun; 0 where one may now."""
        if self.room(now) >= 1:
            return 0.0
        if now < self.rests_until:
            return self.rests_until - now
        if self.probing:
            return max(0.0, self._probed_at + PROBE_SECONDS - now)
        return (1 - self._tokens) / self.rate

    # What time does ------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """To be called about once a second."""
        elapsed, self._ticked_at = now - self._ticked_at, now
        if now < self.rests_until or self.probing:
            self._bound = self._used = False
            return
        if self._bound:
            self.grown += elapsed
            self._unbound = self._idle = 0.0
        elif self._used:
            self._unbound += elapsed
            self._idle = 0.0
        else:
            self._idle += elapsed
        self._bound = self._used = False
        lasted = now - self.accepting_since
        if self.mails and lasted > LONGEST_ROUND_SECONDS:
            self.mails *= LONGEST_ROUND_SECONDS / lasted
            self.accepting_since = now - LONGEST_ROUND_SECONDS

    def over(self, now: float) -> bool:
        """Whether the rate is of no more use."""
        if now < self.rests_until:
            return False
        return self._unbound >= UNBOUND_SECONDS or self._idle >= IDLE_SECONDS
