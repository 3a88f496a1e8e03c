"""Bringing a server up in a home where nobody keeps one."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import sys
from collections.abc import Mapping

from mailworkers.db.embedded import keeper
from mailworkers.db.embedded.account import Account, account_for, program_environment
from mailworkers.db.embedded.binaries import choose, reachable
from mailworkers.db.embedded.cluster import make_data
from mailworkers.db.embedded.configuration import rendered
from mailworkers.db.embedded.failures import OTHER_DATABASE, OTHER_HOME, explained
from mailworkers.db.embedded.home import Home
from mailworkers.errors import EmbeddedServerError

LOG_BYTES = 10 * 1024 * 1024  # a start begins a new log when it is larger, and keeps one older


def boot(home: Home, settings: Mapping[str, str], kept: int) -> None:
    """Start the server of `home` under a keeper, making the data directory first if there is none.

    Args:
        home: a folder of ours. The caller is the only one who starts in it, and counts as a user already.
        settings: PostgreSQL settings that differ from ours.
        kept: the home's keeper lock, held; it passes over to the keeper.

    Raises:
        EmbeddedServerError: it cannot be started.
        OSError: a file could not be written.
    """
    majors = home.majors()
    account = account_for(home.data(majors[0]) if majors else None)
    _let_in(home, account)
    installation = reachable(choose(home), account, home)
    _make_sockets(home, account)
    if not majors:
        make_data(home, installation, account, durable=settings.get("fsync", "on") == "on")
    data = home.data(installation.major)
    home.configuration.write_text(rendered(settings, data, home.sockets), encoding="utf-8")
    home.configuration.chmod(0o644)  # the account must read it; it holds no secret
    plan = keeper.Plan(
        users_lock=str(home.users_lock),
        data=str(data),
        sockets=str(home.sockets),
        command=[str(installation.bin / "postgres"), "-D", str(data), "-c", f"config_file={home.configuration}"],
        mark=home.mark,
        uid=account.uid,
        gid=account.gid,
        switched=account.switched,
        environment=program_environment(),
    )
    _start_keeper(home, plan, kept)


def _let_in(home: Home, account: Account) -> None:
    if account.switched and not account.can("-x", home.path):
        # To be entered, not listed; every file in it has its own rights. The folders above are not ours to open.
        home.path.chmod(stat.S_IMODE(home.path.stat().st_mode) | 0o011)
    if not account.can("-x", home.path):
        raise EmbeddedServerError(
            f"the embedded server runs as {account.name}, who cannot enter {home.path}",
            f"Choose a folder outside of private ones with MAILWORKERS_DATA_DIR, or {OTHER_DATABASE}",
        )


def _make_sockets(home: Home, account: Account) -> None:
    sockets = home.sockets
    sockets.mkdir(mode=0o700, exist_ok=True)
    found = sockets.lstat()
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not private or found.st_uid not in (os.geteuid(), account.uid):
        raise EmbeddedServerError(f"{sockets} is not a private folder of {account.name}", f"Remove it, or {OTHER_HOME}")
    account.own(sockets)


def _start_keeper(home: Home, plan: keeper.Plan, kept: int) -> None:
    if home.log.exists() and home.log.stat().st_size > LOG_BYTES:
        home.log.replace(home.log.with_suffix(".log.1"))
    home.log.touch(mode=0o600)
    with home.log.open("ab") as log:
        begin = log.tell()
        process = subprocess.Popen(  # noqa: S603 -- this very Python
            [sys.executable, "-I", "-S", keeper.__file__, plan.to_json()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=program_environment(),
            pass_fds=(kept,),  # so that the keeper holds that lock from its first moment on
            start_new_session=True,  # no terminal's Ctrl-C reaches the server
        )
    with process:  # ends at once: the keeper is its child
        ready = _first_line(process)
    if ready != keeper.READY:
        with home.log.open("rb") as log:
            log.seek(begin)
            said = log.read().decode(errors="replace")
        raise explained("the embedded server did not start", said, home.path, home.log)


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], keeper.START_SECONDS)
    return process.stdout.readline() if readable else b""
