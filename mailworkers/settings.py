"""Every setting: its type, unit, default, and why that default.

The README's table is generated from this file (`python -m mailworkers.cli.settings_table`), so a description here is
what a user reads. Precedence: command line, environment, systemd credentials, the file named by MAILWORKERS_CONFIG,
`.env` (in development only), default.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mailworkers.errors import SettingsError

PREFIX = "MAILWORKERS_"
IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,40}")  # a schema's name goes into SQL text, so it is held to this
MAX_PORT = 65535
SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465
SMTP_PORT = 25


def _identifier(value: str) -> str:
    if not IDENTIFIER.fullmatch(value):
        raise ValueError("must be lower case letters, digits and _, at most 41, not beginning with a digit")
    return value


def _address(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not (local and at and domain) or re.search(r"[\s\x00-\x1f\x7f<>]", value):
        raise ValueError("must be one mail address such as letter@example.org")
    return value


def _dsn(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in ("postgresql", "postgres"):
        raise ValueError("must begin with postgresql://")
    return value


def setting(
    default: Any,
    about: str,
    *,
    unit: str = "",
    reload: bool = False,
    names: tuple[str, ...] = (),
    **bounds: Any,
) -> Any:
    """A field whose unit, reload behaviour and other environment names the generated table can show.

    Args:
        default: the value where nothing is set.
        about: what it does and why the default is what it is.
        unit: of the number, for the table.
        reload: whether SIGHUP takes a new value from the file without a restart.
        names: conventional environment variables that work too.
    """
    extra: dict[str, Any] = {"unit": unit, "reload": reload, "names": list(names)}
    return Field(default=default, description=about, json_schema_extra=extra, **bounds)


Port = Annotated[int, Field(ge=0, le=MAX_PORT)]
Dsn = Annotated[SecretStr, AfterValidator(_dsn)]


class CredentialsSource(PydanticBaseSettingsSource):
    """Secrets from `$CREDENTIALS_DIRECTORY` (systemd.exec(5)): one file a setting, named as the setting in lower case."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        path = Path(folder, field_name) if folder else None
        value = path.read_text().strip() if path and path.is_file() else None
        return value, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(info, name)[0] for name, info in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class ConventionalNamesSource(PydanticBaseSettingsSource):
    """The names that other tools use for the same thing, such as DATABASE_URL; `MAILWORKERS_…` wins over them."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        extra = field.json_schema_extra
        names = extra.get("names") if isinstance(extra, dict) else None
        values = (
            [os.environ[str(name)] for name in names if os.environ.get(str(name))] if isinstance(names, list) else []
        )
        return (values[0] if values else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(info, name)[0] for name, info in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """All settings of a daemon or command. Build it with `load()`, which turns a bad value into one clear line."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

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
    db_schema: Annotated[str, AfterValidator(_identifier)] = Field(
        default="mailworkers",
        validation_alias=AliasChoices(f"{PREFIX}SCHEMA", "schema", "db_schema"),
        description="The schema that holds everything.",
        json_schema_extra={"unit": "", "reload": False, "names": []},
    )
    data_dir: Path | None = setting(
        None,
        "Home of the embedded server. By default a folder of the user's own: $XDG_DATA_HOME/mailworkers, or "
        "/var/lib/mailworkers for root.",
    )

    # The relay
    provider: Literal["smtp"] = setting("smtp", "How mails leave. HTTP providers come later.")
    smtp_host: str = setting("127.0.0.1", "The relay.", names=("SMTP_HOST",), min_length=1)
    smtp_port: Port = setting(
        0, "0 chooses 465 for `implicit`, 25 on loopback, else 587.", unit="port", names=("SMTP_PORT",)
    )
    smtp_user: str = setting("", "User for AUTH; empty for none.", names=("SMTP_USER",))
    smtp_password: SecretStr = setting(SecretStr(""), "Password for AUTH.", names=("SMTP_PASS", "SMTP_PASSWORD"))
    smtp_tls: Literal["required", "implicit", "none"] | None = setting(
        None,
        "`required`: STARTTLS or nothing; `implicit`: TLS from the first byte; `none`. By default `required`, and `none` "
        "on loopback.",
    )
    smtp_ca_file: Path | None = setting(None, "Certificates to trust instead of the system's, in PEM.")
    smtp_helo_name: str = setting("", "The name given in EHLO; by default this host's.")
    smtp_mails_per_connection: int = setting(
        100, "A connection is renewed after so many; large providers allow 50 to 100.", unit="mails", ge=1
    )
    smtp_idle_seconds: float = setting(
        60.0, "An idle connection is closed after this; relays do after 300 at the latest.", unit="s", gt=0
    )
    from_email: Annotated[str, AfterValidator(_address)] | None = setting(
        None,
        "Sender of rows that name none. By default mailworkers@ this host's name: set it in production.",
        reload=True,
        names=("FROM_EMAIL",),
    )
    from_name: str = setting("", "Display name that goes with it.", reload=True, names=("FROM_NAME",))

    # Workers and speed
    instance: str = setting(
        "", "This daemon's name in tables and logs; by default the host's. Rate limits of its workers hang on it."
    )
    min_workers: int = setting(
        2, "Workers (one connection each) that always run.", unit="workers", reload=True, ge=1, le=500
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
        10, "Safety buffer below every limit; it also is the burst.", unit="%", reload=True, ge=0, le=90
    )
    claim_batch: int = setting(500, "At most so many jobs in one claim.", unit="jobs", ge=1, le=10_000)
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
    retry_minutes: str = setting(
        "5,15,45,135", "Waiting before each retry; the last is repeated. Jittered by a tenth.", unit="min"
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
    http_host: str = setting("127.0.0.1", "Where the health page listens; not loopback only with an API key.")
    http_port: Port = setting(8025, "0 chooses a free port.", unit="port")
    api_key: SecretStr = setting(SecretStr(""), "Bearer key that every page but /livez, /readyz and /health asks for.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting("INFO", "What is logged.", reload=True)
    log_format: Literal["auto", "json", "text"] = setting("auto", "`auto`: text on a terminal, else JSON.")
    event_loop: Literal["auto", "uvloop", "asyncio"] = setting("auto", "`auto`: uvloop where it is installed.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        config = os.environ.get(f"{PREFIX}CONFIG")
        file = (TomlConfigSettingsSource(settings_cls, Path(config)),) if config else ()
        under_systemd = "INVOCATION_ID" in os.environ
        dotenv = () if under_systemd else (dotenv_settings,)
        names = ConventionalNamesSource(settings_cls)
        return (init_settings, env_settings, names, CredentialsSource(settings_cls), *file, *dotenv)

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
        if not self.retry_schedule:
            raise ValueError("RETRY_MINUTES must be numbers above 0, separated by commas")
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
        """Seconds before the first, second … retry; empty where RETRY_MINUTES is malformed."""
        try:
            seconds = tuple(float(part) * 60 for part in self.retry_minutes.split(","))
        except ValueError:
            return ()
        return seconds if all(0 < s < float("inf") for s in seconds) else ()


def is_loopback(host: str) -> bool:
    """Whether `host` can only mean this machine: `localhost` and names below it, 127.0.0.0/8, ::1."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def load(**overrides: Any) -> Settings:
    """Read all settings.

    Args:
        overrides: values from the command line, by field name; None means "not given".

    Raises:
        SettingsError: naming each bad setting by its environment variable, never its value where it is a secret.
    """
    config = os.environ.get(f"{PREFIX}CONFIG")
    if config and not os.access(config, os.R_OK):
        raise SettingsError(f"cannot read the settings file {config}", f"Check {PREFIX}CONFIG and the file's rights")
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(_env_file=".env", **given)
    except ValidationError as bad:
        lines = [
            _complaint(error) for error in bad.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SettingsError("; ".join(lines), "See `mailworkers run --help` or the table in the README") from None
    except (ValueError, OSError) as bad:  # TOML syntax, an unreadable credential
        raise SettingsError(f"the settings cannot be read: {bad}", "Check the file's syntax and rights") from None


def _complaint(error: Any) -> str:
    where = str(error["loc"][0]).upper() if error["loc"] else ""
    text = str(error["msg"]).removeprefix("Value error, ")
    name = f"{PREFIX}{where.removeprefix(PREFIX).replace('DB_SCHEMA', 'SCHEMA')} " if where else ""
    return f"{name}{text[:1].lower() + text[1:] if where else text}"
