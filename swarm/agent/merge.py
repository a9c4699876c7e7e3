"""Carries an experiment's edit onto a newer trunk, with git's own three-way merge. Touches no repository."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from swarm.records import Source


def merge(base: Source, ours: Source, theirs: Source) -> Source | None:
    """`theirs` with what `ours` changed since `base`; None where both changed the same lines."""
    merged: dict[str, bytes] = {}
    for path in sorted({*ours.files, *theirs.files}):
        content = _merge_file(*(side.files.get(path, b"") for side in (ours, base, theirs)))
        if content is None:
            return None
        merged[path] = content
    return Source(merged)


def _merge_file(ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
    if ours == base:
        return theirs
    if theirs in (base, ours):
        return ours
    with tempfile.TemporaryDirectory(prefix="swarm-merge-") as folder:
        files = [Path(folder, name) for name in ("ours", "base", "theirs")]
        for file, content in zip(files, (ours, base, theirs), strict=True):
            file.write_bytes(content)
        done = subprocess.run(
            ["git", "merge-file", "-p", "--quiet", *map(str, files)], cwd=folder, capture_output=True, check=False
        )
    return done.stdout if done.returncode == 0 else None
