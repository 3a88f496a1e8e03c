"""The units as systemd's own analyzers judge them, and as they fit the daemon's settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mailworkers.daemon.supervisor import FLUSH_SECONDS
from mailworkers.errors import EX_CONFIG
from mailworkers.settings import Settings, load
from mailworkers.web.server import SHUTDOWN_SECONDS

FOLDER = Path(__file__).parents[2] / "systemd"
SINGLE, TEMPLATE = FOLDER / "mailworkers.service", FOLDER / "mailworkers@.service"
EXPOSURE = 12  # tenths of systemd-analyze's score; a unit without hardening has 96
CLOSING_SECONDS = 10.0  # for the database's connections and the interpreter's own end
RUN_SECONDS = 60.0

analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
both = pytest.mark.parametrize("unit", [SINGLE, TEMPLATE], ids=lambda unit: unit.name)


def analyzed(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )


def entries(unit: Path) -> list[tuple[str, str]]:
    """Keys and values in their order; a key may come several times."""
    lines = unit.read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return [(key, value) for key, _, value in pairs]


def values(unit: Path, key: str) -> list[str]:
    return [value for found, value in entries(unit) if found == key]


def seconds(unit: Path, key: str) -> float:
    (value,) = values(unit, key)
    return float(value.removesuffix("s"))


@pytest.mark.system
@analyze
@both
def test_systemd_has_nothing_to_say_against_it(unit: Path) -> None:
    """It ends with 0 for a misspelt key too, so what counts is that it prints nothing."""
    verified = analyzed("verify", unit)

    assert (verified.stdout, verified.stderr, verified.returncode) == ("", "", 0)


@pytest.mark.system
@analyze
def test_a_misspelt_key_would_be_noticed(tmp_path: Path) -> None:
    unit = tmp_path / SINGLE.name
    unit.write_text(SINGLE.read_text().replace("RestartSec=", "RestartSecs="))

    assert "RestartSecs" in analyzed("verify", unit).stderr


@pytest.mark.system
@analyze
@both
def test_it_is_hardened(unit: Path) -> None:
    judged = analyzed("security", "--offline=yes", f"--threshold={EXPOSURE}", unit)

    assert judged.returncode == 0, judged.stdout
    assert "Overall exposure level" in judged.stdout


def test_the_instances_unit_differs_in_names_only() -> None:
    def named(unit: Path, name: str) -> list[tuple[str, str]]:
        return [
            (key, value.replace(f"/etc/mailworkers/{name}", "/etc/mailworkers/NAME").replace(" %i:", ":"))
            for key, value in entries(unit)
            if not value.startswith("MAILWORKERS_INSTANCE=")
        ]

    single = [
        (key, re.sub(r"/etc/mailworkers/(?=database_url|smtp_password|api_key)", "/etc/mailworkers/NAME.", value))
        for key, value in named(SINGLE, "mailworkers")
    ]

    assert single == named(TEMPLATE, "%i")
    assert "MAILWORKERS_INSTANCE=%H-%i" in values(TEMPLATE, "Environment"), "else all would have the host's name"


@both
def test_a_killed_daemon_is_back_within_five_seconds_for_ever(unit: Path) -> None:
    assert values(unit, "Restart") == ["always"]
    assert seconds(unit, "RestartSec") < 5
    assert seconds(unit, "StartLimitIntervalSec") == 0


@both
def test_only_what_a_restart_cannot_mend_stops_it(unit: Path) -> None:
    assert values(unit, "RestartPreventExitStatus") == [str(EX_CONFIG)]


@both
def test_stopping_leaves_time_for_the_drain(unit: Path) -> None:
    needed = Settings().drain_seconds + 2 * FLUSH_SECONDS + SHUTDOWN_SECONDS + CLOSING_SECONDS

    assert seconds(unit, "TimeoutStopSec") > needed


@both
def test_the_watchdog_waits_longer_than_a_heartbeat_may_take(unit: Path) -> None:
    settings = Settings()

    assert seconds(unit, "WatchdogSec") / 2 > settings.heartbeat_seconds
    assert seconds(unit, "WatchdogSec") <= settings.lease_seconds


@both
def test_each_credential_is_a_setting_and_none_is_required(unit: Path) -> None:
    loaded = [value.partition(":")[0] for value in values(unit, "LoadCredential")]
    stood_in_for = [value.partition(":") for value in values(unit, "SetCredential")]

    assert loaded == ["database_url", "smtp_password", "api_key"]
    assert set(loaded) <= set(Settings.model_fields)
    assert stood_in_for == [(name, ":", "\\n") for name in loaded]


def test_an_empty_credential_counts_as_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the units' stand-in for a missing file: what the settings file says must still hold."""
    for name in ("database_url", "smtp_password", "api_key"):
        (tmp_path / name).write_text("\n")
    config = tmp_path / "mailworkers.toml"
    config.write_text('database_url = "postgresql://db.test/mail"\n')
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("MAILWORKERS_CONFIG", str(config))

    settings = load()

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://db.test/mail"
    assert settings.smtp_password.get_secret_value() == ""
