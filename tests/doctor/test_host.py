"""This machine: room and limits."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from mailworkers.doctor.finding import Level
from mailworkers.doctor.host import GIB, check_host, disk, files
from mailworkers.settings import Settings


@pytest.mark.parametrize(("free", "level"), [(10 * GIB, Level.OK), (GIB, Level.WARN), (GIB // 100, Level.FAIL)])
def test_room_on_the_disk(free: int, level: Level) -> None:
    assert disk(Path("/srv/mail"), free).level is level


@pytest.mark.parametrize(("limit", "level"), [(1024, Level.OK), (64, Level.FAIL), (resource.RLIM_INFINITY, Level.OK)])
def test_open_files(limit: int, level: Level) -> None:
    assert files(10, limit).level is level


def test_a_home_that_is_not_there_yet_is_judged_by_the_disk_it_will_be_on(tmp_path: Path) -> None:
    checked = [finding.check for finding in check_host(Settings(), tmp_path / "not" / "yet")]

    assert checked == ["disk", "open files"]


def test_without_the_embedded_server_its_disk_does_not_matter() -> None:
    assert [finding.check for finding in check_host(Settings(), None)] == ["open files"]
