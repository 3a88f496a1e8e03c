"""Gauges for Prometheus that are read from the daemon's vitals at the moment somebody asks, and cost nothing before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mailworkers.daemon.vitals import Vitals

LANES_SHOWN = 20  # by name: more labels would cost whoever stores them more than they tell


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of one pool: `busy` run a statement, `idle` wait for one."""

    busy: int
    idle: int


class VitalsCollector(Collector):
    """Vitals and pools as gauges. A figure that is not known yet is left out, so that nobody takes it for 0."""

    def __init__(self, vitals: Vitals, pools: Callable[[], Mapping[str, PoolUse]]) -> None:
        self._vitals = vitals
        self._pools = pools

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families, as they stand now."""
        yield from self._queue()
        yield from self._work()
        yield from self._trouble()
        yield from self._ages()
        yield self._by_pool()

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the registry then does not collect once just to learn the names."""
        return iter(())

    def _queue(self) -> Iterator[GaugeMetricFamily]:
        depth = self._vitals.queue
        if depth is None:
            return
        states = {name: getattr(depth, name) for name in ("waiting", "retrying", "sending", "paused")}
        yield _labelled("jobs", "Live jobs; at least so many, where counting stopped at its bound.", "state", states)
        yield _gauge("oldest_due_age_seconds", "Age of the oldest job that is due.", depth.oldest_due_seconds or 0.0)

    def _work(self) -> Iterator[GaugeMetricFamily]:
        vitals = self._vitals
        idle = vitals.workers - vitals.connected
        states = {"connected": vitals.connected, "unconnected": max(0, idle)}
        yield _labelled("workers", "Workers, by whether they hold a connection.", "state", states)
        yield _gauge("mails_in_flight", "Mails handed to a connection and not answered.", vitals.in_flight)
        yield _gauge("jobs_buffered", "Jobs claimed and not yet with a worker.", vitals.buffered)
        yield _gauge("results_unwritten", "Results that are not yet committed.", vitals.unwritten)
        yield _gauge("results_unwritten_limit", "Workers wait at so many.", vitals.max_unwritten)
        yield _gauge("event_loop_lag_seconds", "How late the last timer fired.", vitals.loop_lag)

    def _trouble(self) -> Iterator[GaugeMetricFamily]:
        vitals = self._vitals
        yield _gauge("database_up", "1 while the database answers.", vitals.database_problem is None)
        yield _gauge("relay_up", "1 while the relay takes mail.", vitals.relay_problem is None)
        yield _gauge("liveness_lock_held", "1 while the session lock is held or not in use.", not vitals.liveness_lost)
        yield _gauge("draining", "1 while the daemon is ending.", vitals.phase in ("draining", "stopped"))
        yield _gauge(
            "lanes_resting", "Lanes that wait because they were throttled or paused.", len(vitals.resting_lanes)
        )
        lowered = sorted(vitals.lowered.items(), key=lambda item: item[1].rate)
        yield _gauge("lanes_lowered", "Lanes, or the relay, that are sent to more slowly since it asked.", len(lowered))
        learned = GaugeMetricFamily(
            "mailworkers_learned_rate", "Mails a second to the slowest lanes of those.", labels=["lane"]
        )
        for lane, one in lowered[:LANES_SHOWN]:
            learned.add_metric([lane], one.rate)
        yield learned
        yield _gauge("slowed_by_load", "1 while this daemon slows itself.", vitals.slowed_by_load is not None)
        yield _gauge("warm_ups", "Senders that are being warmed up.", vitals.warm_ups)
        yield _gauge("warnings", "Findings of maintenance; the health page says which.", len(vitals.warnings))

    def _ages(self) -> Iterator[GaugeMetricFamily]:
        vitals, now = self._vitals, time.monotonic()
        for name, moment in (
            ("last_claim", vitals.last_claim),
            ("last_heartbeat", vitals.last_heartbeat),
            ("last_ack", vitals.last_ack),
        ):
            if moment is not None:
                yield _gauge(f"{name}_age_seconds", "Since it last succeeded.", now - moment)

    def _by_pool(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("mailworkers_pool_connections", "Database connections.", labels=["pool", "state"])
        for pool, use in self._pools().items():
            family.add_metric([pool, "busy"], use.busy)
            family.add_metric([pool, "idle"], use.idle)
        return family


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mailworkers_{name}", about, value=value)


def _labelled(name: str, about: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"mailworkers_{name}", about, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
