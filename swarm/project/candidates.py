"""Files of a repository that may be the one to research, at any depth, for a person to choose from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_LIKELY = (  # by how plainly the name says it
    re.compile(r"train\w*\.py"),
    re.compile(r"(?:solution|solver|strategy|optimize|agent|candidate|policy|kernel|model|experiment)\.\w+"),
    re.compile(
        r"(?:submission|heuristic|algorithm|pipeline|predictor|bot|player|program|main)\.(?:py|js|ts|rs|cpp|jl|go)"
    ),
    re.compile(r"(?:system_)?prompt\.(?:txt|md)"),
)
_SKIPPED = {
    "node_modules",
    "venv",
    "env",
    "__pycache__",
    "site-packages",
    "target",
    "dist",
    "build",
    "vendor",
    "third_party",
}
_DEEPEST, _MOST_SEEN = 6, 20_000


def likely_files(root: Path, most: int = 6) -> list[str]:
    """The likeliest first, the less deep of two that are alike before the other."""
    ranked = []
    for path in walk(root):
        name = path.rpartition("/")[2]
        rank = next((place for place, likely in enumerate(_LIKELY) if likely.fullmatch(name)), None)
        if rank is not None:
            ranked.append((name != "train.py", rank, path.count("/"), path))
    return [path for *_, path in sorted(ranked)[:most]]


def walk(root: Path) -> Iterator[str]:
    """The files of a repository, without hidden folders, environments and what is built or brought in."""
    seen = 0
    for folder, folders, files in os.walk(root):
        place = Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        if len(place.parts) >= _DEEPEST:
            folders.clear()
        for name in sorted(files):
            seen += 1
            yield (place / name).as_posix()
        if seen > _MOST_SEEN:
            return
