"""The commands: one file a group. They read options, call the rooms below and print; what they say is decided there."""

from __future__ import annotations

import sys

INTERRUPTED = 128 + 2  # as shells write an end by SIGINT


def main() -> None:
    """The `mailworkers` command."""
    try:
        from mailworkers.cli.app import app  # noqa: PLC0415 -- a Ctrl-C while the imports run is no traceback either
        from mailworkers.cli.ending import run_to_end  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(run_to_end(app))
