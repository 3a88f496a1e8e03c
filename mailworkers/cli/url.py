"""`mailworkers url`"""

from __future__ import annotations

from mailworkers.cli.database import found
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import with_settings
from mailworkers.cli.output import say
from mailworkers.settings import Settings


@with_settings()
def url(settings: Settings) -> None:
    """Print the URL of the database in use, with its password: for psql, or for an application that inserts mails.

    Where no database is given, that is the embedded server, which lives as long as a command uses it: let
    `mailworkers run` go on beside what connects to it.

    [dim]$[/dim] psql "$(mailworkers url)"
    """
    print(run_async(_read(settings), settings))  # noqa: T201 -- its purpose
    if settings.database_url is None:
        say("the embedded server lives as long as a command uses it, such as `mailworkers run`")


async def _read(settings: Settings) -> str:
    async with found(settings) as dsn:
        return dsn
