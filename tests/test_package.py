"""What is built and what is pinned: the wheel works outside its checkout, and the lock files fit pyproject.toml."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUN, DEVELOP = ROOT / "constraints.txt", ROOT / ".ci" / "constraints.txt"
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; [^\\]+)? \\$((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", re.MULTILINE
)
SECONDS = 120


def pins(lock: Path) -> dict[str, str]:
    """What a lock file pins with a hash: version by name."""
    return {canonicalize_name(found[1]): found[2] for found in PIN.finditer(lock.read_text(encoding="utf-8"))}


def required(*groups: str) -> list[Requirement]:
    """What pyproject.toml asks for: always, by the embedded server's extra, and by groups."""
    listed = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["embedded"]]
    for group in groups:
        listed += PROJECT["dependency-groups"][group]
    return [Requirement(one) for one in listed]


@pytest.mark.parametrize(
    ("lock", "groups"),
    [(RUN, ("build",)), (DEVELOP, ("build", "test", "dev"))],
    ids=["constraints.txt", ".ci/constraints.txt"],
)
def test_each_lock_fits_what_the_project_asks_for(lock: Path, groups: tuple[str, ...]) -> None:
    pinned = pins(lock)
    for requirement in required(*groups):
        version = pinned.get(canonicalize_name(requirement.name), "nothing")
        assert requirement.specifier.contains(version), f"{requirement}: {lock.name} has {version}; run .ci/lock"


def test_both_locks_agree() -> None:
    run, develop = pins(RUN), pins(DEVELOP)
    assert {name: version for name, version in run.items() if develop.get(name) != version} == {}


@pytest.mark.parametrize("lock", [RUN, DEVELOP], ids=["constraints.txt", ".ci/constraints.txt"])
def test_a_lock_has_only_pins_with_hashes(lock: Path) -> None:
    """No option, no address, nothing unpinned: the registry is the business of whoever installs."""
    rest = PIN.sub("", lock.read_text(encoding="utf-8"))
    assert [line for line in rest.splitlines() if line.strip() and not line.lstrip().startswith("#")] == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel made from it."""
    folder = tmp_path_factory.mktemp("built")
    run_python("-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), where=ROOT)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python 3.11.2 has none
        archive.extractall(folder)
    source = next(path for path in folder.iterdir() if path.is_dir())
    run_python("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), where=source)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs, far from the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


def run_python(*arguments: str, where: Path, path: Path | None = None) -> str:
    """Run this Python in a folder, with nothing of the checkout on its path; its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=where, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_every_sql_file(installed: Path) -> None:
    ours = {path.relative_to(ROOT / "sql") for path in (ROOT / "sql").rglob("*.sql")}
    shipped = {path.relative_to(installed / "mailworkers/_sql") for path in installed.rglob("_sql/**/*.sql")}
    assert shipped == ours


def test_the_wheel_is_typed_licensed_and_has_the_demos_files(installed: Path) -> None:
    assert (installed / "mailworkers" / "py.typed").is_file()
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))
    for name in ("leads.csv", "letter.html.jinja"):
        assert (installed / "mailworkers" / "demo" / name).is_file()


def test_the_source_distribution_has_what_tests_and_service_need(built: Path) -> None:
    source = next(path for path in built.iterdir() if path.is_dir())
    for name in ("tests/conftest.py", "systemd/mailworkers.service", ".ci/constraints.txt", "docs/architecture.md"):
        assert (source / name).is_file(), name


def test_the_installed_program_runs_without_its_checkout(installed: Path) -> None:
    where = run_python("-c", "import mailworkers; print(mailworkers.__file__)", where=installed, path=installed)
    assert where.strip() == str(installed / "mailworkers" / "__init__.py")
    assert "demo" in run_python("-m", "mailworkers", "--help", where=installed, path=installed)


def test_the_installed_program_finds_its_migrations(installed: Path, blank_database_url: str) -> None:
    options = ("migrate", "--dry-run", "--database-url", blank_database_url)
    printed = run_python("-m", "mailworkers", *options, where=installed, path=installed)
    assert "CREATE TABLE mailworkers.email_jobs" in printed
