"""Run one coroutine on the event loop that the settings ask for."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mailworkers.errors import SettingsError
from mailworkers.settings import Settings

Result = TypeVar("Result")


def run_async(work: Coroutine[Any, Any, Result], settings: Settings) -> Result:
    """Run `work` to its end and return what it returns. Ctrl-C cancels it and raises KeyboardInterrupt afterwards.

    Raises:
        SettingsError: EVENT_LOOP asks for uvloop, which is not installed.
    """
    try:
        factory = loop_factory(settings)
    except SettingsError:
        work.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None for asyncio's own."""
    if settings.event_loop == "asyncio":
        return None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415 -- it is not installed everywhere

        return uvloop.new_event_loop
    if settings.event_loop == "uvloop":
        raise SettingsError("MAILWORKERS_EVENT_LOOP is uvloop, which is not installed", "Install uvloop, or set auto")
    return None
