"""`mailworkers status`"""

from __future__ import annotations

from dataclasses import asdict

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json
from mailworkers.cli.screen import screen
from mailworkers.queue.overview import Overview, read_overview
from mailworkers.settings import Settings
from mailworkers.web.ask import LocalDaemon, ask_local_daemon


@with_settings()
def status(settings: Settings, *, as_json: Json = False) -> None:
    """Show on one screen how everything is doing: daemons, workers, queue, what was sent, what failed.

    Daemons on all hosts are in the database; the one on this host is also asked for what it complains of. It counts
    nothing large: it is as quick with ten million jobs as with ten.

    [dim]$[/dim] mailworkers status
    [dim]$[/dim] mailworkers status --json | jq .queue.waiting
    """
    overview, local = run_async(_read(settings), settings)
    if as_json:
        print_json({**asdict(overview), "local_daemon": local})
    else:
        console().print(screen(overview, settings.db_schema, local))


async def _read(settings: Settings) -> tuple[Overview, LocalDaemon | None]:
    async with opened(settings, READONLY) as database:
        return await read_overview(database.claims), await ask_local_daemon(settings)
