"""Every setting: its type, unit, default, and why that default.

The README's table is generated from this file (`python -m mailworkers.cli.settings_table`), so a description here is
what a user reads. Where several places give a value, the first of these wins: command line, `MAILWORKERS_…` variable,
conventional variable (`DATABASE_URL`, `SMTP_HOST` …), systemd credential, the TOML file named by MAILWORKERS_CONFIG,
`.env` (in development only), default.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from mailworkers import settings_sources as sources
from mailworkers.errors import SettingsError
from mailworkers.settings_complaints import complaint
from mailworkers.settings_values import (
    Address,
    Dsn,
    EventLoop,
    File,
    Folder,
    Host,
    HostOrEmpty,
    Identifier,
    Line,
    LogFormat,
    LogLevel,
    Minutes,
    NameServer,
    Port,
    Provider,
    Tls,
    is_loopback,
)

__all__ = ["PREFIX", "Settings", "is_loopback", "load", "notices", "reload", "setting"]

PREFIX = sources.PREFIX
MIN_WORKERS = 2  # one connection can break and be renewed while the other goes on
SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465
SMTP_PORT = 25


def setting(
    default: Any,
    about: str,
    *,
    unit: str = "",
    reload: bool = False,
    names: tuple[str, ...] = (),
    key: str = "",
    **bounds: Any,
) -> Any:
    """A field whose unit, reload behaviour and other environment names the generated table can show.

    Args:
        default: the value where nothing is set.
        about: what it does and why the default is what it is.
        unit: of the number, for the table.
        reload: whether SIGHUP takes a new value from the file without a restart.
        names: conventional environment variables that work too.
        key: how it is written outside Python, where the field cannot have that name.
    """
    extra: dict[str, Any] = {"unit": unit, "reload": reload, "names": list(names), "key": key}
    return Field(default=default, description=about, json_schema_extra=extra, **bounds)


class Settings(BaseSettings):
    """All settings of a daemon or command. Build it with `load()`, which turns a bad value into one clear line."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    _given: dict[str, Any] = PrivateAttr(default_factory=dict)  # the command line's, which a reload keeps

    # The database
    database_url: Dsn | None = setting(
        None,
        "PostgreSQL to use. Several hosts may be given. Without it, every command uses the embedded server.",
        names=("DATABASE_URL",),
    )
    direct_database_url: Dsn | None = setting(
        None,
        "The same database past a pooler in transaction mode, for what needs a session: the liveness lock and LISTEN. "
        "Without it, a daemon behind a pooler polls and relies on its lease alone.",
    )
    db_schema: Identifier = setting("mailworkers", "The schema that holds everything.", key="schema")
    data_dir: Folder | None = setting(
        None,
        "Home of the embedded server. By default a folder of the user's own: $XDG_DATA_HOME/mailworkers, or "
        "/var/lib/mailworkers for root, for whom the server runs as nobody, who must be able to enter the folder.",
    )

    # The relay
    provider: Provider = setting("smtp", "How mails leave. HTTP providers come later.")
    smtp_host: Host = setting("127.0.0.1", "The relay.", names=("SMTP_HOST",))
    smtp_port: Port = setting(
        0, "0 chooses 465 for `implicit`, 25 on loopback, else 587.", unit="port", names=("SMTP_PORT",)
    )
    smtp_user: Line = setting("", "User for AUTH; empty for none.", names=("SMTP_USER",))
    smtp_password: SecretStr = setting(SecretStr(""), "Password for AUTH.", names=("SMTP_PASS", "SMTP_PASSWORD"))
    smtp_tls: Tls | None = setting(
        None,
        "`required`: STARTTLS or nothing; `implicit`: TLS from the first byte; `none`. By default `required`, and `none` "
        "on loopback.",
    )
    smtp_ca_file: File | None = setting(None, "Certificates to trust instead of the system's, in PEM.")
    smtp_helo_name: HostOrEmpty = setting("", "The name given in EHLO; by default this host's.")
    smtp_connect_seconds: float = setting(
        360.0,
        "Until a new connection takes mails: name, TCP (30 at most), TLS, greeting, EHLO and AUTH together. RFC 5321 grants 300 to "
        "the greeting alone, which a relay that looks you up first may need; give one of your own less.",
        unit="s",
        gt=0,
    )
    smtp_mails_per_connection: int = setting(
        100, "A connection is renewed after so many; large providers allow 50 to 100.", unit="mails", ge=1
    )
    smtp_idle_seconds: float = setting(
        60.0, "An idle connection is closed after this; relays do after 300 at the latest.", unit="s", gt=0
    )
    from_email: Address | None = setting(
        None,
        "Sender of rows that name none. By default mailworkers@ this host's name: set it in production.",
        reload=True,
        names=("FROM_EMAIL",),
    )
    from_name: Line = setting("", "Display name that goes with it.", reload=True, names=("FROM_NAME",))

    mx_resolver: NameServer = setting(
        "",
        "Whom to ask for the MX records of domains that the table of destinations does not know: `system`, or a name server's "
        "address and port. Empty asks nobody: DNS is never needed to send.",
    )

    # Workers and speed
    instance: Line = setting(
        "", "This daemon's name in tables and logs; by default the host's. Rate limits of its workers hang on it."
    )
    min_workers: int = setting(
        MIN_WORKERS, "Workers (one connection each) that always run.", unit="workers", reload=True, ge=1, le=500
    )
    max_workers: int = setting(
        10,
        "Never more. Relays commonly allow 10 connections a client.",
        unit="workers",
        reload=True,
        names=("WORKER_CONCURRENCY",),
        ge=1,
        le=500,
    )
    target_per_hour: int = setting(
        10_000, "Workers are added until this rate is reached while work waits; 0 = as many as the depth asks for.",
        unit="mails/h", reload=True, ge=0,
    )  # fmt: skip
    worker_rate_per_minute: int = setting(
        100, "What one worker may send, as a young sender needs it; 0 = no limit.", unit="mails/min", reload=True, ge=0
    )
    worker_rate_per_hour: int = setting(1_000, "The same by the hour; 0 = no limit.", unit="mails/h", reload=True, ge=0)
    workspace_rate_per_minute: int = setting(
        0, "What one workspace may send, over all daemons; 0 = no limit.", unit="mails/min", reload=True, ge=0
    )
    system_rate_per_second: int = setting(
        0, "What all daemons may send together; 0 = no limit.", unit="mails/s", reload=True, ge=0
    )
    rate_buffer_percent: int = setting(
        10,
        "Kept below every limit; half of it is the burst, so that a limit holds in any window.",
        unit="%",
        reload=True,
        ge=0,
        le=90,
    )
    claim_batch: int = setting(500, "At most so many jobs in one claim.", unit="jobs", ge=1, le=10_000)
    campaign_window: int = setting(
        10_000,
        "Jobs of a campaign that may be live at once: it is made ahead of the senders by so much. Where many run they share it, down to "
        "200 each.",
        unit="jobs",
        reload=True,
        ge=200,
        le=1_000_000,
    )
    poll_seconds: float = setting(
        1.0, "How often to look for work when no notification came; jittered.", unit="s", gt=0, le=60
    )

    # Promises
    lease_seconds: float = setting(30.0, "A claim that is not renewed for so long is taken back.", unit="s", ge=3)
    heartbeat_seconds: float = setting(
        10.0, "How often leases are renewed: three tries within a lease.", unit="s", gt=0
    )
    job_deadline_seconds: float = setting(
        900.0, "One attempt may take so long: above the 600 s that RFC 5321 grants the final reply.", unit="s", ge=1
    )
    drain_seconds: float = setting(30.0, "What mails in flight get to finish on SIGTERM.", unit="s", ge=0)
    retry_minutes: Minutes = setting(
        "5,15,45,135", "Waiting before each retry; the last is repeated. Jittered by a tenth.", unit="min"
    )
    give_up_hours: float = setting(
        120.0,
        "A mail that the relay only ever puts off (421, 4.7.x), without an attempt being spent, is abandoned after this: the 4 to 5 "
        "days that RFC 5321 §4.5.4.1 asks senders to go on for.",
        unit="h",
        reload=True,
        gt=0,
    )
    ack_batch: int = setting(200, "Results are written when so many are waiting …", unit="results", ge=1, le=10_000)
    ack_delay_ms: float = setting(10.0, "… or when the first has waited so long.", unit="ms", ge=0, le=1000)
    max_unwritten: int = setting(
        400, "Workers wait while so many results are unwritten: the most that a kill could send twice, beside the "
        "mails in flight.", unit="results", ge=1, le=100_000,
    )  # fmt: skip
    retention_months: int = setting(12, "History is dropped by whole months after this.", unit="months", ge=1)
    database_timeout_seconds: float = setting(10.0, "No statement of the daemon waits longer.", unit="s", gt=0)

    # Watching
    http_host: Host = setting("127.0.0.1", "Where the health page listens; not loopback only with an API key.")
    http_port: Port = setting(8025, "0 chooses a free port.", unit="port")
    api_key: SecretStr = setting(SecretStr(""), "Bearer key that every page but /livez, /readyz and /health asks for.")
    log_level: LogLevel = setting("INFO", "What is logged.", reload=True)
    log_format: LogFormat = setting("auto", "`auto`: text on a terminal, else JSON.")
    event_loop: EventLoop = setting("auto", "`auto`: uvloop where it is installed.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        names = sources.names_of(settings_cls.model_fields)
        found = [sources.from_variables(names, os.environ)]
        if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
            found.append(sources.from_credentials(names, Path(credentials)))
        if config := os.environ.get(f"{PREFIX}CONFIG"):
            found.append(sources.from_toml(names, Path(config)))
        elif not _started_by_systemd():
            found.append(sources.from_dotenv(names, Path(".env")))
        return (init_settings, *(InitSettingsSource(settings_cls, values) for values in found))

    @model_validator(mode="before")
    @classmethod
    def _fewer_workers(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Whoever asks for one worker at most, as by WORKER_CONCURRENCY=1, need not say how many there are at least."""
        most = str(values.get("max_workers", ""))
        if most.isdecimal() and 0 < int(most) < MIN_WORKERS:
            return {"min_workers": int(most)} | values
        return values

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.min_workers > self.max_workers:
            raise ValueError("MIN_WORKERS must not be above MAX_WORKERS")
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("HEARTBEAT_SECONDS must be at most half of LEASE_SECONDS")
        if self.smtp_user and self.tls == "none" and not is_loopback(self.smtp_host):
            raise ValueError(
                "SMTP_USER with SMTP_TLS=none would send the password in clear: choose required or implicit"
            )
        if not is_loopback(self.http_host) and not self.api_key.get_secret_value():
            raise ValueError("HTTP_HOST is not a loopback address: set API_KEY, or keep 127.0.0.1 behind a proxy")
        return self

    @property
    def tls(self) -> Literal["required", "implicit", "none"]:
        """SMTP_TLS, or the default that fits the host."""
        return self.smtp_tls or ("none" if is_loopback(self.smtp_host) else "required")

    @property
    def relay_port(self) -> int:
        """SMTP_PORT, or the one that fits TLS and host (RFC 6409, RFC 8314)."""
        if self.smtp_port:
            return self.smtp_port
        if self.tls == "implicit":
            return SUBMISSIONS_PORT
        return SMTP_PORT if is_loopback(self.smtp_host) else SUBMISSION_PORT

    @property
    def sender_email(self) -> str:
        """FROM_EMAIL, or an address at this host."""
        return self.from_email or f"mailworkers@{socket.gethostname() or 'localhost'}"

    @property
    def instance_name(self) -> str:
        """INSTANCE, or this host's name."""
        return self.instance or socket.gethostname() or "mailworkers"

    @property
    def retry_schedule(self) -> tuple[float, ...]:
        """Seconds before the first, second … retry; the last is repeated."""
        return tuple(float(part) * 60 for part in self.retry_minutes.split(","))


def load(**overrides: Any) -> Settings:
    """Read all settings.

    Args:
        overrides: values from the command line, by field name; None means "not given".

    Raises:
        SettingsError: naming each bad setting by its environment variable, or its place in the settings file, never its value where it is a secret.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as bad:
        from_file = _from_file_alone(given)
        lines = [complaint(error, Settings.model_fields, from_file) for error in bad.errors(include_url=False)]
        raise SettingsError("; ".join(lines), "All settings are in the README's table") from None
    settings._given.update(given)  # noqa: SLF001 -- this module's own class
    return settings


def _from_file_alone(given: Collection[str]) -> dict[str, str]:
    """Where each field is written that only the settings file gives, for whoever has to correct it there."""
    config = os.environ.get(f"{PREFIX}CONFIG")
    if not config:
        return {}
    names = sources.names_of(Settings.model_fields)
    before = {*given, *sources.from_variables(names, os.environ)}
    if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
        before |= set(sources.from_credentials(names, Path(credentials)))
    written = sources.from_toml(names, Path(config))
    return {name.field: f"{config}: {name.key}" for name in names if name.field in written and name.field not in before}


def reload(settings: Settings) -> tuple[Settings, list[str], list[str]]:
    """Read all settings anew, as on SIGHUP, and take over what may change while running.

    Args:
        settings: those in force; the command line they were loaded with still wins.

    Returns:
        the settings now in force; the fields that changed; the fields that differ but need a restart.

    Raises:
        SettingsError: the new settings are bad as a whole, so the old ones stay in force.
    """
    fresh = load(**settings._given)  # noqa: SLF001 -- this module's own class
    changed: list[str] = []
    needs_restart: list[str] = []
    for name, info in Settings.model_fields.items():
        if getattr(fresh, name) != getattr(settings, name):
            extra: Any = info.json_schema_extra
            (changed if extra["reload"] else needs_restart).append(name)
    return settings.model_copy(update={name: getattr(fresh, name) for name in changed}), changed, needs_restart


def notices() -> tuple[str, ...]:
    """A sentence about each environment variable that looks like a setting and has no effect, such as a misspelt one."""
    return sources.questionable_variables(sources.names_of(Settings.model_fields), os.environ)


def _started_by_systemd() -> bool:
    return os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
