"""Postfix's own load generator as a reference, where it is installed: C, no queue, the same relay."""

from __future__ import annotations

import asyncio
import shutil
import time

from mailworkers.bench.figures import Speed
from mailworkers.bench.mails import HEAD, SENDER
from mailworkers.bench.plan import Where

FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/libexec/postfix"  # where it is installed, rarely in an ordinary user's PATH
LONGEST_SECONDS = 120.0  # it has no bound of its own


def found() -> str | None:
    """Where the program is, if it is here at all."""
    return shutil.which("smtp-source") or shutil.which("smtp-source", path=FOLDERS)


async def measure(program: str, relay: Where, jobs: int, size: int, connections: int) -> Speed | None:
    """Send so many mails over kept connections; None where it fails, such as with a relay that asks for TLS.

    Args:
        program: as `found`.
        relay: in clear and without AUTH, which is all it knows.
        jobs: mails.
        size: octets of each, header included.
        connections: at once.
    """
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        program, "-d", "-s", str(connections), "-m", str(jobs), "-l", str(max(size - HEAD, 1)),
        "-f", SENDER, "-t", "reader@firm1.example", f"inet:[{relay.host}]:{relay.port}",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            code = await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Speed(jobs, time.monotonic() - began) if code == 0 else None
