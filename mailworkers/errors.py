"""Every error a person can meet, as one small tree.

    MailworkersError
    ├── SettingsError               a setting is missing, malformed or contradicts another
    ├── DatabaseError
    │   ├── DatabaseUnavailable     cannot be reached just now: worth trying again
    │   ├── DatabaseRefused         wrong password, missing right, no such database: a person must act
    │   ├── SchemaMismatch          the schema is older or newer than this version knows
    │   └── EmbeddedServerError     the embedded server could not be started
    ├── ComposeError                this one row cannot become a mail, whoever tries
    │   └── TemplateError           a template is wrong, or cannot be rendered with this data
    ├── TemplateNotReady            a template could not be compiled in time on this machine: worth trying again
    ├── LeadsError                  a list of contacts cannot be read, or its import cannot go on
    ├── CampaignError               a campaign cannot be what somebody asks for, or cannot do it now
    ├── WarmUpError                 a warm-up or its schedule cannot be as it was asked for
    ├── TransportError
    │   ├── RelayUnreachable        no conversation with the relay: worth trying again
    │   └── RelayRefused            bad certificate, refused AUTH, no STARTTLS: a person must act
    └── PortInUse                   the health page's address is taken

A message says what happened, to what, and, in `hint`, what to do about it. Messages carry no secret.
"""

from __future__ import annotations

# Exit codes of sysexits(3), so that scripts and systemd can tell the kinds apart.
EX_FAILED = 1
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_NOPERM = 77
EX_CONFIG = 78


class MailworkersError(Exception):
    """The root: what happened and to what; `hint` says what to do.

    Args:
        message: one line, without a full stop at its end.
        hint: one line that begins with a verb, or nothing where nothing can be done.
    """

    exit_code = EX_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class SettingsError(MailworkersError):
    exit_code = EX_CONFIG


class DatabaseError(MailworkersError):
    exit_code = EX_UNAVAILABLE


class DatabaseUnavailable(DatabaseError):
    pass


class DatabaseRefused(DatabaseError):
    exit_code = EX_NOPERM


class SchemaMismatch(DatabaseError):
    exit_code = EX_CONFIG


class EmbeddedServerError(DatabaseError):
    pass


class ComposeError(MailworkersError):
    exit_code = EX_DATAERR


class TemplateError(ComposeError):
    """`excerpt` shows the line of the template that is meant, with a caret below the place; empty where it is not known."""

    def __init__(self, message: str, hint: str = "", excerpt: str = "") -> None:
        super().__init__(message, hint)
        self.excerpt = excerpt


class TemplateNotReady(MailworkersError):
    exit_code = EX_UNAVAILABLE


class LeadsError(MailworkersError):
    exit_code = EX_DATAERR


class CampaignError(MailworkersError):
    exit_code = EX_DATAERR


class LimitError(MailworkersError):
    exit_code = EX_DATAERR


class WarmUpError(MailworkersError):
    exit_code = EX_DATAERR


class TransportError(MailworkersError):
    exit_code = EX_UNAVAILABLE


class RelayUnreachable(TransportError):
    pass


class RelayRefused(TransportError):
    exit_code = EX_NOPERM


class PortInUse(MailworkersError):
    exit_code = EX_UNAVAILABLE
