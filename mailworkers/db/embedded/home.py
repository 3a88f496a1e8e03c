"""Where the embedded server's files lie."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEM_HOME = Path("/var/lib/mailworkers")  # for root: not below /root, which the server's account cannot enter
SOCKET_FOLDER_BYTES = 85  # sun_path holds 103 bytes on macOS, 107 on Linux; the socket's own name takes 15 and a slash
_DATA_NAME = re.compile(r"data-(\d+)")


def default_home() -> Path:
    """The home where the setting DATA_DIR names none: the user's own, or the system's for root."""
    if os.geteuid() == 0:
        return SYSTEM_HOME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "mailworkers"
    given = os.environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "share"
    return base / "mailworkers"


@dataclass(frozen=True, slots=True)
class Home:
    """The names of all files in one home. `path` is resolved: two ways to one folder must give one server."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> Home:
        return cls(Path(path).expanduser().resolve())

    @property
    def start_lock(self) -> Path:
        """Held while starting or leaving: one at a time."""
        return self.path / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Held shared by every user of the server; the keeper waits to have it alone."""
        return self.path / "users.lock"

    @property
    def keeper_lock(self) -> Path:
        """Held by the keeper as long as it lives."""
        return self.path / "keeper.lock"

    @property
    def password(self) -> Path:
        return self.path / "password"

    @property
    def configuration(self) -> Path:
        return self.path / "mailworkers.conf"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def mark(self) -> str:
        """Stands in the command line of each of the server's processes, so that they are known without a pid file."""
        return "mailworkers-" + hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]

    @property
    def sockets(self) -> Path:
        """The folder of the socket: in the home, or below /tmp where that path cannot stand in a socket's address.

        libpq takes a comma between hosts for a separator, even a quoted one.
        """
        inside = self.path / "socket"
        name = os.fsencode(inside)
        if len(name) <= SOCKET_FOLDER_BYTES and b"," not in name and name.isascii():
            return inside
        return Path("/tmp") / self.mark  # noqa: S108 -- private: made 0700, and refused where somebody else made it

    def data(self, major: int) -> Path:
        """The data directory for one major version; PostgreSQL reads no other's."""
        return self.path / f"data-{major}"

    def majors(self) -> list[int]:
        """The major versions that have a data directory here, newest first."""
        found = (_DATA_NAME.fullmatch(entry.name) for entry in self.path.iterdir())
        return sorted((int(name[1]) for name in found if name), reverse=True)
