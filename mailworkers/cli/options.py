"""Options that override settings. Their help comes from settings.py, so that it cannot go stale."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from mailworkers.cli.ending import DEBUG_VARIABLE
from mailworkers.cli.help import flowing
from mailworkers.cli.output import say
from mailworkers.settings import PREFIX, Settings, load, notices

WHERE = ("database_url", "db_schema", "data_dir")  # every command can be told where the database is
SETTINGS_PANEL = "Settings"
_NAMES = {"db_schema": "schema"}

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of a table.")]


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--config`, `--debug` and an option for each named setting, and hand it the loaded `Settings`.

    The command's first parameter receives the settings; typer sees the options in its place. Values are checked by
    settings.py alone, so a bad one reads the same from the command line, the environment and a file.

    Args:
        names: fields of `Settings` beside those that say where the database is.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        overridable = (*WHERE, *names)

        @wraps(command)
        def run(**options: Any) -> None:
            given = {name: options.pop(name) for name in overridable}
            config, debug = options.pop("config"), options.pop("debug")
            if debug:
                os.environ[DEBUG_VARIABLE] = "1"
            if config is not None:
                os.environ[f"{PREFIX}CONFIG"] = str(config)
            for sentence in notices():
                say(sentence)
            command(load(**given), **options)

        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        added = [_option(name) for name in overridable]
        parameters = [*own, *added, *_FRAME]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__doc__ = flowing(command)
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _option(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    flag = f"--{_NAMES.get(name, name).replace('_', '-')}"
    unit = str(extra.get("unit") or "")
    option = typer.Option(
        flag,
        help=(field.description or "").replace("`", ""),
        metavar=unit or _NAMES.get(name, name).rpartition("_")[2],
        rich_help_panel=SETTINGS_PANEL,
        show_default=False,
    )
    return _keyword(name, Annotated[str | None, option], None)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


_FRAME = (
    _keyword(
        "config",
        Annotated[
            Path | None,
            typer.Option(
                "--config",
                help="Settings file in TOML.",
                metavar="file",
                rich_help_panel=SETTINGS_PANEL,
                show_default=False,
            ),
        ],
        None,
    ),
    _keyword(
        "debug",
        Annotated[
            bool,
            typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=SETTINGS_PANEL),
        ],
        False,
    ),
)
