"""Files that no step may change, as a spec names them. Stdlib only: the guard imports it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from swarm.execution.machine.plain_file import open_plain
from swarm.execution.spec import Spec

_LARGEST_FIXED = 2**32  # bytes of a file that a base tree may hold


def changed_files(spec: Spec) -> tuple[str, ...]:
    """Fixed files whose content has changed, and links to data that lead elsewhere."""
    root = Path(spec.root)
    files = (path for path, sha in spec.fixed.items() if _sha256(root / path) != sha)
    return (*files, *(path for path, target in spec.links.items() if _target(root / path) != target))


def _sha256(path: Path) -> str | None:
    """The hash of a plain file; None where there is none, or one that no base tree holds."""
    try:
        with open_plain(path, _LARGEST_FIXED) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _target(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None
