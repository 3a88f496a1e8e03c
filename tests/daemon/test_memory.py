"""Where memory runs out: a callback ends the daemon, a mail that does not fit waits alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
import uvloop

from mailworkers.daemon import preparing
from mailworkers.daemon.memory import watched
from mailworkers.mail.composer import Headed, finished
from mailworkers.mail.message import WireMail
from mailworkers.settings import Settings
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


@pytest.mark.parametrize("factory", LOOPS)
@pytest.mark.parametrize(("error", "ends"), [(MemoryError, 1), (ValueError, 0)])
def test_what_a_callback_raises(
    factory: Callable[[], asyncio.AbstractEventLoop], error: type[Exception], ends: int
) -> None:
    ended: list[int] = []
    told: list[dict[str, Any]] = []

    def fail() -> None:
        raise error

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        before = loop.get_exception_handler()
        with watched(lambda: ended.append(1)):
            loop.call_soon(fail)
            loop.call_later(0.0, fail)
            loop.call_later(0.001, over.set_result, None)
            await over
        assert loop.get_exception_handler() is before

    def tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        told.append(context)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(tell)
        runner.run(scene())

    assert (len(ended), len(told)) == (2 * ends, 2)
    assert all(isinstance(context["exception"], error) for context in told)


async def test_a_mail_that_does_not_fit_costs_its_own_attempt_and_nothing_else(
    settings: Settings, app_connection: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def composed(begun: Headed) -> WireMail:
        if begun.message.subject == "huge":
            raise MemoryError
        return finished(begun)

    monkeypatch.setattr(preparing, "finished", composed)
    owner = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    async with Sink() as sink, running_daemon(settings.model_copy(update={"smtp_port": sink.port})):
        (huge,) = await insert(app_connection, subject="huge")
        await insert(app_connection, 3)

        async def put_off() -> bool:
            return bool(
                await owner.fetchval("SELECT status FROM mailworkers.email_jobs WHERE id = $1", huge) == "retrying"
            )

        await eventually(put_off, "the mail that does not fit is put off")
        await eventually(lambda: len(sink.mails) == 3, "the others are sent")
    failure = await owner.fetchrow("SELECT job_id, attempt, class, text FROM mailworkers.email_retry_jobs")
    assert tuple(failure) == (huge, 1, "system", "no memory was left to compose it")
    await owner.close(timeout=10)
