"""What this user may do on this machine."""

from __future__ import annotations

import os
import subprocess
import tempfile

MOUNT_SECONDS = 30.0


def can_mount() -> bool:
    """Whether a disk in memory can be mounted: by root, but not in most containers."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory(prefix="mailworkers-test-") as folder:
        try:
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=1m", "mailworkers-test", folder],
                check=False,
                capture_output=True,
                timeout=MOUNT_SECONDS,
            )
        except OSError:
            return False
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True, timeout=MOUNT_SECONDS)
        return mounted.returncode == 0
