"""What the demo is made of, as files: contacts, a letter and the letter's own variables, to try every command with."""

from __future__ import annotations

import json
from pathlib import Path

from mailworkers.demo.leads import SHIPPED
from mailworkers.demo.letter import FOLDER
from mailworkers.errors import EX_DATAERR, MailworkersError

# A campaign's variables are the same for all its leads, and so is this link; the demo makes one for each of them.
UNSUBSCRIBE = "https://notes.example/leave"


class NoFolder(MailworkersError):
    """The files cannot be written there."""

    exit_code = EX_DATAERR


def write_samples(folder: Path) -> tuple[Path, ...]:
    """Write the files, over those of the same names; where they lie.

    Raises:
        NoFolder: it cannot be made or written to.
    """
    letter = json.loads((FOLDER / "letter.json").read_text(encoding="utf-8"))
    data = {"items": letter["items"], "unsubscribe_url": UNSUBSCRIBE}
    contents = {
        "leads.csv": SHIPPED.read_bytes(),
        "letter.html": (FOLDER / "letter.html.jinja").read_bytes(),
        "letter.json": json.dumps(data, ensure_ascii=False, indent=2).encode() + b"\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as problem:
        raise NoFolder(f"cannot write {problem.filename}: {problem.strerror}", "Name another folder") from None
    return tuple(folder / name for name in contents)
