"""Which buckets a mail counts against, and which limits the settings ask for."""

from __future__ import annotations

from mailworkers.limits.bucket import Limit
from mailworkers.limits.keys import BucketKey, Period, Scope, limits_from, system_keys, worker_keys, workspace_keys
from mailworkers.settings import Settings


def test_a_worker_has_a_bucket_a_minute_and_one_an_hour() -> None:
    assert [(key.scope, key.name, key.period) for key in worker_keys("host#1/3")] == [
        (Scope.WORKER, "host#1/3", Period.MINUTE),
        (Scope.WORKER, "host#1/3", Period.HOUR),
    ]


def test_keys_are_equal_where_they_name_the_same_bucket() -> None:
    first, second = BucketKey(Scope.WORKSPACE, "acme", Period.MINUTE), workspace_keys("acme")[0]
    assert first == second
    assert hash(first) == hash(second)
    assert {first, second, *workspace_keys("other")} == {first, *workspace_keys("other")}


def test_settings_ask_for_a_young_senders_limits_by_default() -> None:
    assert limits_from(Settings()) == {
        (Scope.WORKER, Period.MINUTE): Limit(100, 60.0, 10),
        (Scope.WORKER, Period.HOUR): Limit(1000, 3600.0, 10),
    }


def test_a_setting_of_zero_leaves_its_limit_out() -> None:
    none = Settings(worker_rate_per_minute=0, worker_rate_per_hour=0)
    assert limits_from(none) == {}


def test_every_setting_becomes_the_limit_it_names() -> None:
    limits = limits_from(Settings(system_rate_per_second=5, workspace_rate_per_minute=7, rate_buffer_percent=20))
    assert limits[Scope.SYSTEM, Period.SECOND] == Limit(5, 1.0, 20)
    assert limits[Scope.WORKSPACE, Period.MINUTE] == Limit(7, 60.0, 20)
    assert {(key.scope, key.period) for key in system_keys() + workspace_keys("acme")} <= set(limits)
