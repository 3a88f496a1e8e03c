"""What the daemon counts and times, for Prometheus.

Every method takes what a whole batch brought, so that a mail costs a list entry and a share of one sort, no more. What
`Vitals` already knows (depth, workers, lag …) is not counted again: it is read from there when somebody asks
(`gauges.py`). No label has an open set of values: no address, workspace, lane or host ever becomes one.

Figures are this process's own, except the queue's depth, which all daemons on one database report alike: take its
`max`, not its `sum`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from mailworkers import __version__
from mailworkers.daemon.gauges import PoolUse, VitalsCollector
from mailworkers.daemon.histogram import BatchHistogram
from mailworkers.daemon.vitals import Vitals
from mailworkers.replies import FailureClass

# From a fast relay's reply to a retry's wait of an hour; prometheus-client's own end at 10 s.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
# Up to the largest batch that settings allow.
BATCH_SIZES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

End = Literal["sent", "failed", "abandoned", "cancelled", "suppressed", "unknown"]  # email_sends.status
Peer = Literal["relay", "database"]
DatabaseTrouble = Literal["unavailable", "refused"]  # DatabaseUnavailable, DatabaseRefused
Label = TypeVar("Label", bound=str)


class Metrics:
    """One daemon's metrics in a registry of their own.

    Args:
        enabled: False makes every method return at once, which is how their cost is measured. A caller that gathers
            figures for them may look at `enabled` first and spare itself the work.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        # A `_created` series beside each counter would double the page and tell nothing new.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.enabled = enabled
        self.registry = CollectorRegistry()
        self._add_counters()
        self._add_histograms()
        build = Info("mailworkers_build", "Version of mailworkers and of Python.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=self.registry)

    @classmethod
    def disabled(cls) -> Metrics:
        """Metrics that record nothing."""
        return cls(enabled=False)

    def watch(self, vitals: Vitals, pools: Callable[[], Mapping[str, PoolUse]] = dict) -> None:
        """Show these vitals and pools as gauges, read when the page is asked for.

        Args:
            vitals: of the running daemon.
            pools: gives each connection pool's use by the pool's name; must not wait.
        """
        self.registry.register(VitalsCollector(vitals, pools))

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def claimed(self, jobs: int, seconds: float) -> None:
        """One claim took `seconds` and brought so many jobs, maybe none."""
        if self.enabled:
            self._claim_seconds.observe(seconds)
            self._claim_size.observe(jobs)

    def acked(self, results: int, seconds: float) -> None:
        """One group commit took `seconds` and wrote so many results."""
        if self.enabled:
            self._ack_seconds.observe(seconds)
            self._ack_size.observe(results)

    def ended(self, ends: Mapping[End, int]) -> None:
        """So many jobs reached each recorded end, once that is committed."""
        if self.enabled:
            for end, count in ends.items():
                self._ends[end].inc(count)

    def sent(self, durations: Sequence[float], insert_to_sent: Sequence[float]) -> None:
        """A batch of mails that the relay accepted.

        Args:
            durations: seconds from handing each mail to its connection until the relay's last reply.
            insert_to_sent: seconds from each job's due time (its insert, unless scheduled) to that reply.
        """
        if self.enabled:
            self._send_seconds.observe_batch(durations)
            self._insert_to_sent.observe_batch(insert_to_sent)

    def retried(self, failures: Mapping[FailureClass, int]) -> None:
        """So many attempts failed for now and were put back, by who is to look at it."""
        if self.enabled:
            for failure, count in failures.items():
                self._retries[failure].inc(count)

    def throttled(self, mails: int = 1) -> None:
        """The relay asked for less, at so many mails."""
        if self.enabled:
            self._throttles.inc(mails)

    def rescued(self, leases: int) -> None:
        """So many jobs were taken back from a daemon whose lease had ended."""
        if self.enabled:
            self._rescues.inc(leases)

    def stale_acks(self, results: int) -> None:
        """So many results came after their lease had ended and changed nothing."""
        if self.enabled:
            self._stale_acks.inc(results)

    def reconnected(self, peer: Peer) -> None:
        """A lost connection is there again."""
        if self.enabled:
            self._reconnects[peer].inc()

    def database_error(self, trouble: DatabaseTrouble) -> None:
        """A statement failed, after whatever the gateway itself tried."""
        if self.enabled:
            self._database_errors[trouble].inc()

    def loop_lagged(self, seconds: float) -> None:
        """The event loop came so late to a timer."""
        if self.enabled:
            self._loop_lag.observe(seconds)

    def _add_counters(self) -> None:
        self._ends = self._labelled("sends", "Jobs that reached a recorded end.", "outcome", get_args(End))
        self._retries = self._labelled("retries", "Failed attempts that are tried again.", "class", FailureClass)
        self._reconnects = self._labelled("reconnects", "Connections made again after a loss.", "peer", get_args(Peer))
        self._database_errors = self._labelled(
            "database_errors", "Statements that failed.", "trouble", get_args(DatabaseTrouble)
        )
        self._throttles = self._counter("throttles", "Replies by which the relay asked for less.")
        self._rescues = self._counter("rescued_leases", "Jobs taken back from a daemon whose lease had ended.")
        self._stale_acks = self._counter("stale_acks", "Results that came after their lease and changed nothing.")

    def _add_histograms(self) -> None:
        self._send_seconds = self._batch_histogram("send_duration_seconds", "From a connection to the last reply.")
        self._insert_to_sent = self._batch_histogram("insert_to_sent_seconds", "From due to the relay's last reply.")
        self._claim_seconds = self._histogram("claim_duration_seconds", "One claim.", SECONDS)
        self._claim_size = self._histogram("claim_size_jobs", "Jobs in one claim.", BATCH_SIZES)
        self._ack_seconds = self._histogram("ack_duration_seconds", "One group commit.", SECONDS)
        self._ack_size = self._histogram("ack_size_results", "Results in one group commit.", BATCH_SIZES)
        self._loop_lag = self._histogram("event_loop_delay_seconds", "How late timers fire.", LAG_SECONDS)

    def _counter(self, name: str, about: str) -> Counter:
        return Counter(f"mailworkers_{name}", about, registry=self.registry)

    def _labelled(self, name: str, about: str, label: str, values: Iterable[Label]) -> dict[Label, Counter]:
        """One counter a value, made at once: a series that begins at 0 shows its first increase as one."""
        family = Counter(f"mailworkers_{name}", about, [label], registry=self.registry)
        return {value: family.labels(str(value)) for value in values}

    def _histogram(self, name: str, about: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"mailworkers_{name}", about, buckets=buckets, registry=self.registry)

    def _batch_histogram(self, name: str, about: str) -> BatchHistogram:
        histogram = BatchHistogram(f"mailworkers_{name}", about, SECONDS)
        self.registry.register(histogram)
        return histogram
