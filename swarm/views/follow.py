"""An agent's log on the terminal, as it grows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TextIO

from swarm.errors import UsageError
from swarm.views.text import clean_block

POLL = 0.3  # seconds between two looks at the file
TAIL = 20_000  # bytes shown of what was there before


def follow_log(folder: Path, output: TextIO, forever: bool = False) -> None:
    """Prints the end of the newest log in `folder`; with `forever` what is added, and the next run's after it."""
    log = _newest(folder)
    if log is None:
        raise UsageError(f"{folder.parent.name} has not run anything yet")
    position = max(0, log.stat().st_size - TAIL)
    while True:
        with log.open("rb") as file:
            file.seek(position)
            text = file.read()
        position += len(text)
        output.write(clean_block(text.decode(errors="replace")))
        output.flush()
        if not forever:
            output.write("\n")
            return
        time.sleep(POLL)
        newest = _newest(folder)
        if newest and newest != log:
            log, position = newest, 0
            output.write(f"\n--- {log.stem}\n")


def _newest(folder: Path) -> Path | None:
    logs = [path for path in folder.glob("*.log") if not path.name.endswith(".referee.log")]
    return max(logs, key=lambda path: path.stat().st_mtime, default=None)
