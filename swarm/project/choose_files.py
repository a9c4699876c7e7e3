"""Which files are edited, which are fixed, which text is read and which checks must pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from swarm.project import autoresearch_files as session
from swarm.project.candidates import MOST, marked
from swarm.project.found import Found, Question
from swarm.project.patterns import is_glob, rank
from swarm.project.reading import inside
from swarm.project.running import closure, is_code, named_by
from swarm.project.scope import measures
from swarm.project.sight import PROGRAM, Sight

TRAIN, PREPARE = "train.py", "prepare.py"
_RIVALS = 5  # files beside train.py that are asked about


def editable_of(sight: Sight) -> Found | Question | None:
    """What the first text that speaks of it allows to edit, else train.py; a question where texts do not agree."""
    votes, missing = [], []
    for said in sight.texts:
        if not (said.leads or said.scope.sure):  # others are believed where they call files the only ones
            continue
        paths = _existing(sight.root, said.path, said.scope.editable)
        contested = _existing(sight.root, said.path, said.scope.contested)
        if contested:
            both = Found((*paths, *contested), f"all that {said.path} allows in one place")
            text = f"{said.path} both allows and forbids to edit {contested[0]}"
            return Question("editable", text, (Found(paths, f"{said.path} says so"), both) if paths else (both,))
        if paths:
            votes.append(Found(paths, f"{said.path} says so"))
        elif said.scope.sure and _is_missing(sight.root, said.scope.editable[0]):
            missing.append((said.path, said.scope.editable[0]))
    train = Found((TRAIN,), "it is there") if (sight.root / TRAIN).is_file() else None
    if not votes and missing:
        path, name = missing[0]
        text = f"{path} says that {name} is edited, which is not there"
        return Question("editable", text, (train,) if train else ())
    if not votes and (named := session.candidates_in(sight.root)):
        found = tuple(Found((path,), f"{session.SCRIPT} names it so") for path in named)
        return (
            found[0] if len(found) == 1 else Question("editable", f"{session.SCRIPT} names several candidates", found)
        )
    if not votes and (named := marked(sight.root)):
        found = tuple(Found((path,), "it has an EVOLVE-BLOCK") for path in named[:MOST])
        return found[0] if len(found) == 1 else Question("editable", "several files have an EVOLVE-BLOCK", found)
    if not votes:
        return _train(sight, train) if train else None
    others = [vote for vote in votes[1:] if not {*vote.value} & {*votes[0].value}]
    if others:
        told = ", ".join(f"{vote.value[0]} ({vote.origin.removesuffix(' says so')})" for vote in (votes[0], *others))
        return Question("editable", f"texts name other files to edit: {told}", (votes[0], *others))
    return votes[0]


def _train(sight: Sight, train: Found) -> Found | Question:
    """The train.py that no text calls the one to edit; a question where texts name other files in its place."""
    rivals: dict[str, str] = {}
    for said in sight.texts:
        told = _existing(sight.root, said.path, said.scope.editable)
        if not any(TRAIN in text.text for text in sight.texts):
            told = (*told, *named_by(sight.root, [said.text]))
        for path in told if TRAIN not in told else ():
            if is_code(path) and not measures(path) and PurePosixPath(path).name != PREPARE:
                rivals.setdefault(path, said.path)
    if not rivals:
        return train
    others = tuple(Found((path,), f"named by {origin}") for path, origin in list(rivals.items())[:_RIVALS])
    origin = next(iter(rivals.values()))
    return Question("editable", f"{origin} names other files than {TRAIN}, which is there too", (*others, train))


def _is_missing(root: Path, path: str) -> bool:
    return bool(re.search(r"\w\.[a-z]{1,4}$", path)) and not _holds(root, path)


def fixed_of(sight: Sight) -> Found | None:
    """The evaluator that the command names, prepare.py, what they and the editable files import, and what a text
    forbids to edit; never what is editable."""
    root, editable = sight.root, sight.paths("editable")
    prepare = [str(place / PREPARE) for place in sight.places if (root / place / PREPARE).is_file()]
    checks = [session.CHECKS] if (root / session.CHECKS).is_file() else []
    named = dict.fromkeys([*named_by(root, sight.paths("command")), *prepare, *checks])
    edited = [path for path in sight.edited_files() if path in editable or not measures(path)]
    used = closure(root, named, edited)
    told = [path for said in sight.texts for path in _existing(root, said.path, said.scope.fixed)]
    told = [path for path in told if path not in editable and not path.endswith((".md", ".tsv"))]
    used = [path for path in used if rank(path, editable) < 0 or (measures(path) and path not in editable)]
    fixed = [path for path in dict.fromkeys((*used, *told)) if path in told or rank(path, told) < 0]
    users = editable[0] if len(editable) == 1 else "the command"
    return Found(tuple(fixed), f"what {users} uses") if fixed else None


def program_of(sight: Sight) -> Found | None:
    """Another text for researchers than program.md, where there is none of that name at the root."""
    if (sight.root / PROGRAM).is_file():
        return None
    for path in sight.paths("editable"):
        beside = str(PurePosixPath(path).parent / PROGRAM)
        if (sight.root / beside).is_file():
            return Found(beside, f"beside {path}")
    if sight.program_below and not sight.given.get("editable"):
        return Found(sight.program_below, "it is there")
    return Found(session.NOTES, "it is there") if (sight.root / session.NOTES).is_file() else None


def checks_of(sight: Sight) -> Found | None:
    if not (sight.root / session.CHECKS).is_file():
        return None
    return Found((" ".join(session.script_command(sight.root, session.CHECKS)),), "it is there")


# -- paths ---------------------------------------------------------------------------------------------------------


def _existing(root: Path, said_by: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths, folders and globs that the repository holds, as its root names them; documents only where
    there is nothing else, the session's own files never."""
    found = []
    for path in paths:
        if path.startswith(("/", "~", "..")) or path in (".", "*", "**"):
            continue
        names = (str(place / path) for place in dict.fromkeys((PurePosixPath(said_by).parent, PurePosixPath())))
        if name := next((name for name in names if _holds(root, name)), None):
            found.append(name)
    found = [path for path in dict.fromkeys(found) if PurePosixPath(path).name not in {*session.FILES, PROGRAM}]
    return tuple([path for path in found if not path.endswith(".md")] or found)


def _holds(root: Path, path: str) -> bool:
    try:
        if is_glob(path):
            return any(True for _ in root.glob(path))
        return (root / path).exists() and bool(inside(root, root / path))
    except (OSError, ValueError, NotImplementedError):
        return False
