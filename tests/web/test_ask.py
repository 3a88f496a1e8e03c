"""Asking this host's daemon what it complains of."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.vitals import Vitals
from mailworkers.settings import Settings
from mailworkers.web import ask
from mailworkers.web.ask import ask_local_daemon
from mailworkers.web.server import WebServer


async def test_what_does_not_pass_comes_with_what_to_do() -> None:
    vitals = Vitals(phase="running", relay_problem="bad certificate", resting_lanes={"shop → bigmail": "throttled"})
    server = WebServer(Settings(http_port=0, api_key="key"), vitals, Metrics())
    await server.start()
    port = server.port
    try:
        local = await ask_local_daemon(Settings(http_port=port, api_key="key"))
    finally:
        await server.stop()

    assert local is not None
    assert local.url == f"http://127.0.0.1:{port}"
    told = {complaint.check: complaint for complaint in local.complaints}
    assert told["relay"].status == "fail"
    assert "bad certificate" in told["relay"].output
    assert told["relay"].action
    assert "shop → bigmail: throttled" in told["resting_lanes"].output
    assert "phase" not in told


async def test_nobody_there() -> None:
    assert await ask_local_daemon(Settings(http_port=1)) is None
    assert await ask_local_daemon(Settings(http_port=0)) is None


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"220 mail ready\r\n", None]
)
async def test_another_program_on_that_port(answer: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "ANSWER_SECONDS", 0.3)

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if answer is not None:
            writer.write(answer)
            writer.close()
        gone.set()

    gone = asyncio.Event()
    talks: list[asyncio.StreamWriter] = []

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(writer)
        await other(reader, writer)

    async with await asyncio.start_server(kept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await ask_local_daemon(Settings(http_port=port)) is None
        await asyncio.wait_for(gone.wait(), 5)
    for writer in talks:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
