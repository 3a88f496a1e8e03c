"""The pages as probes, scrapers and people get them, from a real server on loopback."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.vitals import Vitals
from mailworkers.errors import PortInUse, SettingsError
from mailworkers.settings import Settings
from mailworkers.web import server
from mailworkers.web.server import WebServer

KEY = "mw_0123456789abcdef"
BEARER = {"Authorization": f"Bearer {KEY}"}
TIMEOUT = 10.0  # seconds that no answer on loopback takes
LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


def running() -> Vitals:
    now = time.monotonic()
    return Vitals(phase="running", last_claim=now, last_heartbeat=now, max_unwritten=400, instance="vps-1")


def settings(**changes: Any) -> Settings:
    return Settings(**{"http_port": 0, **changes})


class Site:
    """A started server, its vitals, and a client."""

    def __init__(self, vitals: Vitals, web_server: WebServer, client: aiohttp.ClientSession) -> None:
        self.vitals = vitals
        self.server = web_server
        self._client = client

    async def get(self, path: str, method: str = "GET", **options: Any) -> aiohttp.ClientResponse:
        answer = await self._client.request(method, self.server.url + path, **options)
        await answer.read()
        return answer


Start = Callable[..., Awaitable[Site]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts servers, and ends them after the test."""
    sites: list[WebServer] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as client:

        async def started(mounts: dict[str, web.Application] | None = None, **changes: Any) -> Site:
            vitals, metrics = running(), Metrics()
            metrics.watch(vitals)
            site = WebServer(settings(**changes), vitals, metrics, mounts)
            await site.start()
            sites.append(site)
            return Site(vitals, site, client)

        yield started
        for site in sites:
            await site.stop()


async def test_a_daemon_that_is_well(start: Start) -> None:
    site = await start()

    for path in ("/livez", "/readyz", "/health"):
        answer = await site.get(path)
        assert answer.status == 200
        assert answer.content_type == "application/health+json"
        assert (await answer.json(content_type=None))["status"] == "pass"


async def test_health_fails_and_warns_by_status_code(start: Start) -> None:
    site = await start()

    site.vitals.resting_lanes = {"acme/": "421 slow down"}
    warned = await site.get("/health")
    site.vitals.database_problem = "connection refused"
    failed = await site.get("/health")
    alive = await site.get("/livez")

    assert (warned.status, (await warned.json(content_type=None))["status"]) == (200, "warn")
    body = await failed.json(content_type=None)
    assert (failed.status, body["status"]) == (503, "fail")
    (check,) = body["checks"]["database"]
    assert check["status"] == "fail"
    assert check["output"] == "The database does not answer. connection refused"
    assert check["action"].startswith("Check that PostgreSQL runs")
    assert alive.status == 200, "the process lives, whatever it meets"


async def test_readiness_ends_with_the_drain_and_says_why(start: Start) -> None:
    site = await start()

    site.vitals.phase = "draining"
    answer = await site.get("/readyz")

    assert answer.status == 503
    body = await answer.json(content_type=None)
    assert (body["status"], list(body["checks"])) == ("fail", ["phase"])


async def test_metrics_are_what_prometheus_reads(start: Start) -> None:
    site = await start()

    answer = await site.get("/metrics")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(await answer.text())}
    assert {"mailworkers_sends", "mailworkers_insert_to_sent_seconds", "mailworkers_workers"} <= names


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics"])
async def test_head_answers_like_get_without_a_body(start: Start, path: str) -> None:
    site = await start()

    answer = await site.get(path, "HEAD")

    assert answer.status == 200
    assert await answer.read() == b""


async def test_an_unknown_page_is_answered_with_those_there_are(start: Start) -> None:
    site = await start()

    answer = await site.get("/helth")

    assert answer.status == 404
    assert await answer.json() == {
        "error": "there is no such page",
        "pages": ["/livez", "/readyz", "/health", "/metrics"],
    }


async def test_a_wrong_method_is_answered_with_the_right_ones(start: Start) -> None:
    site = await start()

    answer = await site.get("/health", "POST", data=b"x" * 1000)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert (await answer.json()) == {"error": "use GET, HEAD"}


async def test_with_a_key_metrics_ask_for_it(start: Start) -> None:
    site = await start(api_key=KEY)

    for wrong in ({}, {"Authorization": "Bearer nope"}, {"Authorization": KEY}, {"Authorization": "Bearer schlüssel"}):
        refused = await site.get("/metrics", headers=wrong)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        assert b"mailworkers_sends" not in await refused.read()

    assert (await site.get("/metrics", headers=BEARER)).status == 200
    assert (await site.get(f"/metrics?api_key={KEY}")).status == 401, "a key in a URL ends up in logs"


async def test_with_a_key_health_stays_open_and_gives_nothing_away(start: Start) -> None:
    site = await start(api_key=KEY)
    site.vitals.database_problem = "no answer from db.test:5432"
    site.vitals.resting_lanes = {"acme/gmail.test": "421 slow down"}

    stranger = await site.get("/health")
    friend = await site.get("/health", headers=BEARER)

    assert stranger.status == friend.status == 503
    told = await stranger.text()
    assert "db.test" not in told
    assert "acme" not in told
    assert "The database does not answer." in told
    assert "db.test:5432" in await friend.text()


async def test_no_answer_names_a_version(start: Start) -> None:
    site = await start()

    answers = [await site.get(path) for path in ("/health", "/nowhere", "/metrics")]
    malformed = await _raw(site.server.port, b"NOT HTTP\r\n\r\n")

    assert {answer.headers["Server"] for answer in answers} == {"mailworkers"}
    assert malformed.startswith(b"HTTP/1.0 400")
    assert b"Server: mailworkers\r\n" in malformed
    assert not re.search(rb"aiohttp|Python", malformed)


async def test_answers_are_for_no_cache(start: Start) -> None:
    site = await start()

    answer = await site.get("/health")

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_heads_are_bounded(start: Start) -> None:
    site = await start()

    long_line = await _raw(site.server.port, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    many = b"".join(b"X-%d: y\r\n" % n for n in range(200))
    many_headers = await _raw(site.server.port, b"GET /livez HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n")

    assert long_line.startswith(b"HTTP/1.0 400")
    assert many_headers.startswith(b"HTTP/1.0 400")


async def test_a_client_that_never_finishes_its_request_is_dropped(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "KEEPALIVE_SECONDS", 0.05)
    site = await start()

    assert await _raw(site.server.port, b"GET /livez HTTP/1.1\r\nHost") == b""


async def test_a_page_that_breaks_tells_nothing_and_ends_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    site = await start()
    with monkeypatch.context() as broken:
        broken.setattr(site.server._metrics, "page", lambda: 1 / 0)
        answer = await site.get("/metrics")

    assert answer.status == 500
    assert await answer.json() == {"error": "this page failed; the log says why"}
    assert (await site.get("/metrics")).status == 200


async def test_what_is_mounted_asks_for_the_key_too(start: Start) -> None:
    async def jobs(_request: web.Request) -> web.Response:
        return web.json_response([])

    api = web.Application()
    api.router.add_get("/jobs", jobs)
    site = await start({"/api": api}, api_key=KEY)

    assert (await site.get("/api/jobs")).status == 401
    assert (await site.get("/api/jobs", headers=BEARER)).status == 200
    assert "/api" in (await (await site.get("/nowhere")).json())["pages"]


@pytest.mark.parametrize("factory", LOOPS)
def test_a_port_in_use_is_one_clear_error(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        site = WebServer(settings(http_port=port), Vitals(), Metrics())
        with asyncio.Runner(loop_factory=factory) as runner, pytest.raises(PortInUse) as caught:
            runner.run(site.start())

    assert caught.value.message == f"the health page cannot listen on 127.0.0.1 port {port}: another program does"
    assert "MAILWORKERS_HTTP_PORT" in caught.value.hint


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_ours_is_one_clear_error(host: str) -> None:
    site = WebServer(settings(http_host=host, api_key=KEY), Vitals(), Metrics())

    with pytest.raises(SettingsError, match=re.escape(host)):
        await site.start()
    await site.stop()


@pytest.mark.parametrize("factory", LOOPS)
def test_it_starts_and_stops_at_once_on_both_loops(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def life() -> float:
        site = WebServer(settings(), running(), Metrics())
        await site.start()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(site.url, timeout=timeout) as client, client.get("/health") as answer:
            assert answer.status == 200
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(b"GET /livez HTTP/1.1\r\n")  # and never the rest
            await writer.drain()
            began = time.monotonic()
            await site.stop()
            await site.stop()
            took = time.monotonic() - began
            assert await asyncio.wait_for(reader.read(), TIMEOUT) == b""
            writer.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", site.port)
        return took

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(life()) < server.SHUTDOWN_SECONDS + 1


def test_its_address_reads_as_a_url_before_it_listens_too() -> None:
    assert WebServer(settings(http_port=8025), Vitals(), Metrics()).url == "http://127.0.0.1:8025"
    assert WebServer(settings(http_port=8025, http_host="::1"), Vitals(), Metrics()).url == "http://[::1]:8025"


async def _raw(port: int, request: bytes) -> bytes:
    """What the server says to these bytes until it closes."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer
