"""What kinds of value settings have, beyond numbers and plain text: each refuses what could only fail later."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,40}")  # a schema's name goes into SQL text, so it is held to this
HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
MAX_PORT = 65535
_PORT = re.compile(r":[1-9][0-9]{0,4}")
MAX_RETRY_MINUTES = 60 * 24 * 30  # a month: what waits longer is no retry


def is_loopback(host: str) -> bool:
    """Whether `host` can only mean this machine: `localhost` and names below it, 127.0.0.0/8, ::1."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def _identifier(value: str) -> str:
    if not IDENTIFIER.fullmatch(value):
        raise ValueError("must be lower case letters, digits and _, at most 41, not beginning with a digit")
    return value


def _one_line(value: str) -> str:
    if CONTROL_CHARACTERS.search(value):
        raise ValueError("must be one line without control characters")
    return value


def _host(value: str) -> str:
    if not HOST_NAME.fullmatch(value) and not _is_address(value.strip("[]")):
        raise ValueError("must be a host name or an IP address alone, without scheme or port")
    return value


def _host_or_empty(value: str) -> str:
    return _host(value) if value else value


def _name_server(value: str) -> str:
    if value in ("", "system"):
        return value
    address, port = value, ""
    if value.startswith("[") and "]" in value:
        address, _, port = value[1:].partition("]")
    elif value.count(":") == 1:
        address, _, port = value.partition(":")
        port = f":{port}"
    if not _is_address(address) or (port and not _PORT.fullmatch(port)) or int(port[1:] or 1) > MAX_PORT:
        raise ValueError(
            "must be `system`, or a name server's IP address, as in 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:5353"
        )
    return value


def _address(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not (local and at and domain) or re.search(r"[\s\x00-\x1f\x7f<>,;]", value):
        raise ValueError("must be one mail address such as letter@example.org")
    return value


def _dsn(value: SecretStr) -> SecretStr:
    try:
        scheme = urlsplit(value.get_secret_value()).scheme
    except ValueError:  # a bracket that does not close
        scheme = ""
    if scheme not in ("postgresql", "postgres"):
        raise ValueError("must be a URL that begins with postgresql://")
    return value


def _minutes(value: str) -> str:
    try:
        minutes = [float(part) for part in value.split(",")]
    except ValueError:
        minutes = []
    if not minutes or not all(0 < each <= MAX_RETRY_MINUTES for each in minutes):
        raise ValueError(f"must be minutes from above 0 to {MAX_RETRY_MINUTES}, separated by commas")
    return value


def _readable_file(value: Path) -> Path:
    path = value.expanduser()
    if not (path.is_file() and os.access(path, os.R_OK)):
        raise ValueError("must name a file that this user can read")
    return path


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


Port = Annotated[int, Field(ge=0, le=MAX_PORT)]
Dsn = Annotated[SecretStr, AfterValidator(_dsn)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Address = Annotated[str, AfterValidator(_address)]
Host = Annotated[str, AfterValidator(_host)]
HostOrEmpty = Annotated[str, AfterValidator(_host_or_empty)]
NameServer = Annotated[str, AfterValidator(_name_server)]
Line = Annotated[str, AfterValidator(_one_line)]
Minutes = Annotated[str, AfterValidator(_minutes)]
File = Annotated[Path, AfterValidator(_readable_file)]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]
Provider = Annotated[Literal["smtp"], BeforeValidator(_lower)]
Tls = Annotated[Literal["required", "implicit", "none"], BeforeValidator(_lower)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
LogFormat = Annotated[Literal["auto", "json", "text"], BeforeValidator(_lower)]
EventLoop = Annotated[Literal["auto", "uvloop", "asyncio"], BeforeValidator(_lower)]
