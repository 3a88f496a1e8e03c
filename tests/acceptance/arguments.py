"""Arguments for every query in sql/queries, as they come up against `large_queue`; each as PostgreSQL reads it from text."""

from __future__ import annotations

Arguments = tuple[str | None, ...]

_LANES = ("{workspace-0,workspace-1,workspace-2}", "{\"\",google,outlook}", "{-100,0,10}")  # fmt: skip
_LOOK = (None, None, "1000", "50")
_RESULTS = ("{1,2,2900}", "{1,2,3}")  # two of them under their lease
_BUCKETS = ("{worker,worker}", "{large/1,large/2}", "{minute,minute}", "{10,10}", "{1,1}")

ARGUMENTS: dict[str, Arguments] = {
    "change/bring_back": ("5000050", "{failed,abandoned,cancelled}"),
    "change/cancel": ("3000", "not wanted any more"),
    "change/insert": ("ann@example.org", None, None, None, None, "Hello", "Hi Ann", None, None),
    "change/run_now": ("3000",),
    "demo/ends": (),
    "demo/insert": ("{ann@example.org}", "{Ann}", "{s@example.org}", "{S}", "{Hello}", "{Hi}", "{<p>Hi}", "{NULL}"),
    "doctor/horizon": ("300",),
    "doctor/partitions": (),
    "doctor/rights": (),
    "doctor/roles": (),
    "doctor/server": (),
    "inspect/attempts": ("5000050",),
    "inspect/daemons": (),
    "inspect/end": ("5000050",),
    "inspect/ended": (*_LOOK, None),
    "inspect/ended_not_sent": (*_LOOK, None),
    "inspect/failures": ("1000",),
    "inspect/figures": (),
    "inspect/job": ("3000",),
    "inspect/live": _LOOK,
    "inspect/live_paused": _LOOK,
    "inspect/live_retrying": _LOOK,
    "inspect/live_sending": _LOOK,
    "inspect/live_waiting": _LOOK,
    "inspect/oldest_due": ("20000",),
    "inspect/schema_version": (),
    "inspect/workers": (),
    "leases/adopt": ("2", "1", "{20,40,60}"),
    "leases/announce_idle": (),
    "leases/disown": ("1", "{20,40,60}"),
    "leases/end_dead": ("1", "2"),
    "leases/end_own": ("1", "stopped"),
    "leases/expire": ("300", "5000"),
    "leases/forget": (),
    "leases/hold_lock": ("1",),
    "leases/register": ("large", "host.example", "1", "1", "30"),
    "leases/renew": ("1", "30", "{1,2}", "{large/1,large/2}", "{idle,sending}", "{1,2}", "{0,0}", "{1.5,NULL}"),
    "leases/rescue": ("25", "5000"),
    "leases/vouch": ("1",),
    "leases/withdraw_idle": (),
    "limits/lease": (*_BUCKETS, "{5,5}", "{0,1}", "{NULL,NULL}"),
    "limits/open": _BUCKETS,
    "limits/purge": ("100",),
    "maintenance/drop_partitions": ("12",),
    "maintenance/look_for_trouble": ("300",),
    "maintenance/make_partitions": ("2",),
    "maintenance/purge_keys": ("12", "100"),
    "maintenance/purge_metrics": ("35",),
    "queue/ack_failed": (
        *_RESULTS, "{NULL,failed,failed}", "{300,0,0}", "{t,t,t}", "{network,provider,provider}", "{final,rcpt,rcpt}",
        "{NULL,550,550}", "{NULL,5.1.1,5.1.1}", "{broke,unknown,unknown}", "{NULL,a@x,b@x}", "1",
    ),
    "queue/ack_sent": (
        *_RESULTS, "{a@x,b@x,c@x}", "{250,250,250}", "{2.0.0,2.0.0,2.0.0}", "{ok,ok,ok}", "{NULL,NULL,NULL}", "1",
    ),
    "queue/blobs": ("{1,2}", "{workspace-1,workspace-2}"),
    "queue/claim": (*_LANES, "{-infinity,-infinity,-infinity}", "{0,0,0}", "{10,50,50}", "1", "900"),
    "queue/count_due": (*_LANES, "1001"),
    "queue/depth": ("10000",),
    "queue/heads": ("20000",),
    "queue/mark": _RESULTS,
}  # fmt: skip
