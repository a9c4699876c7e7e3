"""The files in an agent's folder that people follow: the log of what it runs, the transcript of what it thinks."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Files(Struct, frozen=True):
    """A kind of file in an agent's folder, and what it means that there is none."""

    pattern: str
    none: str
    without: tuple[str, ...] = ()

    def newest(self, folder: Path) -> Path | None:
        """The one that was written last; a file that is renamed meanwhile counts under its new name next time."""
        found = [path for path in folder.glob(self.pattern) if not path.name.endswith(self.without)]
        return max(found, key=_written, default=None)


LOGS = Files("logs/*.log", "has not run anything yet", (".referee.log",))
TRANSCRIPTS = Files("transcripts/*.md", "has no transcript: the sweep researcher writes none", ("briefing.md",))


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
