"""Debian's pgbouncer in transaction mode, in front of a test's own server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.support.cluster import SUPERUSER, Cluster
from tests.support.daemon import free_port
from tests.support.waiting import wait_until

STOP_SECONDS = 10.0
PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


class PgBouncer:
    """Use it as `with PgBouncer(cluster, folder) as pooler:`. Everything is at its default but the mode of pooling.

    Args:
        cluster: the server behind it.
        folder: for its configuration; its account must be able to read there.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.port = free_port()
        self._cluster = cluster
        self._folder = folder
        self._log = folder / "pgbouncer.out"
        self._process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str) -> str:
        """How to reach a database through it."""
        return self._cluster.dsn(database, port=self.port)

    @property
    def output(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        users = self._folder / "users.txt"
        users.write_text(f'"{SUPERUSER}" ""\n')
        configuration = self._folder / "pgbouncer.ini"
        configuration.write_text(
            f"""[databases]
* = host=127.0.0.1 port={self._cluster.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
"""
        )
        for path in (users, configuration):
            path.chmod(0o644)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, str(configuration)],
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._cluster.account.run_options(),
            )
        wait_until(lambda: "process up" in self.output, "pgbouncer is up")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_SECONDS)
