"""How the daemon speaks: JSON lines under systemd, readable lines on a terminal, all on standard error.

Rooms log through `structlog.get_logger(__name__)`; what libraries say through the standard library joins the same way.
No INFO line stands for one mail: journald drops what passes 10,000 lines in 30 s, and the record is in SQL.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from mailworkers.daemon.redaction import redact
from mailworkers.errors import MailworkersError

OURS = "mailworkers"
# What libraries say at INFO, such as one line a request, says nothing that our own events do not.
LIBRARIES_FROM = logging.WARNING
SELDOM_SECONDS = 30.0  # a lasting trouble is worth two lines a minute: seen by whoever looks, drowning nothing
SELDOM_EVENTS = 1000  # distinct events remembered; event texts are constants, so this only bounds a mistake

JSON = structlog.processors.JSONRenderer(ensure_ascii=False)
# Syslog's priorities (RFC 5424 §6.2.1), which journald reads from the front of a line (sd-daemon(3)).
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}

Format = Literal["auto", "json", "text"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def configure(level: Level = "INFO", style: Format = "auto", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for the whole process; may be called again.

    Args:
        level: the least that is shown. Below it, DEBUG shows addresses and tracebacks of expected errors too.
        style: `auto` means text on a terminal, else JSON.
        stream: where lines go; standard error where none is given.
    """
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        shorten_expected,
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(style, target)],
        )
    )
    logging.getLogger().handlers[:] = [handler]
    logging.captureWarnings(True)
    set_level(level)


def set_level(level: Level) -> None:
    """Show this and above from now on, as a reload asks for it."""
    chosen = logging.getLevelNamesMapping()[level]
    logging.getLogger(OURS).setLevel(chosen)
    logging.getLogger().setLevel(chosen if chosen == logging.DEBUG else max(chosen, LIBRARIES_FROM))


def shorten_expected(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: an error of our own tree, or one that a library only warns of, becomes one line, unless DEBUG
    is on; a bug keeps its traceback."""
    raised = event.get("exc_info")
    error = sys.exc_info()[1] if raised is True else raised[1] if isinstance(raised, tuple) else raised
    expected = isinstance(error, BaseException) and (event.get("level") == "warning" or _is_expected(error))
    if isinstance(error, BaseException) and expected and not _debugging():
        del event["exc_info"]
        event.setdefault("error", one_line(error))
    return event


def one_line(error: BaseException) -> str:
    """What happened, without a traceback: the message, of a group each one's."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(one_line(inner) for inner in error.exceptions)
    text = " ".join(str(error).split())
    return text if isinstance(error, MailworkersError) else f"{type(error).__name__}: {text}".removesuffix(": ")


class Seldom:
    """Says a repeated event once in a while, with the number of times it was kept back.

    Args:
        log: the logger that speaks.
        every: seconds between two lines with the same event text.
        clock: gives seconds; tests step it.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        every: float = SELDOM_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._every = every
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}  # event → when it was said, times kept back since

    def info(self, event: str, **fields: Any) -> None:
        """Say it at INFO, unless it was said just now."""
        self._say(self._log.info, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Say it at WARNING, unless it was said just now."""
        self._say(self._log.warning, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Say it at ERROR, unless it was said just now."""
        self._say(self._log.error, event, fields)

    def forget(self, event: str) -> None:
        """The trouble is over: its next time is news again."""
        self._said.pop(event, None)

    def _say(self, speak: Callable[..., Any], event: str, fields: dict[str, Any]) -> None:
        now = self._clock()
        said_at, kept_back = self._said.get(event, (-self._every, 0))
        if event in self._said and now - said_at < self._every:
            self._said[event] = (said_at, kept_back + 1)
            return
        if len(self._said) >= SELDOM_EVENTS:
            self._said.clear()
        self._said[event] = (now, 0)
        speak(event, **fields, **({"repeated": kept_back} if kept_back else {}))


def _renderer(style: Format, stream: TextIO) -> tuple[Processor, ...]:
    terminal = stream.isatty()
    if style == "json" or (style == "auto" and not terminal):
        return (_priority_prefix if _is_journal(stream) else JSON,)
    return (structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback),)


def _priority_prefix(logger: object, method: str, event: EventDict) -> str:
    """JSON that `journalctl -p warning` can filter."""
    priority = PRIORITIES.get(event.get("level", ""), PRIORITIES["info"])
    return f"<{priority}>{JSON(logger, method, event)!s}"


def _is_expected(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_expected(inner) for inner in error.exceptions)
    return isinstance(error, MailworkersError)


def _debugging() -> bool:
    return logging.getLogger(OURS).isEnabledFor(logging.DEBUG)


def _is_journal(stream: TextIO) -> bool:
    """Whether this stream goes straight to journald: `$JOURNAL_STREAM` names its device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
