"""The demo as a program: what it shows, how it ends, and that nothing of it stays."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailworkers.demo.home import PREFIX, folder
from mailworkers.demo.run import demo_settings
from tests.support.program import END_SECONDS, environment, mailworkers, started
from tests.support.waiting import wait_until

pytestmark = pytest.mark.database
MOST_LINES = 30  # what fits on a screen, with some lines of progress


def homes() -> set[Path]:
    return set(Path(folder()).glob(f"{PREFIX}*"))


def processes_in(home: Path) -> list[str]:
    """Command lines that name the folder: the server, its keeper, the janitor."""
    listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(home) in line]


def test_every_valid_lead_gets_one_mail_and_the_rest_is_explained(tmp_path: Path) -> None:
    leads = tmp_path / "list.csv"
    leads.write_text(
        "Email,Name\nann@a.example,Ann\nANN@a.example,Ann\nann@A.example,Ann\nnobody,Bo\nbö@b.example,Bö\n"
    )
    before = homes()

    ended = mailworkers("demo", "--leads", str(leads))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    shown = " ".join(ended.stdout.split())
    for sentence in (
        "leads 5 rows in the list",
        "accepted 3 by",
        "sent 3 arrived",
        "duplicates 1 the",
        "refused 1 by",
        "1 to_email must have one @, as in ann@example.org",
        "✓ Every valid lead got exactly one mail.",
        "To: Ann <ann@a.example>",
        "Subject: Ann: what the tide brought in",
        "Hello Ann,",
    ):
        assert sentence in shown
    assert len(ended.stdout.splitlines()) <= MOST_LINES
    assert "MIME-Version" not in ended.stdout
    assert "http://127.0.0.1" not in ended.stdout, "nothing that is gone when it is read"
    assert "\x1b" not in ended.stdout, "no colours and no moving bar where nobody watches"
    assert homes() <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_whatever_ends_it(number: signal.Signals) -> None:
    before = homes()
    with started("demo", "--keep", "--rows", "20") as process:
        assert process.stdout is not None
        while "until Ctrl-C" not in (line := process.stdout.readline()):
            assert line, process.stderr and process.stderr.read()
        (home,) = homes() - before
        assert len(processes_in(home)) >= 2

        process.send_signal(number)
        code = process.wait(END_SECONDS)

    assert code == (0 if number is not signal.SIGKILL else -signal.SIGKILL)
    wait_until(lambda: not home.exists() and not processes_in(home), "folder and processes are gone")


def test_a_mail_is_shown_whole_to_who_asks() -> None:
    ended = mailworkers("demo", "--rows", "5", "--mail")

    assert "Content-Type: multipart/alternative" in ended.stdout


def test_ctrl_c_while_it_starts_ends_it_in_one_line() -> None:
    before = homes()
    with started("demo") as process:
        wait_until(lambda: bool(homes() - before), "the demo has begun")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=END_SECONDS)

    assert process.returncode == 130
    assert errors == "mailworkers: interrupted; nothing of it is left behind\n"
    wait_until(lambda: homes() <= before, "the folder is gone")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--leads", "/nowhere/list.csv"), "mailworkers: cannot read /nowhere/list.csv: No such file or directory."),
        (("--rows", "0"), "mailworkers: Invalid value for '--rows'"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(arguments: tuple[str, ...], complaint: str) -> None:
    before = homes()

    ended = mailworkers("demo", *arguments)

    assert ended.returncode != 0
    assert ended.stderr.startswith(complaint)
    assert ended.stderr.count("\n") == 1
    assert homes() <= before


def test_no_setting_of_this_machine_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMTP_HOST", "DATABASE_URL", "MAILWORKERS_HTTP_HOST", "MAILWORKERS_SCHEMA"):
        monkeypatch.setenv(name, "elsewhere.example")

    settings = demo_settings("postgresql://here/db", 2525)

    assert (settings.smtp_host, settings.relay_port, settings.tls) == ("127.0.0.1", 2525, "none")
    assert (settings.http_host, settings.db_schema) == ("127.0.0.1", "mailworkers")


def test_on_a_terminal_a_bar_moves(tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mailworkers", "demo", "--rows", "50"],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        env={**environment(TERM="xterm-256color"), "NO_COLOR": "", "COLUMNS": "100"},
        cwd=tmp_path,
    ) as process:
        os.close(terminal)
        shown = b"".join(iter(lambda: read_terminal(main), b"")).decode()
        assert process.wait(END_SECONDS) == 0, shown
    os.close(main)

    assert "━" in shown
    assert "mails/s" in shown
    assert "✓ Every valid lead got exactly one mail." in shown


def read_terminal(descriptor: int) -> bytes:
    """What was shown; nothing once the other side has closed it, which Linux tells as an error."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
