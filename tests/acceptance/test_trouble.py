"""Trouble while a daemon runs never ends it: it says what is wrong, keeps the mails, and goes on when it can."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mailworkers.db.embedded import EmbeddedServer
from mailworkers.db.migrate import migrate
from tests.acceptance.account import account, all_recorded, insert_mails
from tests.acceptance.conftest import CONNECT_SECONDS, STATEMENT_SECONDS, StartDaemon
from tests.support.certificates import Certificates, make_certificates
from tests.support.daemon import DaemonProcess, free_port
from tests.support.embedded import THROWN_AWAY
from tests.support.measured import Measured
from tests.support.sink import Sink
from tests.support.waiting import eventually

MAILS = 2000
MIDDLE = 300
FEW = 20
BACK_SECONDS = 10.0  # from the database's return until mails flow again
# A refused password or certificate needs a person, so that trying again is rare: up to 30 s lie between two tries.
AFTER_A_PERSON_SECONDS = 45.0

UNTOUCHED = """
SELECT count(*) FROM mailworkers.email_jobs AS job
WHERE status = 'waiting' AND attempts = 0
  AND NOT EXISTS (SELECT FROM mailworkers.email_retry_jobs AS failed WHERE failed.job_id = job.id)
"""


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


async def _says(daemon: DaemonProcess, check: str, *words: str) -> None:
    """Wait until `/health` fails because of this check, and the log has these words."""

    async def failing() -> bool:
        answer = await daemon.health()
        return bool(answer) and answer["status"] == "fail" and answer["checks"][check][0]["status"] == "fail"

    await eventually(failing, f"/health says that {check} fails", STATEMENT_SECONDS)
    answer = await daemon.health()
    assert answer["checks"][check][0]["output"]
    assert answer["checks"][check][0]["action"]
    for word in words:
        assert word in daemon.output, daemon.output
    assert "Traceback" not in daemon.output


async def _keeps(owner: Any, mails: int) -> None:
    """Wait until all jobs are free again, none of them with a spent attempt."""

    async def untouched() -> bool:
        return bool(await owner.fetchval(UNTOUCHED) == mails)

    await eventually(untouched, f"{mails} jobs wait without a spent attempt")


async def test_a_relay_that_is_not_there_at_the_start(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon
) -> None:
    # given no relay
    port = free_port()
    daemon = start_daemon(worker_url, port)
    await daemon.ready()

    # when mails are inserted, they wait, and the daemon says why
    await insert_mails(app_connection, FEW)
    await _says(daemon, "relay", "refused")
    await _keeps(owner, FEW)

    # then they go out when there is a relay
    async with Sink(port=port) as sink:
        await all_recorded(owner, FEW)
        found = await account(owner, sink)
        assert (found.mails, found.lost, found.twice, found.strays) == (FEW, 0, 0, 0)


@pytest.mark.parametrize("wrong", ["wrong_name", "password"])
async def test_a_relay_that_cannot_be_trusted_or_refuses_us(
    wrong: str,
    app_connection: Any,
    owner: Any,
    worker_url: str,
    start_daemon: StartDaemon,
    certificates: Certificates,
) -> None:
    good = {"letters": "secret"}
    bad = {"letters": "another"} if wrong == "password" else good
    context = certificates.good if wrong == "password" else getattr(certificates, wrong)

    # given a relay whose certificate is not good, or which does not take our password
    async with Sink(tls=context, credentials=bad) as refusing:
        port = refusing.port
        daemon = start_daemon(
            worker_url,
            port,
            SMTP_TLS="required",
            SMTP_CA_FILE=certificates.authority,
            SMTP_USER="letters",
            SMTP_PASSWORD="secret",
        )
        await daemon.ready()

        # when mails are inserted, they wait, and the daemon says why
        await insert_mails(app_connection, FEW)
        await _says(daemon, "relay", "535" if wrong == "password" else "certificate")
        await _keeps(owner, FEW)
        assert not refusing.mails

    # then they go out when somebody has mended it
    async with Sink(port=port, tls=certificates.good, credentials=good) as sink:
        await all_recorded(owner, FEW, AFTER_A_PERSON_SECONDS)
        assert all(mail.encrypted and mail.user == "letters" for mail in sink.mails)
        found = await account(owner, sink)
        assert (found.mails, found.lost, found.twice, found.strays) == (FEW, 0, 0, 0)


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL that the test may stop and start."""
    # Not below pytest's private folder: for root, the server is somebody else who could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="mailworkers-test-", dir="/tmp"))
    folder.chmod(0o711)
    server = EmbeddedServer(folder / "home", THROWN_AWAY)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def own_url(own_server: EmbeddedServer) -> str:
    url = await asyncio.to_thread(own_server.start)
    await migrate(url)
    return url


async def test_a_database_that_is_restarted(
    own_server: EmbeddedServer, own_url: str, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work
        daemon = start_daemon(own_url, sink.port)
        await daemon.ready()
        application = await _connected(own_url)
        await insert_mails(application, MAILS)
        await application.close()
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when its database goes, it lives on and says so
        await asyncio.to_thread(own_server.stop)

        async def unready() -> bool:
            return await daemon.status("/readyz") == 503

        await eventually(unready, "/readyz says that nothing goes", STATEMENT_SECONDS)
        await _says(daemon, "database")
        assert await daemon.status("/livez") == 200

        # then it goes on when the database is back, loses nothing and sends nothing twice
        assert await asyncio.to_thread(own_server.start) == own_url
        back = time.monotonic()
        await eventually(daemon.is_ready, "the daemon is ready again", BACK_SECONDS)
        seconds = time.monotonic() - back
        owner = await _connected(own_url)
        try:
            await all_recorded(owner, MAILS)
            found = await account(owner, sink)
        finally:
            await owner.close()
        measured(
            f"database stopped and started after {MIDDLE} of {MAILS} mails: ready {seconds:.2f} s after its return; "
            f"lost {found.lost}, sent twice {found.twice}"
        )
        assert (found.mails, found.lost, found.twice, found.strays) == (MAILS, 0, 0, 0)


async def _connected(url: str) -> Any:
    return await asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
