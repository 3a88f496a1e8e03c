"""`mailworkers url`: how to reach the database in use; and what `run` tells of it."""

from __future__ import annotations

import os
import signal

from mailworkers.demo.home import temporary_home
from tests.cli.conftest import Command
from tests.support.program import mailworkers, started


def test_a_given_database_is_named_as_given(on_database: Command, database_url: str) -> None:
    ended = on_database("url")

    assert (ended.code, ended.out, ended.err) == (0, f"{database_url}\n", "")


def test_run_says_how_to_reach_the_embedded_server_where_its_page_is_and_which_relay_it_uses() -> None:
    options = ("--http-port", "0", "--smtp-host", "127.0.0.1", "--smtp-port", "1", "--log-format", "text")
    with temporary_home() as folder, started("run", *options, MAILWORKERS_DATA_DIR=str(folder)) as daemon:
        assert daemon.stderr is not None
        said = ""
        while "daemon ready" not in said:
            line = daemon.stderr.readline()
            assert line, said
            said += line
        asked = mailworkers("url", MAILWORKERS_DATA_DIR=str(folder))
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.wait(30)

    assert 'with: psql "$(mailworkers url)"' in said, "a log gets no password"
    assert "/health" in said
    assert "127.0.0.1:1" in said
    assert asked.stdout.startswith("postgresql://")
    assert "as long as a command uses it" in asked.stderr
    told = "no database given: using the embedded server"
    assert told in said
    assert told not in asked.stderr, "while it is up, whoever started it has said so"
