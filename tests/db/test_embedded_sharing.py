"""Several users of one server: it lives from the first to the last of them, however they end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mailworkers.db.embedded import is_up
from tests.support.embedded import User, answers, data_folder, keeper_of, kept, postmaster
from tests.support.waiting import wait_until

Starting = Callable[..., User]


def test_three_racing_starters_make_one_server(new_home: Path, user: Starting) -> None:
    assert not is_up(new_home)

    # When three processes start at the same moment in a new_home that does not exist yet
    racing = [user() for _ in range(3)]
    addresses = {one.dsn() for one in racing}

    # Then they share one server on one data directory
    assert len(addresses) == 1
    assert data_folder(new_home)
    assert answers(addresses.pop())
    assert is_up(new_home)

    # And it stays until the last of them leaves
    pid = postmaster(new_home)
    racing[0].leave()
    racing[1].leave()
    assert postmaster(new_home) == pid
    assert kept(new_home)
    racing[2].leave()
    assert not kept(new_home)
    assert not is_up(new_home)


def test_the_server_survives_kill_9_of_the_user_who_started_it(home: Path, user: Starting) -> None:
    first = user()
    dsn = first.dsn()
    second = user()
    assert second.dsn() == dsn
    pid = postmaster(home)

    first.kill()

    assert answers(dsn)
    assert postmaster(home) == pid
    second.leave()
    assert not kept(home)


def test_the_server_ends_after_kill_9_of_all_users(home: Path, user: Starting) -> None:
    users = [user(), user()]
    for one in users:
        one.dsn()
    pid = postmaster(home)

    for one in users:
        one.kill()

    wait_until(lambda: not kept(home), "the keeper ended")
    assert not Path(f"/proc/{pid}").exists()
    assert postmaster(home) == 0, "the server was shut down, not killed"


def test_a_user_who_comes_while_the_server_is_ending_gets_a_server(home: Path, user: Starting) -> None:
    for _ in range(5):
        leaving = user()
        leaving.dsn()
        leaving.kill()
        coming = user()
        coming.dsn()
        assert kept(home)
        coming.kill()


def test_ctrl_c_at_the_terminal_leaves_the_server_to_a_daemon_that_drains(home: Path, user: Starting) -> None:
    draining = user(ignoring_interrupts=True)
    dsn = draining.dsn()
    pid, keeper = postmaster(home), keeper_of(home)

    draining.interrupt()
    assert draining.says() == {"interrupted": True}

    assert answers(dsn)
    assert postmaster(home) == pid
    terminal = os.getsid(draining.process.pid)
    assert terminal not in (os.getsid(keeper), os.getsid(pid))
    draining.leave()


@pytest.mark.parametrize("interrupted_at", ["data.new-*", "data-*", "data-*/postmaster.pid"])
def test_ctrl_c_during_the_start_leaves_no_server_behind(new_home: Path, user: Starting, interrupted_at: str) -> None:
    starting = user()
    wait_until(lambda: any(new_home.glob(interrupted_at)), interrupted_at)

    starting.interrupt()
    starting.process.wait(60)

    wait_until(lambda: not kept(new_home), "nobody keeps a server")
    again = user()
    again.dsn()
    again.leave()
    assert not list(new_home.glob("data.new-*"))


def test_the_keeper_ignores_polite_signals(home: Path, user: Starting) -> None:
    using = user()
    dsn = using.dsn()
    for number in (1, 2, 15):
        os.kill(keeper_of(home), number)
    wait_until(lambda: answers(dsn), "the server answers")
    assert kept(home)
    using.leave()
    assert not kept(home)
