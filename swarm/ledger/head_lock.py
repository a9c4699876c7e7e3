"""A lock in a swarm's folder that its head holds from before Ray starts until it ends: the kernel gives it back."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import IO

from swarm.filelock import SHARED, take

_NAME = "head.lock"


def lead(folder: Path) -> IO[str] | None:
    """Holds the lock as long as the returned file is open, and says whose it is; None where another head does."""
    file = open(folder / _NAME, "a", opener=_private)  # noqa: SIM115
    if take(file.fileno(), file.name):
        file.truncate(0)
        print(f"process {os.getpid()} on {platform.node()}", file=file, flush=True)
        return file
    file.close()
    return None


def is_led(folder: Path) -> bool:
    """Whether a head leads the swarm of this folder now, also while it has no board yet. Leaves no file behind."""
    try:
        file = open(folder / _NAME, opener=_private)  # noqa: SIM115
    except OSError:
        return False
    with file:
        return not take(file.fileno(), file.name, SHARED)


def leader(folder: Path) -> str:
    """Whose the lock is or was last, as "process 123 on a-host"; "" where nobody ever had it."""
    try:
        return (folder / _NAME).read_text(errors="replace").strip()
    except OSError:
        return ""


def _private(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK, 0o600)
