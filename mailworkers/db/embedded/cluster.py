"""Making the data directory: whole, or not there."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mailworkers.db.embedded.account import Account
from mailworkers.db.embedded.binaries import Installation
from mailworkers.db.embedded.failures import explained, refuse_full_disk
from mailworkers.db.embedded.home import Home

SUPERUSER = "mailworkers"
DATABASE = "mailworkers"
PASSWORD_BYTES = 24
PROGRAM_SECONDS = 120.0  # initdb takes 0.6 s on an SSD, and a hundred times as long on a starved disk
NEW_DATA = "data.new-"


def make_data(home: Home, installation: Installation, account: Account, *, durable: bool) -> None:
    """Make the data directory with the superuser and an empty database `mailworkers`, and write the password.

    Args:
        home: where; nobody else may be making one meanwhile.
        installation: the binaries, which the account can run.
        account: who the data will belong to.
        durable: whether to wait until all of it is on the disk.

    Raises:
        EmbeddedServerError: the disk is full, or a program failed.
        OSError: a file could not be written.
    """
    for left in home.path.glob(f"{NEW_DATA}*"):
        shutil.rmtree(left, ignore_errors=True)
    refuse_full_disk(home.path)
    # An initdb whose starter was killed empties its folder in the end, so the name is never used again.
    new = Path(tempfile.mkdtemp(prefix=NEW_DATA, dir=home.path))
    try:
        account.own(new)
        password = _initdb(home, installation, account, new, durable=durable)
        _create_database(home, installation, account, new)
        _write_privately(home.password, password)
        new.rename(home.data(installation.major))
        _sync_folder(home.path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _initdb(home: Home, installation: Installation, account: Account, new: Path, *, durable: bool) -> str:
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    given = home.sockets / "password"
    _write_privately(given, password)
    try:
        account.own(given)
        command = (
            installation.bin / "initdb",
            *("-D", new, "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={given}"),
            *("-E", "UTF8", "--locale=C", "--data-checksums"),
            *(() if durable else ("--no-sync",)),
        )
        _run(home, account, command, "")
    finally:
        given.unlink(missing_ok=True)
    return password


def _create_database(home: Home, installation: Installation, account: Account, new: Path) -> None:
    # PostgreSQL's single-user mode: no server, no socket, and the data directory is complete before it has its name.
    command = (installation.bin / "postgres", "--single", "-D", new, "-c", "exit_on_error=on", "postgres")
    _run(home, account, command, f"CREATE DATABASE {DATABASE}\n")


def _run(home: Home, account: Account, command: Sequence[str | Path], text: str) -> None:
    options = account.run_options()
    del options["stdin"]
    ran = subprocess.run(  # noqa: S603 -- programs that `binaries` chose
        command,
        input=text,
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PROGRAM_SECONDS,
        start_new_session=True,  # Ctrl-C at the terminal is for us alone
        check=False,
        **options,
    )
    if ran.returncode != 0:
        raise explained("the embedded server's data directory could not be made", ran.stdout, home.path, home.log)


def _write_privately(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
