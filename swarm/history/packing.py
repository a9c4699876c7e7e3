"""A commit's files as a tar archive: what workspaces are made from, on every host."""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from pathlib import Path

from swarm.history.tree import EXECUTABLE, Tree


def pack(tree: Tree, root: Path) -> bytes:
    """All files of the tree; `root` is the working tree of its repository.

    What was committed, unchanged: `git archive` would leave out or rewrite files as .gitattributes says. Links that
    lead out of the repository lead to the same place from a copy of it.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in tree.absent:
            folder = tarfile.TarInfo(path)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for entry, content in tree.contents(list(tree.entries)):
            info = tarfile.TarInfo(entry.path)
            if entry.is_link:
                info.type, info.linkname = tarfile.SYMTYPE, _target(tree, entry.path, os.fsdecode(content), root)
                archive.addfile(info)
                continue
            info.mode, info.size = 0o755 if entry.mode == EXECUTABLE else 0o644, len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _target(tree: Tree, path: str, target: str, root: Path) -> str:
    """Where a link of the copy has to lead to."""
    leads_out = tree.outward(tree.entries[path], target) and not target.startswith("/")
    return os.path.normpath(root / posixpath.dirname(path) / target) if leads_out else target
