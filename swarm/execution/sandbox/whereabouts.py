"""What a run could reach, and the key of the settings that opens what it could not: a word of its log at a time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.execution.included import KEYS, PRIVATE
from swarm.execution.sandbox.named_paths import named_paths
from swarm.execution.sandbox.sandbox import Bounds
from swarm.execution.spec import Spec
from swarm.project.candidates import walk
from swarm.project.patterns import rank
from swarm.project.project import Project
from swarm.project.reading import text_of
from swarm.project.running import is_code

CODE_FILES = 200  # of the project's own code that are searched for paths
POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run took place: its `copy`, the user's checkout at `root`, and what was closed to it."""

    copy: Path
    root: Path | None
    variables: Mapping[str, str]
    argv: tuple[str, ...]
    sandboxed: bool = False
    network: bool = True
    closed: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    processes: bool = True  # whether it could start any
    code: tuple[str, ...] = ()  # editable and fixed files, folders and globs

    @staticmethod
    def of(spec: Spec, project: Project) -> Place:
        """The place of a spec's first step."""
        bounds, step = spec.bounds, spec.steps[0]
        root = bounds.get("root")
        return Place(
            copy=Path(spec.root),
            root=Path(root) if root else None,
            variables=step.env,
            argv=tuple(step.argv),
            sandboxed=spec.sandboxed,
            network=bounds.get("network", True),
            processes=bounds.get("processes", True),
            closed=tuple(bounds.get("closed", ())),
            opened=tuple(bounds.get("opened", ())),
            secret=tuple(bounds.get("secret", ())),
            code=(*project.editable, *project.fixed),
        )


def described(bounds: Bounds | None, root: Path | None, processes: bool) -> dict[str, Any]:
    """What a run's spec keeps of the sandbox around it, None for none, and of whether it may start `processes`, for
    whoever reads the run's outcome."""
    common = {"root": root and str(root), "processes": processes}
    if bounds is None:
        return common
    return common | {
        "network": bounds.network,
        "closed": [*map(os.path.realpath, bounds.closed)],
        "opened": [*map(os.path.realpath, (*bounds.readable, *bounds.writable))],
        "secret": [*map(os.path.realpath, (*bounds.secret, *bounds.tokens))],
    }


def tried(explain: Callable[[str, Place], str], line: str, place: Place) -> str:
    try:
        return explain(line, place)
    except (OSError, ValueError, RuntimeError):  # a name that cannot be one, a loop of links, no such user
        return ""


def lacking(word: str, place: Place) -> str:
    """A path of the repository that the checkout has and the copy lacks."""
    name = inside_copy(word, place)
    if not name or not place.root or name.split("/")[0] in PRIVATE:
        return ""
    if not os.path.lexists(place.root / name) or (place.copy / name).exists():
        return ""
    parts = name.split("/")
    tops = ("/".join(parts[: count + 1]) for count in range(len(parts)))
    top = next((path for path in tops if not (place.copy / path).exists()), name)
    if parts[-1] in KEYS and top != name:
        return f'{name} is closed, as it may hold keys: include = ["{name}"] names it'
    return f'{name} is in your checkout, and not in the commit: include = ["{top}"], or commit it'


def outside(word: str, place: Place) -> str:
    """A path elsewhere on this machine that is closed to the run."""
    path = Path(word).expanduser()
    if not place.sandboxed or not path.is_absolute() or not _below(path, place.closed):
        return ""
    real = Path(os.path.realpath(path))
    if real.is_relative_to(os.path.realpath(place.copy)) or not is_closed(path, place):
        return ""
    if place.root and real.is_relative_to(os.path.realpath(place.root)):
        name = real.relative_to(os.path.realpath(place.root)).as_posix()
        if (place.copy / name).exists() and name != ".":
            return f"{word} is your checkout, and a run works in a copy of it: name {name} from the repository's folder"
        return lacking(str(place.copy / name), place)
    if any(real.is_relative_to(secret) for secret in place.secret):
        return ""
    return opening(path, place) if path.exists() else ""


def refused_write(word: str, place: Place, unwritable: bool) -> str:
    """A path that the run may read, and wanted to write."""
    path = Path(word).expanduser()
    real = os.path.realpath(place.copy / path)
    if place.sandboxed and _below(Path(real), place.secret):
        return f"{word} is held out of training"
    if place.root and not Path(real).is_relative_to(os.path.realpath(place.copy)):
        name = inside_copy(word, place)
        if name and (place.copy / name.split("/")[0]).exists():
            return f"{word} is included to be read: a run may write to its own copy and to the folder SWARM_RUN_DIR"
    if not place.sandboxed or Path(real).is_relative_to(os.path.realpath(place.copy)):
        return ""
    parent = Path(real).parent
    inside = _below(Path(real), (*place.opened, *place.closed))
    if inside and (unwritable or os.access(parent, os.W_OK)):
        where = "its own copy, to the folder SWARM_RUN_DIR and, for temporary files, to TMPDIR"
        return f"{word} is not a run's to write: it may write to {where}"
    return ""


def lfs_pointer(word: str, place: Place) -> str:
    name = inside_copy(word, place)
    path = place.copy / name if name else None
    if path is None or not path.is_file() or path.stat().st_size > 1024:
        return ""
    if not path.read_bytes().startswith(POINTER):
        return ""
    return f"{name} is a Git LFS pointer in this commit, not the file itself: `git lfs pull`, and commit that"


def of_the_code(place: Place) -> str:
    """Where a log names no path, as of a program in C or Rust: a path that the code names, and the copy lacks."""
    for name in _code_files(place):
        for word in named_paths(text_of(place.copy / name), name.endswith(".py")):
            if found := tried(lacking, word, place):
                return found
    return ""


def _code_files(place: Place) -> list[str]:
    """The files of the patterns in `code`: its folders and globs written out, what is named by itself first."""
    plain = [name for name in place.code if (place.copy / name).is_file()]
    others = [name for name in place.code if name not in plain]
    below = (name for name in walk(place.copy) if is_code(name) and rank(name, others) >= 0) if others else ()
    return list(dict.fromkeys((*plain, *itertools.islice(below, CODE_FILES))))[:CODE_FILES]


def inside_copy(word: str, place: Place) -> str:
    """A word as a path from the repository's folder, in the copy; "" where it is none."""
    path = Path(word)
    if not path.is_absolute():
        name = os.path.normpath(word)
    elif path.is_relative_to(place.copy):
        name = os.path.normpath(path.relative_to(place.copy))
    else:
        real, copy = Path(os.path.realpath(path)), Path(os.path.realpath(place.copy))
        name = real.relative_to(copy).as_posix() if real.is_relative_to(copy) else ""
    return "" if name in ("", ".") or name.startswith(("..", "~", "/")) else name


def is_closed(path: Path, place: Place) -> bool:
    """Whether the sandbox keeps a run from reading the path: of what is around it, the innermost decides."""
    real = Path(os.path.realpath(path))
    closed, opened = (_innermost(real, places) for places in (place.closed, place.opened))
    return place.sandboxed and closed > opened


def _below(path: Path, places: tuple[str, ...]) -> bool:
    return _innermost(path, places) > 0


def _innermost(path: Path, places: tuple[str, ...]) -> int:
    return max((len(place) for place in places if path.is_relative_to(place)), default=0)


def opening(path: Path, place: Place, what: str = "") -> str:
    """The folder to open for a path: the one it is in, or the second level of the home folder."""
    folder = path if path.is_dir() else path.parent
    home = Path.home()
    if folder.is_relative_to(home):
        folder = home.joinpath(*folder.relative_to(home).parts[:2])
    if folder == home or str(folder) in place.closed:
        folder = path
    return f'{what or from_home(path)} is closed to runs: readable = ["{from_home(folder)}"] opens it'


def from_home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)
