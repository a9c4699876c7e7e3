"""Copies the logs that agents write on other hosts to the head, chunk by chunk, where `show` looks for them."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from swarm.execution.reading.logs import read_plain

KINDS = {"logs": "*.log", "transcripts": "*.md"}  # what is copied, by folder
MOST = 256 * 1024  # bytes that travel with one sign of life


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Some bytes of a file, and their place in it. `name` is relative to the agent's folder: logs/x.log."""

    name: str
    offset: int
    content: bytes


class LogShipper:
    """Reads what was added to the logs in an agent's `folder`; files that are older than itself are left out."""

    def __init__(self, folder: Path):
        self._folder, self._born = folder, time.time()
        self._sent: dict[str, int] = {}  # bytes by name

    def next(self) -> LogChunk | None:
        """The next chunk, oldest file first; None where nothing is new."""
        for _, path, size in sorted(self._files()):
            name = path.relative_to(self._folder).as_posix()
            start = self._sent.get(name, 0)
            if start < size:
                content = read_plain(path, MOST, start=start)
                self._sent[name] = start + len(content)
                if content:
                    return LogChunk(name, start, content)
        return None

    def _files(self) -> Iterator[tuple[float, Path, int]]:
        for kind, pattern in KINDS.items():
            for path in self._folder.glob(f"{kind}/{pattern}"):
                with contextlib.suppress(OSError):  # it is gone again
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode) and status.st_mtime >= self._born:
                        yield status.st_mtime, path, status.st_size


def store(folder: Path, chunk: LogChunk) -> None:
    """Writes a chunk to its place below the agent's folder on the head. Idempotent."""
    kind, name = PurePosixPath(chunk.name).parts
    if kind not in KINDS:
        raise ValueError(chunk.name)
    path = folder / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("r+b") as file:
        file.seek(chunk.offset)
        file.write(chunk.content)
