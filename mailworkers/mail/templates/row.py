"""A row of email_jobs that names a template: what its mail says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mailworkers.errors import ComposeError
from mailworkers.mail.templates.letter import Letter, Rendered


def rendered(row: Mapping[str, Any], letter: Letter) -> Rendered:
    """What a row that names a template says.

    The template sees the row's `data`, and `to_email`, `to_name` and what the letter's mails have in common where data has none
    of that name. A subject that the row has stands instead of the template's.

    Args:
        row: columns of email_jobs. `data` as text or already decoded.
        letter: what its `template` means.

    Raises:
        ComposeError: the template cannot be rendered with this data, or the data is no JSON object.
    """
    given = variables(row["data"])
    addressed = {"to_email": row["to_email"], "to_name": row["to_name"], **given}
    return letter.render(addressed, subject=row["subject"])


def variables(data: Any) -> Mapping[str, Any]:
    """The variables that a row's `data` holds.

    Raises:
        ComposeError: it is no JSON object.
    """
    if data is None:
        return {}
    try:
        decoded = json.loads(data) if isinstance(data, str | bytes) else data
    except (ValueError, RecursionError):
        raise ComposeError("data is not valid JSON, or nested too deeply") from None
    if not isinstance(decoded, dict):
        raise ComposeError('data must be a JSON object, as in {"name": "Ann"}')
    return decoded
