"""Asking the health page of the daemon on this host what it complains of: lanes at rest, the relay, late loops."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mailworkers.settings import Settings

ANSWER_SECONDS = 1.0  # from memory, on this host: whoever takes longer is not asked again
MOST_BYTES = 256 * 1024
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- where to ask a page that listens everywhere


@dataclass(frozen=True, slots=True)
class Complaint:
    """One check that does not pass: what is the matter, and what to do."""

    check: str
    status: str
    output: str
    action: str


@dataclass(frozen=True, slots=True)
class LocalDaemon:
    """What answered at `url`."""

    url: str
    complaints: tuple[Complaint, ...]


async def ask_local_daemon(settings: Settings) -> LocalDaemon | None:
    """What the daemon at HTTP_HOST and HTTP_PORT says of itself; None where none answers as one of ours does."""
    import aiohttp  # noqa: PLC0415 -- most commands ask nobody, and it takes a while to import

    if not settings.http_port:
        return None
    host = settings.http_host.strip("[]")
    host = ANY_ADDRESS.get(host, host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}"
    key = settings.api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{url}/health") as page,
        ):
            body = await page.content.read(MOST_BYTES)
        return LocalDaemon(url, _complaints(json.loads(body)))
    except (aiohttp.ClientError, TimeoutError, ValueError, TypeError, KeyError, AttributeError):
        return None  # nobody there, or another program


def _complaints(report: Any) -> tuple[Complaint, ...]:
    return tuple(
        Complaint(name, check["status"], check.get("output", ""), check.get("action", ""))
        for name, [check] in report["checks"].items()
        if check["status"] != "pass"
    )
