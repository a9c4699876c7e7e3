"""What a researcher and its model said to each other: one file per experiment in the agent's folder.

    .swarm/apr5/gpu3/transcripts/apr5-gpu3-0007.md     an experiment, from the thought to the mended crash
    .swarm/apr5/gpu3/transcripts/next.md               the idea that has no experiment yet
    .swarm/apr5/gpu3/transcripts/briefing.md           all that it was given at the last step

What is written here came from a model and from files: it is cleaned when it is shown.
"""

from __future__ import annotations

import time
from pathlib import Path

NEXT = "next.md"
BRIEFING = "briefing.md"
LONGEST = 4_000  # characters of one line


class Transcript:
    """Writes as the words come, so that they can be followed. Without a folder it writes nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._file: Path | None = None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def think(self) -> None:
        """From here on it is about the next idea."""
        self._begin(NEXT, "thinks of an idea")

    def edit(self, experiment: str, thought_of_just_now: bool) -> None:
        """From here on it is about this experiment; with the thoughts that led to it, where it was the last idea."""
        if self._folder and thought_of_just_now and (self._folder / NEXT).exists():
            (self._folder / NEXT).replace(self._named(experiment))
        self._begin(self._named(experiment).name if self._folder else "", "edits")

    def mend(self, experiment: str) -> None:
        self._begin(self._named(experiment).name if self._folder else "", "mends a crash")

    def brief(self, text: str) -> None:
        """Keeps what it was given, in full: the newest briefing only."""
        if self._folder:
            (self._folder / BRIEFING).write_text(text, errors="replace")

    def write(self, line: str) -> None:
        """One more line, at once."""
        if self._file:
            with self._file.open("a", errors="replace") as file:
                file.write(line[:LONGEST] + "\n")

    def _begin(self, name: str, step: str) -> None:
        self._file = self._folder / name if self._folder else None
        self.write(f"\n## {time.strftime('%H:%M:%S')} {step}\n")

    def _named(self, experiment: str) -> Path:
        assert self._folder
        return self._folder / (f"{experiment}.md" if experiment else NEXT)
