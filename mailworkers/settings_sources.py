"""Where settings come from: one small reader for each place, each giving values by field name.

Every reader takes the same spellings of a setting: its own key (`smtp_password`) or one of the conventional names that
other tools use for it (`SMTP_PASS`). What is empty counts as not given.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic.fields import FieldInfo

from mailworkers.errors import SettingsError

PREFIX = "MAILWORKERS_"
# Variables with our prefix that are no settings: the settings file's own name, switches of the command
# line, of the embedded server and of the tests.
NOT_SETTINGS = frozenset({"CONFIG", "DEBUG", "POSTGRES_BIN"})
NOT_SETTINGS_PREFIX = "TEST_"
# Names that tools set for providers which this version does not have yet.
LATER = {"RESEND_API_KEY": "this version sends by SMTP only"}


@dataclass(frozen=True, slots=True)
class SettingName:
    """How one setting is written: its field in Python, its key everywhere else, and its conventional names."""

    field: str
    key: str
    conventional: tuple[str, ...]

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.key.upper()

    @property
    def prefixed(self) -> tuple[str, ...]:
        """Its environment variable, and the conventional names with our prefix."""
        return (self.variable, *(PREFIX + name for name in self.conventional))


def names_of(fields: Mapping[str, FieldInfo]) -> tuple[SettingName, ...]:
    """The names of all settings, in the order of their declaration."""
    named = []
    for field, info in fields.items():
        extra: Any = info.json_schema_extra or {}
        named.append(SettingName(field, extra.get("key") or field, tuple(extra.get("names", ()))))
    return tuple(named)


def from_variables(names: Iterable[SettingName], environ: Mapping[str, str | None]) -> dict[str, str]:
    """Values from environment variables; `MAILWORKERS_…` wins over the conventional names."""
    found = {}
    for name in names:
        values = (environ.get(variable) for variable in (*name.prefixed, *name.conventional))
        value = next((value for value in values if value), None)
        if value is not None:
            found[name.field] = value
    return found


def from_credentials(names: Iterable[SettingName], folder: Path) -> dict[str, str]:
    """Secrets that systemd hands over (systemd.exec(5), `LoadCredential=`): one file a setting, named by its key.

    Raises:
        SettingsError: a credential cannot be read, or is no text.
    """
    found = {}
    for name in names:
        path = folder / name.key
        if path.is_file():
            value = _text(path).removesuffix("\n").removesuffix("\r")
            if value:
                found[name.field] = value
    return found


def from_toml(names: Iterable[SettingName], path: Path) -> dict[str, Any]:
    """Values from the settings file; its keys may be written in lower or upper case.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or has a key that no setting has.
    """
    try:
        content = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as bad:
        raise SettingsError(f"the settings file {path} is no valid TOML: {bad}", "Text goes in quotes") from None
    fields = _fields_by_key(names)
    found: dict[str, Any] = {}
    for key, value in content.items():
        field = fields.get(key.lower())
        if field is None:
            hint = _did_you_mean(key.lower(), fields) or "The README's table lists all settings"
            raise SettingsError(f"{path} has the unknown setting {key}", hint)
        if field in found:
            raise SettingsError(f"{path} sets {field} twice, the second time as {key}", "Remove one of them")
        if isinstance(value, bool | dict):
            raise SettingsError(
                f"{path}: {key} must be a number or text in quotes", "Put every setting at the top level"
            )
        if value != "":
            found[field] = ",".join(map(str, value)) if isinstance(value, list) else value
    return found


def from_dotenv(names: Iterable[SettingName], path: Path) -> dict[str, str]:
    """Values from a `.env` file, which is for development; a missing file gives nothing.

    Raises:
        SettingsError: the file is there and cannot be read.
    """
    try:
        return from_variables(names, dotenv_values(path)) if path.is_file() else {}
    except (OSError, ValueError) as bad:
        raise _unreadable(path, bad) from None


def questionable_variables(names: Iterable[SettingName], environ: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence about each variable that looks like a setting and has no effect."""
    known = {variable: name.field for name in names for variable in name.prefixed}
    sentences = []
    for variable in sorted(environ):
        bare = variable.removeprefix(PREFIX)
        if bare in LATER:
            sentences.append(f"{variable} has no effect: {LATER[bare]}")
        elif bare != variable and variable not in known and not _is_switch(bare):
            guess = _did_you_mean(variable, known)
            sentences.append(f"{variable} is no setting and has no effect" + (f". {guess}" if guess else ""))
    return tuple(sentences)


def _fields_by_key(names: Iterable[SettingName]) -> dict[str, str]:
    return {key.lower(): name.field for name in names for key in (name.key, *name.conventional)}


def _is_switch(bare: str) -> bool:
    return bare in NOT_SETTINGS or bare.startswith(NOT_SETTINGS_PREFIX)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.75)
    return f"Did you mean {close[0]}?" if close else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as bad:
        raise _unreadable(path, bad) from None


def _unreadable(path: Path, bad: Exception) -> SettingsError:
    why = (bad.strerror or "").lower() if isinstance(bad, OSError) else "it is no UTF-8 text"
    return SettingsError(f"cannot read the settings in {path}: {why}", "Check the file's name and rights")
