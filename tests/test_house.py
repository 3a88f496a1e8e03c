"""The house rules that a machine can hold: what lies where, how long a file may be, what no file may name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    *("mailworkers", "sql", "tests", "systemd", "docs"),
    *("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"),
}
LONGEST_FILE = 400  # lines; a longer one is asking to be two
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
# Names that RFC 2606 and RFC 6761 reserve, so that nobody's host or mailbox is ever named by accident.
RESERVED_HOST = re.compile(r"(.*\.)?(example|test|invalid|localhost|example\.(org|com|net))\.?")
PUBLIC_HOSTS = {"www.w3.org"}  # names of XML namespaces, never asked
URL_HOST = re.compile(r"\bhttps?://(?:[^\s/@\"'`<>]*@)?(\[[0-9a-f:]+\]|[^\s/:\"'`<>{}()\[\],;\\?#]+)", re.IGNORECASE)
MAIL_DOMAIN = re.compile(r"[\w.+-]@([a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|de|eu|io|info|dev|app|uk|fr|ch|at))\b")
LOCAL_HOST = re.compile(r"127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0")


def tracked() -> list[Path]:
    """The files of the repository: as git lists them, or, in an unpacked source distribution, all that there are."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        own = [path for path in ROOT.iterdir() if path.name in TOP_LEVEL or path.name == ".ci"]
        paths = [file for path in own for file in ([path] if path.is_file() else path.rglob("*"))]
    return sorted(path for path in paths if path.is_file() and "__pycache__" not in path.parts)


FILES = tracked()
TEXTS = {path: path.read_text(encoding="utf-8", errors="replace") for path in FILES}
CODE = [path for path in FILES if path.suffix in (".py", ".sql")]
MODULES = [path for path in FILES if path.suffix == ".py"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def found(pattern: re.Pattern[str], texts: dict[Path, str]) -> list[tuple[str, str]]:
    return [(name(path), match[1]) for path, text in texts.items() for match in pattern.finditer(text)]


def test_the_top_level_holds_only_what_belongs_there() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert {entry for entry in top if not entry.startswith(".")} <= TOP_LEVEL


def test_no_file_has_grown_into_two() -> None:
    lengths = {name(path): TEXTS[path].count("\n") for path in CODE if "migrations" not in path.parts}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_nothing_is_left_unfinished() -> None:
    assert found(UNFINISHED, {path: TEXTS[path] for path in CODE}) == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [name(path) for path in MODULES if TEXTS[path].strip() and not ast.get_docstring(ast.parse(TEXTS[path]))]
    assert silent == []


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in MODULES if path.is_relative_to(ROOT / "tests")}
    assert [name(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_query_begins_by_saying_how_it_is_served() -> None:
    queries = [path for path in CODE if path.is_relative_to(ROOT / "sql" / "queries")]
    assert queries
    assert [name(path) for path in queries if not TEXTS[path].startswith("-- ")] == []


def test_no_file_names_a_real_host() -> None:
    """Neither a package registry's nor anybody else's: what is written here is never asked for anything."""
    named = [
        (path, host)
        for path, host in found(URL_HOST, TEXTS)
        if not RESERVED_HOST.fullmatch(host.lower()) and not LOCAL_HOST.fullmatch(host) and host not in PUBLIC_HOSTS
    ]
    assert named == []


def test_no_file_names_a_mailbox_that_could_exist() -> None:
    named = [(path, domain) for path, domain in found(MAIL_DOMAIN, TEXTS) if not RESERVED_HOST.fullmatch(domain)]
    assert named == []


@pytest.mark.parametrize("place", [str(ROOT), sys.prefix], ids=["this checkout", "this environment"])
def test_no_file_names_a_path_of_this_machine(place: str) -> None:
    if place in ("/", "/usr", "/usr/local"):
        place = "a path that every machine has"
    assert [name(path) for path, text in TEXTS.items() if place in text] == []
