"""What systemd hears, on real datagram sockets."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailworkers.daemon.notify import Notifier, watchdog_interval

TIMEOUT = 5.0  # seconds that a datagram on the same machine never takes


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A supervisor's socket, and its name as NOTIFY_SOCKET gives it."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    path = str(tmp_path / "notify")
    name = f"@mailworkers-{os.getpid()}-{id(request)}" if request.param == "abstract" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        channel.settimeout(TIMEOUT)
        yield channel, name


def test_each_message_in_systemds_words(listener: tuple[socket.socket, str]) -> None:
    channel, name = listener
    notifier = Notifier({"NOTIFY_SOCKET": name})

    def heard() -> str:
        return channel.recv(4096).decode()

    assert notifier.ready("sending")
    assert heard() == "READY=1\nSTATUS=sending"
    assert notifier.ready()
    assert heard() == "READY=1"
    assert notifier.status("12 waiting")
    assert heard() == "STATUS=12 waiting"
    assert notifier.reloading()
    assert heard().startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert notifier.stopping("3 in flight")
    assert heard() == "STOPPING=1\nSTATUS=3 in flight"
    assert notifier.extend_timeout(2.5)
    assert heard() == "EXTEND_TIMEOUT_USEC=2500000"
    assert notifier.feed_watchdog()
    assert heard() == "WATCHDOG=1"


def test_a_line_break_in_a_status_begins_no_second_message(listener: tuple[socket.socket, str]) -> None:
    channel, name = listener

    Notifier({"NOTIFY_SOCKET": name}).status("relay said\nMAINPID=1")

    assert channel.recv(4096) == b"STATUS=relay said MAINPID=1"


@pytest.mark.parametrize("name", ["", "/nonexistent/notify", "@nobody-listens-here", "vsock:2:1234", "@" + "x" * 500])
def test_where_nobody_listens_the_daemon_goes_on(name: str) -> None:
    assert not Notifier({"NOTIFY_SOCKET": name}).ready("sending")
    assert not Notifier({}).feed_watchdog()


def test_a_full_socket_does_not_block(tmp_path: Path) -> None:
    path = str(tmp_path / "deaf")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path})

        said = [notifier.feed_watchdog() for _ in range(2000)]

    assert said[0]
    assert not said[-1], "the queue of a socket nobody reads ends somewhere, and the message is dropped there"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_period(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog_interval(environment) == seconds
    assert Notifier(environment).watchdog_interval == seconds
