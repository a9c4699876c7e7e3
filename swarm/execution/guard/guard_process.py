"""Starts a run's guard, and ends it with whatever is left of its tree when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import IO

import swarm
from swarm.execution.spec import GUARD_ERRORS, GUARD_FOLDER, mark_of


@asynccontextmanager
async def started_guard(folder: Path) -> AsyncIterator[tuple[asyncio.StreamReader, IO[bytes]]]:
    """A running guard: the pipe of its report and that of its commands. Leaving, in whatever way, ends its tree."""
    environment = {"PYTHONPATH": str(Path(swarm.__file__).parents[1]), "PATH": os.environ.get("PATH", os.defpath)}
    environment |= {GUARD_FOLDER: str(folder), **mark_of(os.environ)}
    with (folder / GUARD_ERRORS).open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", "swarm.execution.guard.guard", str(folder)], bufsize=0, cwd=folder,
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
        )  # fmt: skip
    assert process.stdin and process.stdout
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    with process.stdin:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, process.stdout)
        with closing(transport):
            await asyncio.to_thread(process.wait)  # the first of its forks; the guard itself is nobody's child
            yield reader, process.stdin
