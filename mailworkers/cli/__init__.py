"""The commands: one file a group. They read options, call the rooms below and print; what they say is decided there."""

from __future__ import annotations

import sys


def main() -> None:
    """The `mailworkers` command."""
    from mailworkers.cli.app import app  # noqa: PLC0415 -- importing a module of this package stays cheap
    from mailworkers.cli.ending import run_to_end  # noqa: PLC0415

    sys.exit(run_to_end(app))
