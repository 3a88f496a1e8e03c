"""What is wrong with a setting, in words for whoever wrote it: the variable's name, what would be right, what was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from mailworkers.settings_sources import PREFIX

MAX_SHOWN = 60  # characters of a bad value; the beginning is enough to recognize it

_RIGHT = {
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be one of {expected}",
    "string_type": "must be text in quotes",
    "path_type": "must be a path in quotes",
    "extra_forbidden": "is no setting",
}


def complaint(error: Any, fields: Mapping[str, FieldInfo], from_file: Mapping[str, str]) -> str:
    """One line about one of pydantic's errors. A secret's value is never part of it.

    Args:
        error: as from `ValidationError.errors()`.
        fields: those of the settings class.
        from_file: where the settings file has a field, for those that it gives.
    """
    context = error.get("ctx", {})
    known = _RIGHT.get(error["type"])
    right = known.format(**context) if known else str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:  # it is about several settings, which the message names
        return PREFIX + right
    field = str(error["loc"][0])
    info = fields.get(field)
    extra: Any = info.json_schema_extra if info else {}
    name = from_file.get(field) or PREFIX + (extra.get("key") or field).upper()
    return f"{name} {right}{'' if info is None or _is_secret(info) else _given(error['input'])}"


def _is_secret(info: FieldInfo) -> bool:
    return SecretStr.__name__ in repr(info.annotation)


def _given(value: Any) -> str:
    text = str(value)
    return f", got {text[:MAX_SHOWN]!r}{'…' if len(text) > MAX_SHOWN else ''}"
