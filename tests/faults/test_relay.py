"""Cases 27, 35 and 37: a relay that refuses connections, that ends a kept session, that takes some recipients only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
FEW = 20
WORKERS = 4
WATCHED_SECONDS = 5.0
MOST_PROBES = 4  # within that time, with rests of 0.5 to 1, 1 to 2 and 2 to 4 s between them
AFTER_REST_SECONDS = 20.0
REFUSED = "refused@example.org"
TO_TWO = """
INSERT INTO mailworkers.email_jobs (to_email, cc, subject, text_body)
VALUES ('reader1@example.org', ARRAY[$1::text], 'Letter', 'Hi') RETURNING id
"""


async def test_case_27_connection_refused(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink, Proxy(sink.port) as proxy:
        # given a relay that ends every connection at once
        proxy.refuse()
        daemon = start_daemon(place.dsn(), proxy.port, MIN_WORKERS=WORKERS, MAX_WORKERS=WORKERS)
        await daemon.ready()

        # when mails are inserted, then the breaker opens, and one worker at a time tries again
        jobs = await insert(place.owner, FEW)

        async def failing() -> bool:
            answer = await daemon.health()
            return bool(answer) and answer["checks"]["relay"][0]["status"] == "fail"

        await eventually(failing, "/health says that the relay takes no mail")
        began, before = time.monotonic(), proxy.connections
        await eventually(lambda: time.monotonic() - began > WATCHED_SECONDS, "some probes were made")
        probes = proxy.connections - before
        assert 1 <= probes <= MOST_PROBES
        await nothing_lost(place.owner, jobs)

        # and all of them leave once it takes connections, with no attempt spent
        proxy.accept()
        await all_sent(place.owner, jobs, AFTER_REST_SECONDS)
        found = await hold(place.owner, sink, jobs, Bound(), daemon)
        measured(
            f"case 27: refused, {probes} probes in {WATCHED_SECONDS} s by {WORKERS} workers; lost 0, sent twice "
            f"{found.twice}, attempts spent {found.attempts}"
        )


async def test_case_35_a_kept_session_ends_with_421(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    taken: list[bytes] = []

    async def close_the_second_mail(talk: Talk) -> None:
        await talk.greet()
        taken.append(await talk.mail())
        await talk.expect("MAIL")
        await talk.send("421 4.3.2 closing")
        talk.vanish()

    async def take_all(talk: Talk) -> None:
        await talk.greet()
        while True:
            taken.append(await talk.mail())

    async with HostileServer(close_the_second_mail, take_all) as relay:
        # given one worker, whose session the relay closes under its second mail
        daemon = start_daemon(place.dsn(), relay.port, MIN_WORKERS=1, MAX_WORKERS=1)
        await daemon.ready()

        # when there are more mails, then the others leave over a new connection, and no attempt is spent
        jobs = await insert(place.owner, FEW)
        await all_sent(place.owner, jobs)
        await nothing_lost(place.owner, jobs)
        assert len(taken) == FEW
        assert len(relay.talks) == 2
        assert await place.owner.fetchval("SELECT count(*) FROM mailworkers.email_retry_jobs") == 0
        assert await place.owner.fetchval("SELECT max(attempts) FROM mailworkers.email_sends") == 1
        daemon.kill()  # so that no QUIT comes where the script waits for MAIL
        measured(f"case 35: 421 on a kept session: {FEW} mails over {len(relay.talks)} connections, attempts spent 0")


async def test_case_37_one_recipient_of_two_refused(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False, refusals={REFUSED: "550 5.1.1 no such user"}) as sink:
        # given a relay that knows one of two recipients
        daemon = start_daemon(place.dsn(), sink.port)
        await daemon.ready()

        # when a mail goes to both
        jobs = [await place.owner.fetchval(TO_TWO, REFUSED)]
        await all_sent(place.owner, jobs)

        # then it went once to the one, and the record says who refused the other
        await hold(place.owner, sink, jobs, Bound(), daemon)
        assert [mail.rcpt_to for mail in sink.mails] == [("reader1@example.org",)]
        (refused,) = json.loads(await place.owner.fetchval("SELECT refused::text FROM mailworkers.email_sends"))
        assert (refused["email"], refused["code"], refused["enhanced_code"]) == (REFUSED, 550, "5.1.1")
        measured("case 37: 250 and 550: sent once, the refused recipient recorded, sent twice 0")
