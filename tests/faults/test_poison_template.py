"""Case 38, templates: some that loop for ever, grow without end or are none. Each ends its own job and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 200
ENDED_SECONDS = 30.0  # a busy machine's worst; each takes less than a tenth of a second
DEEP = "".join(f"{{% for {name} in range(10000) %}}" for name in "abcde") + "x" + "{% endfor %}" * 5
POISON = {
    "loops": DEEP,
    "loops-in-data": "{% for a in list %}{% for b in list %}{% for c in list %}{{ c }}{% endfor %}{% endfor %}{% endfor %}",
    "grows": "{% set s = text %}" + "{% set s = s ~ s %}" * 40 + "{{ s }}",
    "calls": "".join(f"{{% macro m{n}() %}}" + (f"{{{{ m{n - 1}() }}}}" * 2 if n else "x") + "{% endmacro %}" for n in range(30)) + "{{ m29() }}",
    "nests": "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
    "reaches": "{{ ''.__class__.__mro__ }}",
    "none": "{% for",
}  # fmt: skip
SAVE = "SELECT mailworkers.save_template('default', $1, 'Hello', $2, $3)"
INSERT = """
INSERT INTO mailworkers.email_jobs (to_email, template, data)
SELECT 'reader' || n || '@example.org', $1, jsonb_build_object('name', 'Ann', 'text', repeat('x', 100000),
    'list', (SELECT jsonb_agg(i) FROM generate_series(1, 5000) AS i))
FROM generate_series($2::integer, $3::integer) AS n RETURNING id
"""
ENDS = "SELECT status, reply FROM mailworkers.email_sends WHERE job_id = ANY ($1::bigint[])"


async def test_case_38_templates_that_never_end(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given templates that an application saved past every check, and a good one
        for name, html in POISON.items():
            await place.owner.fetchval(SAVE, name, None if name != "none" else "{{", html)
        await place.owner.fetchval(SAVE, "good", "Hi {{ name }}", None)
        daemon = start_daemon(place.dsn(), sink.port, MIN_WORKERS=2, MAX_WORKERS=2)
        await daemon.ready()

        # when mails of all of them come between others
        began = time.monotonic()
        plain = await insert(place.owner, MAILS)
        poisoned = [row["id"] for name in POISON for row in await place.owner.fetch(INSERT, name, 10_001, 10_002)]
        good = [row["id"] for row in await place.owner.fetch(INSERT, "good", 20_001, 20_000 + MAILS)]

        async def ended() -> bool:
            return len(await place.owner.fetch(ENDS, poisoned)) == len(poisoned)

        # then each poisoned job ends soon, with its reason in one line, and all others are sent
        await eventually(ended, "the poisoned jobs end", ENDED_SECONDS)
        seconds = time.monotonic() - began
        ends = await place.owner.fetch(ENDS, poisoned)
        assert {row["status"] for row in ends} == {"failed"}
        assert all(row["reply"].startswith('template "') and "\n" not in row["reply"] for row in ends), ends
        await all_sent(place.owner, plain + good)
        found = await hold(place.owner, sink, plain + good, Bound(attempts=0), daemon)
        measured(
            f"case 38: {len(poisoned)} mails of templates without end failed alone within {seconds:.1f} s; of {found.mails} "
            f"others lost 0, sent twice {found.twice}"
        )
