"""What agents write on other hosts, carried to the head bit by bit, where `show` looks for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

KINDS = {"logs": "*.log", "transcripts": "*.md"}  # what is carried, by the folder it lies in
MOST = 256 * 1024  # bytes that travel with one sign of life


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file, and where in it they belong. `name` is seen from the agent's folder: logs/x.log."""

    name: str
    offset: int
    content: bytes


class Carrier:
    """Gives what was added in an agent's `folder` since it was asked last; what is older than itself stays there."""

    def __init__(self, folder: Path):
        self._folder, self._born = folder, time.time()
        self._given: dict[str, int] = {}  # bytes by name

    def next(self) -> Piece | None:
        """The next piece, oldest file first; None where nothing is new."""
        for path, size in sorted(self._files(), key=lambda file: file[0].stat().st_mtime):
            name = path.relative_to(self._folder).as_posix()
            start = self._given.get(name, 0)
            if start < size:
                with path.open("rb") as file:
                    file.seek(start)
                    content = file.read(MOST)
                self._given[name] = start + len(content)
                return Piece(name, start, content)
        return None

    def _files(self) -> Iterator[tuple[Path, int]]:
        for kind, pattern in KINDS.items():
            for path in self._folder.glob(f"{kind}/{pattern}"):
                status = path.stat()
                if status.st_mtime >= self._born:
                    yield path, status.st_size


def store(folder: Path, piece: Piece) -> None:
    """Puts a piece into its place below the agent's folder on the head; once or twice makes no difference."""
    kind, name = PurePosixPath(piece.name).parts
    if kind not in KINDS:
        raise ValueError(piece.name)
    path = folder / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("r+b") as file:
        file.seek(piece.offset)
        file.write(piece.content)
