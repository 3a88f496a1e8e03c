"""The daemon's HTTP server: liveness, readiness, health and metrics, and whatever is mounted beside them.

Every page here is made from memory: none runs a query, so that asking often, or while the database is down, costs nothing.
"""

from __future__ import annotations

import errno
import hmac
import json
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web, web_response
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.vitals import Vitals
from mailworkers.errors import MailworkersError, PortInUse, SettingsError
from mailworkers.settings import Settings
from mailworkers.web import health

SHUTDOWN_SECONDS = 2.0  # all pages are made at once; what is slower than this is a client that does not read
KEEPALIVE_SECONDS = 30.0  # also what a client may take to send its request's head; scrapers come each 15 s
BODY_BYTES = 64 * 1024  # no page here takes a body; what is mounted sets its own
LINE_BYTES = 8190  # of the request line and of each header
HEADERS = 64
LINGER_SECONDS = 1.0  # for the rest of a body that nobody wanted

HEALTH_TYPE = "application/health+json"
OPEN_PAGES = ("/livez", "/readyz", "/health")  # probes carry no key; what these say without one gives nothing away
PAGES = (*OPEN_PAGES, "/metrics")
GUARDS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

# aiohttp's own names its version and Python's, has no setting, and answers to malformed requests pass no signal.
web_response.SERVER_SOFTWARE = "mailworkers"  # type: ignore[attr-defined]

log = structlog.get_logger(__name__)


class WebServer:
    """Serves one daemon's pages from `start()` to `stop()`.

    Args:
        settings: HTTP_HOST, HTTP_PORT (0 chooses a free port) and API_KEY.
        vitals: what health is read from.
        metrics: what /metrics shows.
        mounts: further applications by their prefix, such as {"/api": …}; they ask for the key like /metrics.
    """

    def __init__(
        self,
        settings: Settings,
        vitals: Vitals,
        metrics: Metrics,
        mounts: Mapping[str, web.Application] | None = None,
    ) -> None:
        self._settings = settings
        self._vitals = vitals
        self._metrics = metrics
        self._key = settings.api_key.get_secret_value().encode()
        self._mounts = dict(mounts or {})
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        addresses = self._runner.addresses if self._runner else []
        return int(addresses[0][1]) if addresses else self._settings.http_port

    @property
    def url(self) -> str:
        """Where it can be reached, without a slash at the end."""
        host = self._settings.http_host.strip("[]")
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUse: another process has the address.
            SettingsError: the host is no address of this machine, or the port needs a right that this user lacks.
        """
        runner = web.AppRunner(
            self._application(),
            access_log=None,  # a line a probe would be the loudest thing in the log
            shutdown_timeout=SHUTDOWN_SECONDS,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
            lingering_time=LINGER_SECONDS,
        )
        await runner.setup()
        host, port = self._settings.http_host.strip("[]"), self._settings.http_port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise _why_not(error, host, port) from None
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening, let answers that are on their way finish, within SHUTDOWN_SECONDS. May be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=BODY_BYTES, middlewares=[self._answer_errors, self._ask_for_key])
        application.router.add_get("/livez", self._livez)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/health", self._health)
        application.router.add_get("/metrics", self._metrics_page)
        for prefix, mounted in self._mounts.items():
            application.add_subapp(prefix, mounted)
        return application

    async def _livez(self, _request: web.Request) -> web.Response:
        return _answer(HTTPStatus.OK, {"status": "pass"}, HEALTH_TYPE)

    async def _readyz(self, request: web.Request) -> web.Response:
        missing = health.unready(self._examine())
        body = health.report("fail" if missing else "pass", missing, detailed=self._may_read_details(request))
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK, body, HEALTH_TYPE)

    async def _health(self, request: web.Request) -> web.Response:
        checks = self._examine()
        status = health.overall(checks.values())
        body = health.report(status, checks, detailed=self._may_read_details(request))
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE if status == "fail" else HTTPStatus.OK, body, HEALTH_TYPE)

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST, **GUARDS})

    def _examine(self) -> dict[str, health.Check]:
        return health.examine(self._vitals, time.monotonic(), health.Thresholds.of(self._settings))

    def _may_read_details(self, request: web.Request) -> bool:
        """Without a key, only this machine can ask (settings hold that); with one, whoever has it."""
        return not self._key or self._has_key(request)

    def _has_key(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._key)

    @web.middleware
    async def _ask_for_key(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        found = request.match_info.http_exception is None
        if found and request.path not in OPEN_PAGES and not self._may_read_details(request):
            body = {"error": "this page needs the API key", "hint": "Send it as `Authorization: Bearer …`"}
            return _answer(HTTPStatus.UNAUTHORIZED, body, headers={"WWW-Authenticate": 'Bearer realm="mailworkers"'})
        return await handler(request)

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every error is JSON, and none carries more than its name."""
        try:
            return await handler(request)
        except web.HTTPNotFound:
            body = {"error": "there is no such page", "pages": [*PAGES, *self._mounts]}
            return _answer(HTTPStatus.NOT_FOUND, body)
        except web.HTTPMethodNotAllowed as error:
            allow = ", ".join(sorted(error.allowed_methods))
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": f"use {allow}"}, headers={"Allow": allow})
        except web.HTTPError as error:
            return _answer(HTTPStatus(error.status), {"error": error.reason.lower()})
        except Exception:  # a page must not end anything else
            log.exception("page failed", path=request.path)
            return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "this page failed; the log says why"})


def _answer(
    status: HTTPStatus,
    body: Mapping[str, Any],
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    return web.json_response(
        body,
        status=status,
        content_type=content_type,
        headers={**GUARDS, **(headers or {})},
        dumps=partial(json.dumps, indent=2, ensure_ascii=False),
    )


def _why_not(error: OSError, host: str, port: int) -> MailworkersError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"the health page cannot listen on {host} port {port}: another program does",
            "Stop that program, or set MAILWORKERS_HTTP_PORT (0 chooses a free port)",
        )
    if error.errno == errno.EACCES:
        return SettingsError(
            f"the health page may not listen on {host} port {port}", "Set MAILWORKERS_HTTP_PORT to one above 1023"
        )
    return SettingsError(
        f"the health page cannot listen on {host} port {port}: {error.strerror or error}",
        "Set MAILWORKERS_HTTP_HOST to an address of this machine",
    )
