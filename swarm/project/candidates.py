"""Files of a repository that may be the one to research, at any depth, for a person to choose from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from swarm.project.commands import SETTING_UP
from swarm.project.found import Found, Question
from swarm.project.running import is_code
from swarm.project.scope import measures
from swarm.text import lazy_pattern

_LIKELY = (  # by how plainly the name says it
    re.compile(r"train\w*\.py"),
    re.compile(r"(?:solution|solver|strategy|optimize|agent|candidate|policy|kernel|model|experiment)\.\w+"),
    re.compile(
        r"(?:submission|heuristics?|algorithm|pipeline|predictor|bot|player|program|main)\.(?:py|js|ts|rs|c|cc|cpp|jl|go)"
    ),
    re.compile(r"(?:system_)?prompt\.(?:txt|md)"),
)
_BESIDE = lazy_pattern(  # code that no experiment changes, by its name
    r"(?:^|/)(?:docs?|examples?|demos?|scripts?|tools?|ci|vendored)/|(?:^|[/_.-])(?:test\w*|conftest|conf|config|version|setup|manage"
    r"|plot\w*|visuali\w+|log\w*|utils?|helpers?|types|constants|build|install|index)\.\w+$|\.(?:config|test|spec|d|min)\.\w+$"
    r"|(?:^|/)__\w+__\.py$|(?:^|/)\.|\.(?:sh|bash|sql|html|h|hpp)$",
    re.IGNORECASE,
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
_MARK = re.compile(rb"^[ \t]*(?:#|//|--|;|%)[ \t]*EVOLVE-BLOCK-START\b", re.MULTILINE)
_MARKED, _READ = 300, 2**20  # files that are looked into for it, and bytes of each
MOST = 8  # that are asked about


def file_question(root: Path, text: str) -> Question:
    """Which file is edited: those whose names say it, or else all code, the likeliest first.

    It can be guessed where one file alone is the likeliest.
    """
    files = [path for path in walk(root) if is_code(path) or _by_name(path) is not None]
    named = sorted((place, path.count("/"), path) for path in files if (place := _by_name(path)) is not None)
    found = [Found((path,), "by its name") for *_, path in named[:MOST]]
    if len(found) < MOST:
        others = (path for path in files if _by_name(path) is None and not _is_beside(path))
        found += [Found((path,), "code") for path in sorted(others, key=lambda path: _order(root, path))]
    alone = named[0][:2] < named[1][:2] if len(named) > 1 else len(named) == 1 or len(found) == 1
    return Question("editable", text, tuple(found[:MOST]), guessable=alone)


def _order(root: Path, path: str) -> tuple[bool, int, int, str]:
    """What bears the repository's name first, then what lies less deep, then the larger one."""
    return not _named_as(root, path), path.count("/"), -_size(root / path), path


def _is_beside(path: str) -> bool:
    """Code that measures, sets up, draws, or only holds other code together, by its name."""
    return measures(path) or bool(SETTING_UP.search(path) or _BESIDE.search(path))


def _by_name(path: str) -> int | None:
    """How plainly a file's name says that it is the one; None where it does not. train.py says it most plainly."""
    name = path.rpartition("/")[2]
    if name == "train.py":
        return -1
    place = next((place for place, likely in enumerate(_LIKELY) if likely.fullmatch(name)), None)
    return place if place is None or place == len(_LIKELY) - 1 or is_code(name) else None


def _named_as(root: Path, path: str) -> bool:
    """Whether a file bears the name of its repository."""
    own, name = (set(re.split(r"[\W_]+", text.lower())) for text in (root.name, PurePosixPath(path).stem))
    return bool(name) and name <= own


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def marked(root: Path) -> list[str]:
    """Code in which somebody marked the part that evolves, as AlphaEvolve and its kin read it: not deep, few files."""
    near = [path for path in walk(root) if is_code(path) and path.count("/") <= 1][:_MARKED]
    return [path for path in near if _MARK.search(_beginning(root / path))]


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_READ)
    except OSError:
        return b""


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
