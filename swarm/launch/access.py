"""What a project asks to have opened for its runs, and what its code opens without asking, looked at in advance."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import UsageError
from swarm.execution.checkout import readable_of
from swarm.execution.included import PRIVATE, Included, environments, include
from swarm.execution.sandbox.home_folders import credentials
from swarm.execution.sandbox.named_paths import named_paths
from swarm.history.repository import History
from swarm.launch.files import Files
from swarm.project.environment import FOLDERS, own_environment
from swarm.project.project import Project
from swarm.project.reading import text_of
from swarm.records import Source

MOST_LINES = 8  # of what the code opens
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MADE = re.compile(
    r"\.(log|pyc|pid|lock|tmp|so|o)$|^(results\.tsv|run\.log|out|output|outputs|logs?|wandb|runs?|build)(/|$)"
)


@dataclass(frozen=True, slots=True)
class Access:
    """What runs see beside the files of their commit, and what they will miss, a line each for people."""

    included: Included
    unheld: tuple[str, ...]  # what the code opens and git does not hold
    held: frozenset[str]  # the paths that the commit holds, from the project's folder
    gaps: tuple[str, ...]  # what is tracked and not in the copy all the same


def find_access(history: History, files: Files, commit: str) -> Access:
    """What runs of a commit get; UsageError, with the remedy, where what the project asks for cannot be given."""
    root, project, tree = history.folder, files.project, history.tree(commit)
    refuse_access(project, root)
    held = frozenset(history.outside(path) for path in tree.entries)
    included = include(root, project.include, held)
    return Access(included, unheld(root, project, files.source, held, included), held, tuple(tree.gaps()))


def refuse_access(project: Project, root: Path) -> None:
    """UsageError, in one line with the remedy, for folders that cannot be opened and names that are no variables."""
    home = Path.home().resolve()
    for name, path in zip(project.readable, readable_of(project, root), strict=True):
        if not path.exists():
            raise UsageError(f"readable {name}: there is no {path}")
        if home.is_relative_to(path.resolve()):
            raise UsageError(
                f"readable {name}: this would open your home folder with all keys in it; name a folder there"
            )
        if path.resolve().is_relative_to((root / ".swarm").resolve()) or root.resolve().is_relative_to(path.resolve()):
            raise UsageError(
                f"readable {name}: runs work in a copy of the repository; include brings what git does not hold"
            )
    for name in project.pass_env:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"pass_env {name}: this is no name of a variable; write only the name, its value is your shell's"
            )
    commands = (project.command, project.referee, project.hidden, project.data)
    if any("{venv}" in word for command in commands for word in command) and not own_environment(root):
        raise UsageError(
            f"the command names {{venv}}, and the repository has no environment of its own: activate one, or make"
            f" {', '.join(FOLDERS[:2])} in {root}"
        )


def unset(project: Project) -> list[str]:
    """Variables of `pass_env` that this shell does not have."""
    return [name for name in project.pass_env if name not in os.environ]


def keys_among(project: Project) -> list[str]:
    """Folders and files that hold keys and are named in `readable`."""
    home = Path.home().resolve()
    secret = [path.resolve() for path in credentials(home, os.environ)]
    return [name for name in project.readable if Path(name).expanduser().resolve() in secret]


def unheld(root: Path, project: Project, source: Source, held: Collection[str], included: Included) -> tuple[str, ...]:
    """A line for every path that the code names, the checkout has, and a run will not find; with the key that helps."""
    there = {link.path for one in (included, environments(root, held, included)) for link in one.links}
    above = {str(parent) for path in held for parent in Path(path).parents}
    lines: dict[str, str] = {}
    for file, text in _code(root, project, source, held):
        for word in named_paths(text, file.endswith(".py")):
            for name in dict.fromkeys(_normal(place, word) for place in ("", str(Path(file).parent))):
                if not name or name in held or name.split("/")[0] in PRIVATE or _MADE.search(name):
                    continue
                if any(name == path or name.startswith(path + "/") or path.startswith(name + "/") for path in there):
                    continue
                if not (root / name).exists() or (name in above and not _holds_more(root / name, name, held, above)):
                    continue
                top = name if name in above else _top(name, above)
                all_of = " all of" * (name in above)
                lines.setdefault(top, f'{file} names {name}, which git does not hold{all_of}: include = ["{top}"]')
    return tuple(list(lines.values())[:MOST_LINES])


def _code(root: Path, project: Project, source: Source, held: Collection[str]) -> Iterator[tuple[str, str]]:
    """The files that a run is made of, with their text: editable and fixed ones, and what the commands name."""
    commands = (*project.command, *project.referee)
    files = (*source.files, *project.fixed, *(word for part in commands for word in part.split()))
    for file in dict.fromkeys(file for file in files if file in held):
        path = root / file
        if text := text_of(path):
            yield file, text


def _normal(place: str, word: str) -> str:
    """A path as it is from the repository's folder; "" where it leads out of it."""
    name = os.path.normpath(Path(place, word))
    return "" if name == "." or name.startswith(("..", "/", "~")) else name


def _top(name: str, above: Collection[str]) -> str:
    """The outermost folder of a path that git holds nothing of."""
    parts = name.split("/")
    return next(top for count in range(len(parts)) if (top := "/".join(parts[: count + 1])) not in above)


def _holds_more(folder: Path, name: str, held: Collection[str], above: Collection[str]) -> bool:
    """Whether a folder that git holds something of has other files or folders too, as next to a .gitkeep."""
    plain = (entry.name for entry in os.scandir(folder) if not entry.name.startswith((".", "__pycache__")))
    return any(f"{name}/{entry}" not in held and f"{name}/{entry}" not in above for entry in plain)
