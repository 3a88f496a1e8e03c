"""What pipelining and CHUNKING bring over a relay 50 ms away, with five connections."""

from __future__ import annotations

from mailworkers.bench.passage import Ground, measure_passage
from mailworkers.bench.plan import Where
from mailworkers.bench.relay import Relay
from tests.speed.ground import RUNS, a_database, a_plan, a_relay, main, ratio, show, verdict
from tests.support.distance import Distance

ONE_WAY_SECONDS = 0.025
CONNECTIONS = 5
PLAIN, PIPELINED, CHUNKED = "four round trips a mail", "PIPELINING", "PIPELINING and CHUNKING"
# What the relay does not offer, and how many mails take some seconds then.
WAYS = {
    PLAIN: (("PIPELINING", "CHUNKING"), 150),
    PIPELINED: (("CHUNKING",), 600),
    CHUNKED: ((), 3_000),
}


async def measure() -> bool:
    """All ways, side by side, several times."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    async with a_database() as (settings, dsn), a_relay() as sink:
        for _ in range(RUNS):
            for way, (hidden, jobs) in WAYS.items():
                async with Distance(sink.where.port, ONE_WAY_SECONDS, hidden) as far:
                    relay = Relay(Where("127.0.0.1", far.port), None)
                    own = {"smtp_tls": "none", "smtp_user": ""}
                    ground = Ground(settings.model_copy(update=own), dsn, relay, a_plan(jobs, CONNECTIONS))
                    passage = await measure_passage(ground, lambda _done: None)
                    rates[way].append(passage.speed.per_second)
    show(rates)
    return all(
        [
            verdict("PIPELINING against neither", ratio(rates, PIPELINED, PLAIN), 3.5),
            verdict("CHUNKING against neither", ratio(rates, CHUNKED, PLAIN), 8.0),
        ]
    )


if __name__ == "__main__":
    main(measure)
