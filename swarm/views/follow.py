"""Prints an agent's newest log or transcript, and with `-f` follows it as it grows."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from swarm.errors import UsageError
from swarm.snapshot.agent_files import Files
from swarm.wording.formatting import clean_block

POLL = 0.3  # seconds between two looks at the file
TAIL = 20_000  # bytes shown of what was there before


def follow(folder: Path, files: Files, output: TextIO, goes_on: Callable[[], bool] | None = None) -> None:
    """Prints the end of the newest of `files` in the agent's `folder`.

    With `goes_on` also what is added, and the next file after it, for as long as that holds.
    """
    read: dict[int, int] = {}  # how far each file was read, by its inode: a renamed one is the same
    last = 0
    while True:
        lives = goes_on is not None and goes_on()
        newest = files.newest(folder)
        if newest is None and not lives:
            raise UsageError(f"{folder.name} {files.none}")
        with contextlib.suppress(FileNotFoundError):  # renamed a moment ago: found again in the next round
            if newest:
                last = _pass_on(newest, read, last, output)
        if not lives:
            output.write("\n")
            return
        time.sleep(POLL)


def _pass_on(file: Path, read: dict[int, int], last: int, output: TextIO) -> int:
    """Prints what nobody has read yet, under a line with the file's name where it is another than the last one."""
    with file.open("rb") as opened:
        status = os.fstat(opened.fileno())
        start = read.get(status.st_ino, 0 if read else max(0, status.st_size - TAIL))
        opened.seek(start)
        text = opened.read()
    if last and status.st_ino != last:
        output.write(f"\n--- {file.stem}\n")
    output.write(clean_block(text.decode(errors="replace")))
    output.flush()
    read[status.st_ino] = start + len(text)
    return status.st_ino
