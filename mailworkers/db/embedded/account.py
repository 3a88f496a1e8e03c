"""The account that the server runs as. PostgreSQL refuses root, and asks for an entry in the user database."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailworkers.db.embedded.failures import OTHER_DATABASE, OTHER_HOME
from mailworkers.errors import EmbeddedServerError

# The first that exists. `nobody` is on every machine, but shares its files with whatever else runs under that name.
# Not `postgres`: that one owns the system's own clusters, which this server has no business with.
UNPRIVILEGED = ("mailworkers", "nobody")
PRIVATE_UMASK = 0o077
CHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who the server runs as. `switched` where that is not who we are, which takes root."""

    name: str
    uid: int
    gid: int
    switched: bool

    def run_options(self, cwd: Path = Path("/")) -> dict[str, Any]:
        """Arguments for `subprocess` that make a program of PostgreSQL run as this account.

        Use the module `subprocess` itself, in a thread: uvloop's knows neither `user` nor `umask`.
        """
        ids = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switched else {}
        return {"cwd": cwd, "umask": PRIVATE_UMASK, "env": program_environment(), "stdin": subprocess.DEVNULL, **ids}

    def own(self, path: Path) -> None:
        """Give `path`, which we made, to this account."""
        if self.switched:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can(self, flag: str, path: Path) -> bool:
        """Ask as this account what `test flag path` says.

        Raises:
            EmbeddedServerError: we are root in name, but may not change our user.
        """
        if not self.switched:
            return os.access(path, os.X_OK if flag == "-x" else os.R_OK)
        try:
            asked = subprocess.run(  # noqa: S603
                ["test", flag, path],  # noqa: S607 -- from PATH: not in the same folder everywhere
                check=False,
                timeout=CHECK_SECONDS,
                **self.run_options(),
            )
        except PermissionError as problem:
            raise EmbeddedServerError(
                f"PostgreSQL refuses to run as root, and root may not become {self.name} here (no CAP_SETUID)",
                f"Run mailworkers as an ordinary user, or {OTHER_DATABASE}",
            ) from problem
        return asked.returncode == 0


def program_environment() -> dict[str, str]:
    """What PostgreSQL's programs get to see: no PG… variables, no secrets, messages in English."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def refuse_foreign(home: Path) -> None:
    """Raise EmbeddedServerError where `home` is somebody else's: files of ours would lock its owner out."""
    owner, uid = home.stat().st_uid, os.geteuid()
    if owner != uid:
        raise EmbeddedServerError(
            f"{home} belongs to {_name_of(owner)}, and this is {_name_of(uid)}", f"Run as its owner, or {OTHER_HOME}"
        )


def account_for(data: Path | None) -> Account:
    """The account to run the server as.

    Args:
        data: the data directory, if there is one already: as root, its owner goes on.

    Raises:
        EmbeddedServerError: no account fits.
    """
    uid = os.geteuid()
    if uid == 0:
        return _unprivileged(data)
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as user {uid}, which has no entry in /etc/passwd",
            f"Give that user a name, or {OTHER_DATABASE}",
        ) from None
    return Account(entry.pw_name, uid, os.getegid(), switched=False)


def _unprivileged(data: Path | None) -> Account:
    if data is not None and (owner := data.stat().st_uid):
        entries = [entry for entry in pwd.getpwall() if entry.pw_uid == owner]
    else:
        entries = [entry for name in UNPRIVILEGED for entry in pwd.getpwall() if entry.pw_name == name and entry.pw_uid]
    if not entries:
        raise EmbeddedServerError(
            f"PostgreSQL refuses to run as root, and there is no account {' or '.join(UNPRIVILEGED)} to run it as",
            f"Make one with `useradd --system mailworkers`, run as an ordinary user, or {OTHER_DATABASE}",
        )
    first = entries[0]
    return Account(first.pw_name, first.pw_uid, first.pw_gid, switched=True)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
