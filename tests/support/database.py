"""A PostgreSQL server for the tests: the one given, a container, or the embedded one; and databases cloned on it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from mailworkers.db.embedded import EmbeddedServer
from mailworkers.db.migrate import migrate

GIVEN = "MAILWORKERS_TEST_DATABASE_URL"
IMAGE = "postgres:17-alpine"
ENGINE_SECONDS = 3  # a Docker engine that hangs must not hang the tests
STATEMENT_SECONDS = 60.0
# What the tests write is thrown away. A test of durability starts a server of its own.
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
CONNECTIONS = {"max_connections": "200"}

T = TypeVar("T")


@contextmanager
def postgresql() -> Iterator[str]:
    """The DSN of a server on which databases and roles may be made."""
    with ExitStack() as stack:
        given = os.environ.get(GIVEN)
        yield given or _container(stack) or _embedded(stack)


class Databases:
    """Makes and drops databases, in a thread with a loop of its own: for tests with and without a loop alike."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="test-databases")
        self._runner = asyncio.Runner()
        self._connection: Any = None
        self._template: str | None = None

    def __enter__(self) -> Self:
        self._connection = self._run(
            lambda: asyncpg.connect(self._server, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS)
        )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._template is not None:
                self.drop(self._template)
            self._run(lambda: self._connection.close(timeout=ENGINE_SECONDS))
        finally:
            self._thread.submit(self._runner.close).result()
            self._thread.shutdown()

    def blank(self) -> str:
        """The DSN of a new, empty database in UTF8."""
        return self._make("TEMPLATE template0 ENCODING 'UTF8'")

    def migrated(self) -> str:
        """The DSN of a new database with the schema in it."""
        if self._template is None:
            template = self.blank()
            self._run(lambda: migrate(template, "mailworkers"))
            self._template = template
        return self._make(f'TEMPLATE "{_name(self._template)}"')

    def drop(self, dsn: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._execute(f'DROP DATABASE IF EXISTS "{_name(dsn)}" WITH (FORCE)')

    def _make(self, how: str) -> str:
        name = f"mailworkers_test_{secrets.token_hex(6)}"
        self._execute(f'CREATE DATABASE "{name}" {how}')
        return urlunsplit(urlsplit(self._server)._replace(path=f"/{name}"))

    def _execute(self, statement: str) -> None:
        self._run(lambda: self._connection.execute(statement))

    def _run(self, coroutine: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._thread.submit(lambda: self._runner.run(coroutine())).result(STATEMENT_SECONDS)


def _name(dsn: str) -> str:
    return urlsplit(dsn).path.lstrip("/")


def _embedded(stack: ExitStack) -> str:
    # Not where TMPDIR says: root's server runs as somebody else, who must reach it; and a socket's path must be short.
    home = Path(tempfile.mkdtemp(prefix="mailworkers-tests-", dir="/tmp"))
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    server = EmbeddedServer(home, {**UNSAFE, **CONNECTIONS})
    stack.callback(server.stop)
    return server.start()


def _container(stack: ExitStack) -> str | None:
    """A container's DSN, or None where there is no Docker engine or it cannot get the image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Docker's client forgets its socket when nobody answers
        answers = _engine_answers()
        gc.collect()
    return _container_started(stack) if answers else None


def _engine_answers() -> bool:
    from docker.errors import DockerException  # type: ignore[import-untyped]  # noqa: PLC0415 -- slow to import, and only looked for once
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415

    try:
        engine = DockerClient(timeout=ENGINE_SECONDS).client
        try:
            return bool(engine.ping())
        finally:
            engine.close()
    except (DockerException, OSError):
        return False


def _container_started(stack: ExitStack) -> str | None:
    from docker.errors import DockerException  # noqa: PLC0415
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    options = [part for name, value in {**UNSAFE, **CONNECTIONS}.items() for part in ("-c", f"{name}={value}")]
    try:
        container = PostgresContainer(IMAGE, driver=None).with_command(["postgres", *options])
        return str(stack.enter_context(container).get_connection_url())
    except (DockerException, OSError, TimeoutError) as problem:
        logging.getLogger(__name__).warning("no container for the tests, trying the embedded server: %s", problem)
        return None
