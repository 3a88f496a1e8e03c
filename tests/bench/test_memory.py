"""A process's peak memory is its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from mailworkers.bench.memory import peak_bytes

MIB = 1024 * 1024
TELL = [sys.executable, "-c", "from mailworkers.bench.memory import peak_bytes; print(peak_bytes())"]


def test_what_was_had_counts_when_it_is_gone() -> None:
    ballast = b"x" * (peak_bytes() + 50 * MIB)
    had = len(ballast)
    del ballast
    assert peak_bytes() > had


async def of_a_child() -> int:
    """What a child, started as the bench starts its own, tells of itself."""
    child = await asyncio.create_subprocess_exec(*TELL, stdout=subprocess.PIPE)
    async with asyncio.timeout(30.0):
        told, _ = await child.communicate()
    return int(told)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only getrusage(2) tells, which counts the parent's too")
async def test_a_child_does_not_count_what_its_parent_had() -> None:
    before = await of_a_child()
    test_what_was_had_counts_when_it_is_gone()
    assert await of_a_child() < before + 20 * MIB < peak_bytes()
