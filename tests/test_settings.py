"""Settings: what they are where nothing is set, who wins where several places speak, and what a bad one is told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.errors import SettingsError
from mailworkers.settings import load, notices, reload

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set, and the current directory is empty."""
    for name in list(os.environ):
        if name.startswith(("MAILWORKERS_", "SMTP_", "FROM_")) or name in {
            "DATABASE_URL",
            "WORKER_CONCURRENCY",
            "RESEND_API_KEY",
            "CREDENTIALS_DIRECTORY",
            "SYSTEMD_EXEC_PID",
        }:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Writes the settings file and names it in the environment."""

    def write(text: str) -> Path:
        path = tmp_path / "mailworkers.toml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("MAILWORKERS_CONFIG", str(path))
        return path

    return write


@pytest.fixture
def credential(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Hands over a secret as systemd does."""

    def write(name: str, content: bytes) -> Path:
        folder = tmp_path / "credentials"
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        path = folder / name
        path.write_bytes(content)
        return path

    return write


# The contract: names and defaults that scripts outside rely on


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("SCHEMA", "mails", "db_schema", "mails"),
        ("SMTP_HOST", "relay.example", "smtp_host", "relay.example"),
        ("SMTP_PORT", "2525", "smtp_port", 2525),
        ("SMTP_USER", "ann", "smtp_user", "ann"),
        ("SMTP_TLS", "IMPLICIT", "smtp_tls", "implicit"),
        ("FROM_EMAIL", "a@example.org", "from_email", "a@example.org"),
        ("MIN_WORKERS", "3", "min_workers", 3),
        ("MAX_WORKERS", "30", "max_workers", 30),
        ("WORKER_RATE_PER_MINUTE", "0", "worker_rate_per_minute", 0),
        ("WORKER_RATE_PER_HOUR", "5", "worker_rate_per_hour", 5),
        ("SYSTEM_RATE_PER_SECOND", "7", "system_rate_per_second", 7),
        ("TARGET_PER_HOUR", "9", "target_per_hour", 9),
        ("RATE_BUFFER_PERCENT", "20", "rate_buffer_percent", 20),
        ("LEASE_SECONDS", "60", "lease_seconds", 60.0),
        ("HEARTBEAT_SECONDS", "2.5", "heartbeat_seconds", 2.5),
        ("DRAIN_SECONDS", "1", "drain_seconds", 1.0),
        ("HTTP_HOST", "::1", "http_host", "::1"),
        ("HTTP_PORT", "0", "http_port", 0),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("DATA_DIR", "/srv/pg", "data_dir", Path("/srv/pg")),
        ("PROVIDER", "smtp", "provider", "smtp"),
    ],
)
def test_each_fixed_name_sets_its_field(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(f"MAILWORKERS_{variable}", value)
    assert getattr(load(), field) == expected


def test_the_defaults_are_the_contracts() -> None:
    settings = load()
    assert settings.database_url is None
    assert settings.db_schema == "mailworkers"
    assert (settings.min_workers, settings.max_workers) == (2, 10)
    assert (settings.worker_rate_per_minute, settings.worker_rate_per_hour) == (100, 1000)
    assert (settings.system_rate_per_second, settings.target_per_hour) == (0, 10_000)
    assert settings.rate_buffer_percent == 10
    assert (settings.lease_seconds, settings.heartbeat_seconds, settings.drain_seconds) == (30, 10, 30)
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8025)
    assert settings.retry_schedule == (300, 900, 2700, 8100)


def test_conventional_names_work_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@db.example/mail")
    monkeypatch.setenv("SMTP_HOST", "relay.example")
    monkeypatch.setenv("SMTP_PORT", "2525")
    monkeypatch.setenv("SMTP_USER", "ann")
    monkeypatch.setenv("SMTP_PASS", SECRET)
    monkeypatch.setenv("WORKER_CONCURRENCY", "20")

    settings = load()

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u@db.example/mail"
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_user) == ("relay.example", 2525, "ann")
    assert settings.smtp_password.get_secret_value() == SECRET
    assert settings.max_workers == 20


def test_a_conventional_name_works_with_our_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKERS_SMTP_PASS", SECRET)
    assert load().smtp_password.get_secret_value() == SECRET
    assert notices() == ()


@pytest.mark.parametrize(
    ("host", "tls", "port"),
    [
        ("127.0.0.1", "none", 25),
        ("localhost", "none", 25),
        ("relay.example", "required", 587),
        ("192.0.2.1", "required", 587),
    ],
)
def test_tls_and_port_follow_the_host(host: str, tls: str, port: int) -> None:
    settings = load(smtp_host=host)
    assert (settings.tls, settings.relay_port) == (tls, port)


def test_implicit_tls_has_its_own_port() -> None:
    assert load(smtp_host="relay.example", smtp_tls="implicit").relay_port == 465


# Who wins


def test_the_nearer_place_wins(
    monkeypatch: pytest.MonkeyPatch,
    config: Callable[[str], Path],
    credential: Callable[[str, bytes], Path],
) -> None:
    """Command line, prefixed variable, conventional variable, credential, file, default: taken away one by one."""
    config('smtp_host = "file.example"')
    credential("smtp_host", b"credential.example\n")
    monkeypatch.setenv("SMTP_HOST", "conventional.example")
    monkeypatch.setenv("MAILWORKERS_SMTP_HOST", "prefixed.example")

    assert load(smtp_host="line.example").smtp_host == "line.example"
    assert load(smtp_host=None).smtp_host == "prefixed.example"
    monkeypatch.delenv("MAILWORKERS_SMTP_HOST")
    assert load().smtp_host == "conventional.example"
    monkeypatch.delenv("SMTP_HOST")
    assert load().smtp_host == "credential.example"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert load().smtp_host == "file.example"
    monkeypatch.delenv("MAILWORKERS_CONFIG")
    assert load().smtp_host == "127.0.0.1"


def test_the_schema_follows_the_same_order(monkeypatch: pytest.MonkeyPatch, config: Callable[[str], Path]) -> None:
    config('schema = "from_file"')
    assert load().db_schema == "from_file"
    monkeypatch.setenv("MAILWORKERS_SCHEMA", "from_variable")
    assert load().db_schema == "from_variable"
    assert load(db_schema="from_line").db_schema == "from_line"


def test_an_empty_variable_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKERS_SMTP_HOST", "")
    monkeypatch.setenv("SMTP_HOST", "relay.example")
    assert load().smtp_host == "relay.example"


def test_dotenv_serves_in_development(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAILWORKERS_HTTP_PORT=9000\nSMTP_PASS='a b'\nSOMETHING_ELSE=1\n")
    settings = load()
    assert settings.http_port == 9000
    assert settings.smtp_password.get_secret_value() == "a b"


def test_dotenv_is_not_read_under_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAILWORKERS_HTTP_PORT=9000\n")
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))
    assert load().http_port == 8025


def test_dotenv_is_not_read_beside_a_settings_file(tmp_path: Path, config: Callable[[str], Path]) -> None:
    (tmp_path / ".env").write_text("MAILWORKERS_HTTP_PORT=9000\n")
    config("")
    assert load().http_port == 8025


def test_a_credential_keeps_its_blanks_and_loses_its_line_end(credential: Callable[[str, bytes], Path]) -> None:
    credential("smtp_password", b" pass word \r\n")
    assert load().smtp_password.get_secret_value() == " pass word "


# The settings file


def test_keys_may_be_upper_or_lower_case_and_values_typed(config: Callable[[str], Path]) -> None:
    config(
        'SMTP_HOST = "relay.example"\nhttp_port = 9000\nlease_seconds = 45.5\nretry_minutes = [1, 2]\nsmtp_user = ""'
    )
    settings = load()
    assert (settings.smtp_host, settings.http_port, settings.lease_seconds) == ("relay.example", 9000, 45.5)
    assert settings.retry_schedule == (60, 120)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smtp_hots = 'x'", r"unknown setting smtp_hots. Did you mean smtp_host\?"),
        ("rabbit = 'x'", r"unknown setting rabbit. The README's table"),
        ("smtp_host = 'a'\nSMTP_HOST = 'b'", r"sets smtp_host twice, the second time as SMTP_HOST"),
        ("[smtp]\nhost = 'x'", r"unknown setting smtp"),
        ("max_workers = true", r"max_workers must be a number or text"),
        ("max_workers = 'many'", r"mailworkers.toml: max_workers must be a whole number, got 'many'"),
        ("smtp_host = relay.example", r"is no valid TOML.*line 1.*Text goes in quotes"),
        ("smtp_host = 7", r"mailworkers.toml: smtp_host must be text in quotes, got '7'"),
    ],
)
def test_a_bad_file_is_told_what_is_wrong(config: Callable[[str], Path], text: str, said: str) -> None:
    config(text)
    with pytest.raises(SettingsError, match=said):
        load()


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKERS_CONFIG", "absent.toml")
    with pytest.raises(SettingsError, match=r"cannot read the settings in absent\.toml: no such file"):
        load()


# Bad values


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("smtp_port", "abc", "MAILWORKERS_SMTP_PORT must be a whole number, got 'abc'"),
        ("smtp_port", "70000", "MAILWORKERS_SMTP_PORT must be at most 65535, got '70000'"),
        ("poll_seconds", "0", "MAILWORKERS_POLL_SECONDS must be above 0, got '0'"),
        ("drain_seconds", "nan", "MAILWORKERS_DRAIN_SECONDS must be a finite number, got 'nan'"),
        ("drain_seconds", "inf", "MAILWORKERS_DRAIN_SECONDS must be a finite number, got 'inf'"),
        ("smtp_tls", "yes", "MAILWORKERS_SMTP_TLS must be one of 'required', 'implicit' or 'none', got 'yes'"),
        ("db_schema", "a;drop", "MAILWORKERS_SCHEMA must be lower case letters.*, got 'a;drop'"),
        ("db_schema", "x" * 80, "got 'x{60}'…"),
        ("smtp_host", "relay.example:587", "must be a host name or an IP address alone"),
        ("smtp_host", "smtp://relay.example", "must be a host name or an IP address alone"),
        ("from_email", "Ann <a@example.org>", "must be one mail address such as letter@example.org"),
        ("from_email", "a@example.org\nBcc: b@example.org", "must be one mail address"),
        ("from_name", "Ann\r\nBcc: b@example.org", "MAILWORKERS_FROM_NAME must be one line"),
        ("retry_minutes", "5,soon", "must be minutes from above 0"),
        ("retry_minutes", "", "must be minutes from above 0"),
        ("retry_minutes", "inf", "must be minutes from above 0"),
        ("smtp_ca_file", "absent.pem", "MAILWORKERS_SMTP_CA_FILE must name a file that this user can read"),
        ("provider", "pigeon", "MAILWORKERS_PROVIDER must be one of 'smtp', got 'pigeon'"),
        ("mx_resolver", "dns.example", "MAILWORKERS_MX_RESOLVER must be `system`, or a name server's IP address"),
        ("mx_resolver", "192.0.2.1:", "MAILWORKERS_MX_RESOLVER must be `system`"),
        ("mx_resolver", "192.0.2.1:65536", "MAILWORKERS_MX_RESOLVER must be `system`"),
        ("mx_resolver", "[2001:db8::1", "MAILWORKERS_MX_RESOLVER must be `system`"),
        ("mx_resolver", "[2001:db8::1]5353", "MAILWORKERS_MX_RESOLVER must be `system`"),
        ("min_workers", "11", "MAILWORKERS_MIN_WORKERS must not be above MAX_WORKERS"),
        ("lease_seconds", "15", "MAILWORKERS_HEARTBEAT_SECONDS must be at most half of LEASE_SECONDS"),
        ("http_host", "0.0.0.0", "MAILWORKERS_HTTP_HOST is not a loopback address: set API_KEY"),
    ],
)
def test_a_bad_value_is_named_with_what_would_be_right(field: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        load(**{field: value})
    assert "\n" not in str(raised.value).replace(value, "")


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKERS_SMTP_PORT", "abc")
    monkeypatch.setenv("MAILWORKERS_HTTP_PORT", "-1")
    with pytest.raises(SettingsError, match=r"SMTP_PORT must be a whole.*HTTP_PORT must be at least 0"):
        load()


@pytest.mark.parametrize("url", [f"mysql://u:{SECRET}@db.example/x", f"postgresql://u:{SECRET}@[/x", SECRET])
def test_a_secret_is_never_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="MAILWORKERS_DATABASE_URL must be a URL") as raised:
        load(database_url=url)
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(load(smtp_password=SECRET, database_url=f"postgresql://u:{SECRET}@db.example/x"))


def test_an_unreadable_credential_is_named_without_its_content(credential: Callable[[str, bytes], Path]) -> None:
    credential("smtp_password", b"\xff" + SECRET.encode())
    with pytest.raises(SettingsError, match=r"smtp_password: it is no UTF-8 text") as raised:
        load()
    assert SECRET not in str(raised.value)


def test_a_password_never_goes_in_clear_off_loopback() -> None:
    with pytest.raises(SettingsError, match="would send the password in clear"):
        load(smtp_host="relay.example", smtp_user="ann", smtp_tls="none")
    assert load(smtp_host="127.0.0.1", smtp_user="ann", smtp_tls="none").tls == "none"


def test_one_worker_at_most_needs_no_second_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_CONCURRENCY", "1")
    assert load().min_workers == 1


@given(st.text(max_size=40))
def test_no_text_at_all_gets_more_than_a_settings_error(text: str) -> None:
    for field in (
        "smtp_port",
        "smtp_host",
        "from_email",
        "retry_minutes",
        "db_schema",
        "lease_seconds",
        "database_url",
    ):
        with contextlib.suppress(SettingsError):
            load(**{field: text})


# Variables without effect


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKERS_MAX_WORKER", "5")
    monkeypatch.setenv("MAILWORKERS_CONFIG", "")
    monkeypatch.setenv("MAILWORKERS_DEBUG", "1")
    monkeypatch.setenv("MAILWORKERS_TEST_DATABASE_URL", "x")
    assert notices() == (
        "MAILWORKERS_MAX_WORKER is no setting and has no effect. Did you mean MAILWORKERS_MAX_WORKERS?",
    )


def test_a_key_for_a_provider_to_come_is_accepted_and_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEND_API_KEY", SECRET)
    assert load().provider == "smtp"
    assert notices() == ("RESEND_API_KEY has no effect: this version sends by SMTP only",)


# Reload


def test_reload_takes_what_may_change_and_names_the_rest(config: Callable[[str], Path]) -> None:
    config("max_workers = 5\nhttp_port = 9000")
    running = load(from_name="Line")

    config('max_workers = 7\nhttp_port = 9001\nfrom_name = "File"')
    settings, changed, needs_restart = reload(running)

    assert (settings.max_workers, settings.http_port, settings.from_name) == (7, 9000, "Line")
    assert (changed, needs_restart) == (["max_workers"], ["http_port"])


def test_reload_can_be_repeated(config: Callable[[str], Path]) -> None:
    config("max_workers = 5")
    settings = load(from_name="Line")
    for workers in (6, 7):
        config(f"max_workers = {workers}")
        settings, changed, _ = reload(settings)
        assert (settings.max_workers, changed) == (workers, ["max_workers"])
    assert settings.from_name == "Line"


def test_a_bad_reload_changes_nothing(config: Callable[[str], Path]) -> None:
    config("max_workers = 5")
    running = load()
    config("max_workers = 5000")
    with pytest.raises(SettingsError, match="must be at most 500"):
        reload(running)
    assert running.max_workers == 5
