"""Carries an experiment's edit onto a newer trunk, with git's own three-way merge. Touches no repository."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from swarm.history.git import inherited
from swarm.records import Source


def merge(base: Source, ours: Source, theirs: Source) -> Source | None:
    """`theirs` with what `ours` changed since `base`; None where both changed the same lines."""
    merged: dict[str, bytes] = {}
    for path in sorted({*ours.files, *theirs.files}):
        our, old, their = (side.files.get(path) for side in (ours, base, theirs))
        if our == old:
            content = their
        elif their in (old, our):
            content = our
        elif (content := _merge_file(our or b"", old or b"", their or b"")) is None:
            return None
        if content is not None:  # else it is gone from `theirs`, and `ours` did not touch it
            merged[path] = content
    return Source(merged)


def _merge_file(ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
    with tempfile.TemporaryDirectory(prefix="swarm-merge-") as folder:
        files = [Path(folder, name) for name in ("ours", "base", "theirs")]
        for file, content in zip(files, (ours, base, theirs), strict=True):
            file.write_bytes(content)
        done = subprocess.run(
            ["git", "merge-file", "-p", "--quiet", *map(str, files)],
            cwd=folder,
            env=inherited(),
            capture_output=True,
            check=False,
        )
    return done.stdout if done.returncode == 0 else None
