"""Options override settings, and say the same about a bad value as the environment does."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailworkers.cli.app import app
from mailworkers.cli.ending import run_to_end
from tests.cli.conftest import Command

COMMANDS = ("demo", "run", "send", "status", "top", "doctor", "migrate", "url", "version", "jobs")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_end(app, [name, "--help"]) == 0

    shown = capsys.readouterr().out
    assert f"mailworkers {name}" in shown


@pytest.mark.parametrize("name", ["list", "show", "retry", "cancel"])
def test_so_has_every_command_for_jobs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_end(app, ["jobs", name, "--help"]) == 0

    assert f"$ mailworkers jobs {name}" in capsys.readouterr().out


def test_a_bad_value_reads_the_same_from_everywhere(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from_option = command("status", "--database-url", "mysql://x")
    monkeypatch.setenv("MAILWORKERS_DATABASE_URL", "mysql://x")
    from_environment = command("status")
    monkeypatch.delenv("MAILWORKERS_DATABASE_URL")
    file = tmp_path / "settings.toml"
    file.write_text('database_url = "mysql://x"\n')
    from_file = command("status", "--config", str(file))

    assert from_option.code == 78
    assert from_option.err.startswith("mailworkers: MAILWORKERS_DATABASE_URL must be a URL that begins with postgres")
    assert from_option.err == from_environment.err
    assert from_file.err == from_option.err.replace("MAILWORKERS_DATABASE_URL", f"{file}: database_url", 1)
    assert "mysql" not in from_option.err, "a URL carries a password"


def test_an_option_wins_over_the_environment(
    on_database: Command, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILWORKERS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    assert on_database("migrate", "--status", "--database-url", database_url).code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--config", "/nowhere.toml"), "/nowhere.toml"),
        (("--min-workers", "20"), "MIN_WORKERS"),
        (("--http-host", "0.0.0.0"), "API_KEY"),
        (("--http-port", "80000"), "MAILWORKERS_HTTP_PORT"),
        (("--smtp-tls", "perhaps"), "MAILWORKERS_SMTP_TLS"),
    ],
)
def test_a_malformed_setting_is_one_line_that_names_it(
    command: Command, arguments: tuple[str, ...], complaint: str
) -> None:
    ended = command("run", *arguments)

    assert ended.code == 78
    assert complaint in ended.err
    assert ended.err.count("\n") == 1


def test_every_command_points_out_a_misspelt_variable_once(
    on_database: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILWORKERS_SMTP_HOTS", "relay.example")

    ended = on_database("migrate", "--status")

    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert "MAILWORKERS_SMTP_HOTS is no setting and has no effect. Did you mean MAILWORKERS_SMTP_HOST?" in ended.err
