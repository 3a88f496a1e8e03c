"""`mailworkers run`"""

from __future__ import annotations

import shlex
import sys

import structlog
import typer

from mailworkers.cli.database import found
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import with_settings
from mailworkers.cli.output import say
from mailworkers.settings import Settings

log = structlog.get_logger(__name__)

OVERRIDES = (
    "smtp_host",
    "smtp_port",
    "smtp_user",
    "smtp_tls",
    "from_email",
    "instance",
    "min_workers",
    "max_workers",
    "target_per_hour",
    "worker_rate_per_minute",
    "worker_rate_per_hour",
    "drain_seconds",
    "http_host",
    "http_port",
    "log_level",
    "log_format",
    "event_loop",
)


@with_settings(*OVERRIDES)
def run(settings: Settings) -> None:
    """Run the daemon until SIGTERM or Ctrl-C.

    It claims what is due, sends it, and records what became of it. On the first signal it takes nothing new and lets
    the mails in flight end; a second Ctrl-C forces the exit. SIGHUP reads the settings again. Passwords belong into
    the environment or a file, not into an option: others on this machine can read a command line.

    [dim]$[/dim] mailworkers run                                                  everything from the environment
    [dim]$[/dim] mailworkers run --config /etc/mailworkers/mailworkers.toml       from a file
    [dim]$[/dim] mailworkers run --smtp-host 127.0.0.1 --smtp-port 1025           to a mail catcher
    """
    code = run_async(_run(settings), settings)
    raise typer.Exit(code)


async def _run(settings: Settings) -> int:
    from mailworkers.daemon.collector import calm_collector  # noqa: PLC0415 -- no other command waits for these
    from mailworkers.daemon.supervisor import run as run_daemon  # noqa: PLC0415
    from mailworkers.web.server import WebServer  # noqa: PLC0415

    class Page(WebServer):
        async def start(self) -> None:
            await super().start()
            relay = f"{settings.smtp_host}:{settings.relay_port}"
            log.info("health page", url=f"{self.url}/health", relay=relay, tls=settings.tls)

    async with found(settings) as dsn:
        if settings.database_url is None:
            say(_how_to_reach(dsn))
        return await run_daemon(settings, dsn, make_page=Page, on_ready=lambda _running: calm_collector())


def _how_to_reach(dsn: str) -> str:
    """The embedded server's URL for a person; a file or the journal, which others may read, gets no password."""
    shown = shlex.quote(dsn) if sys.stderr.isatty() else '"$(mailworkers url)"'
    return f"reach it, while this runs, with: psql {shown}"
