"""Looks at a repository for what is researched there: reads files and runs nothing.

Sources are asked in this order: what people gave, the files of pi-autoresearch, texts for agents, recipes, the code.
What decides everything is found for certain, or is a question with candidates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from swarm.errors import UsageError
from swarm.project import autoresearch_files as session
from swarm.project.candidates import likely_files
from swarm.project.code import budget_in, printed
from swarm.project.commands import as_argv, interpreter, python_words
from swarm.project.directions import direction_of, is_time_or_resource, words_of
from swarm.project.found import Found, Look, Question
from swarm.project.reading import inside
from swarm.project.recipes import measuring_recipes
from swarm.project.running import closure, named_by
from swarm.project.texts import NAMES, Said, read_said

TRAIN, PREPARE, PROGRAM = "train.py", "prepare.py", "program.md"
USUAL = "val_bpb"
BY_NAME = "by the metric's name"

_HELD_OUT = {"val", "valid", "validation", "test", "eval", "dev", "heldout", "holdout", "oos"}
_ASIDE = {"training", "train", "total", "startup", "peak", "num", "step", "epoch", "budget", "lr", "elapsed", "best"}
_UNSETTLED = {"score", "fitness", "objective", "composite", "metric", "result", "ratio"}  # may well be the metric
_LEFT_OPEN = re.compile(r"<[^<>|]+>|\{[^{}]*\}|\.\.\.|…|\[[A-Z_ ]+\]|\b(?:your|path_to)[-_]\w*", re.I)


def look(root: Path, given: Mapping[str, Any]) -> Look:
    """The keys of a Project that are not `given`, as far as the repository shows them, and what it leaves open."""
    sight = _Sight(root, given)
    if not sight.editable and not sight.command:
        sight.settle("editable", lambda: _nothing(sight))
        return Look(sight.found, tuple(sight.questions))
    for key, find in (
        ("editable", lambda: sight.editable or _which_files(sight)),
        ("command", lambda: sight.command or _which_command(sight)),
        ("fixed", lambda: _fixed(sight)),
        ("program", lambda: _program(sight)),
        ("checks", lambda: _checks(sight)),
        ("budget", lambda: budget_in(root, (*sight.files("fixed"), *sight.files("editable")))),
        ("metric", lambda: _metric(sight)),
        ("direction", lambda: _direction(sight)),
    ):
        sight.settle(key, find)
    return Look(sight.found, tuple(sight.questions))


@dataclass
class _Sight:
    """What is given, what was found so far, and what is asked."""

    root: Path
    given: Mapping[str, Any]
    found: dict[str, Found] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    def settle(self, key: str, find: Callable[[], Found | Question | None]) -> None:
        if key in self.given:
            return
        match find():
            case Found() as found:
                self.found[key] = found
            case Question() as question:
                self.questions.append(question)

    def value(self, key: str) -> Any:
        return self.given.get(key) or (self.found[key].value if key in self.found else None)

    def files(self, key: str) -> tuple[str, ...]:
        return tuple(self.value(key) or ())

    @cached_property
    def texts(self) -> list[Said]:
        """The texts for agents: the session's own notes, those of the root, those beside the editable files."""
        beside = [str(PurePosixPath(path).parent / PROGRAM) for path in self.given.get("editable", ())]
        names = dict.fromkeys((session.NOTES, *NAMES, *beside, str(self.given.get("program", PROGRAM))))
        said = (read_said(self.root, name) for name in names)
        return [text for text in said if text]

    @cached_property
    def editable(self) -> Found | Question | None:
        return Found(self.given["editable"], "given") if self.given.get("editable") else _editable(self)

    @cached_property
    def command(self) -> Found | Question | None:
        return Found(self.given["command"], "given") if self.given.get("command") else _command(self)

    @cached_property
    def named_metrics(self) -> list[Found]:
        """The metrics that texts name, each with the text that names it first."""
        named: dict[str, str] = {}
        if segment := session.segment_of(self.root):
            named[segment.metric] = session.JOURNAL
        for said in self.texts:
            for name in said.metrics:
                named.setdefault(name, said.path)
        return [Found(name, f"named by {path}") for name, path in named.items()]


# -- what is edited ------------------------------------------------------------------------------------------------


def _editable(sight: _Sight) -> Found | Question | None:
    votes, missing = [], []
    for said in sight.texts:
        leading = said.path in (session.NOTES, PROGRAM) or said.path.endswith(f"/{PROGRAM}")
        if not (leading or said.scope.sure):
            continue
        paths = _existing(sight.root, said.path, said.scope.editable)
        if paths:
            votes.append(Found(paths, f"{said.path} says so"))
        elif said.scope.sure and re.search(r"\w\.[a-z]{1,4}$", said.scope.editable[0]):
            missing.append((said.path, said.scope.editable[0]))
    if votes:
        others = [vote for vote in votes[1:] if not {*vote.value} & {*votes[0].value}]
        if others:
            told = " and ".join(
                f"{vote.origin.removesuffix(' says so')} {vote.value[0]}" for vote in (votes[0], *others)
            )
            return Question("editable", f"texts name different files to edit: {told}", (votes[0], *others))
        return votes[0]
    train = Found((TRAIN,), "it is there") if (sight.root / TRAIN).is_file() else None
    if missing:
        path, name = missing[0]
        return Question("editable", f"{path} says that {name} is edited, which is not there", (train,) if train else ())
    return train


def _existing(root: Path, said_by: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths, folders and globs that the repository holds, as its root names them; documents
    only where there is nothing else."""
    folder = PurePosixPath(said_by).parent
    found = []
    for path in paths:
        if path.startswith(("/", "~", "..")) or path in (".", "*"):
            continue
        for place in dict.fromkeys((PurePosixPath(), folder)):
            name = str(place / path)
            if _holds(root, name):
                found.append(name)
                break
    found = [path for path in found if PurePosixPath(path).name not in session.FILES]
    return tuple(dict.fromkeys([path for path in found if not path.endswith(".md")] or found))


def _holds(root: Path, path: str) -> bool:
    try:
        if re.search(r"[*?\[]", path):
            return any(True for _ in root.glob(path))
        return (root / path).exists() and bool(inside(root, root / path))
    except (OSError, ValueError, NotImplementedError):
        return False


def _nothing(sight: _Sight) -> Question:
    likely = tuple(Found((path,), "by its name") for path in likely_files(sight.root))
    return Question("editable", f"{sight.root} has no {TRAIN} and says nowhere what to research", likely)


def _which_files(sight: _Sight) -> Question:
    likely = tuple(Found((path,), "by its name") for path in likely_files(sight.root))
    return Question("editable", "nothing says which files may be edited", likely)


# -- what is run ---------------------------------------------------------------------------------------------------


def _command(sight: _Sight) -> Found | Question | None:
    root = sight.root
    if folder := session.working_folder(root):
        text = f"{session.CONFIG} says that the work is done in {folder}: name that folder with --repo, or say command"
        return Question("command", text, (Found(session.script_command(root), session.SCRIPT),))
    if (root / session.SCRIPT).is_file():
        return _session_command(sight)
    editable = _edited(sight)
    options, sure = _told_commands(sight, editable)
    if sure:
        return sure
    trains = len(editable) == 1 and PurePosixPath(editable[0]).name == TRAIN
    if trains and not options and (_tells(root, editable[0]) or not _runs_others(sight, editable[0])):
        return _python(sight, (editable[0],), uv=False)
    for recipe in measuring_recipes(root):
        found = Found(recipe.command, f"{recipe.name} in {recipe.path}")
        if _prints(root, [recipe.path, *named_by(root, [recipe.body])], sight.named_metrics):
            return found
        options.append(found)
    if len(editable) == 1 and str(editable[0]).endswith(".py") and _prints(root, [editable[0]], sight.named_metrics):
        return _python(sight, (editable[0],), uv=False)
    if trains:
        found = _python(sight, (editable[0],), uv=False)
        options.insert(0, found if isinstance(found, Found) else found.candidates[0])
    if options:
        return Question("command", "which command measures is not plain", tuple(_unique(options)))
    return None


def _edited(sight: _Sight) -> tuple[str, ...]:
    return tuple(sight.editable.value) if isinstance(sight.editable, Found) else ()


def _session_command(sight: _Sight) -> Found | Question:
    plain = session.script_command(sight.root)
    notes = next((said.text for said in sight.texts if said.path == session.NOTES), "")
    ways = session.ways_to_run(notes)
    if not ways or session.SCRIPT in ways:
        return Found(plain, "it is there")
    options = [
        Found(as_argv(way.replace(session.SCRIPT, " ".join(plain)), session.NOTES), session.NOTES) for way in ways
    ]
    if len(options) == 1 and not _open_ended(options[0]):
        return Found(options[0].value, f"how {session.NOTES} runs it")
    if len(options) == 1:
        return Question("command", f"{session.NOTES} leaves a part of its command open", (Found(plain, "it is there"),))
    return Question("command", f"{session.NOTES} runs {session.SCRIPT} in several ways", tuple(options))


def _told_commands(sight: _Sight, editable: tuple[str, ...]) -> tuple[list[Found], Found | Question | None]:
    """The commands that texts name, and the one among them that is certain: it goes to a log, runs the file that is
    edited, or prints the metric that is named."""
    options: list[Found] = []
    for said in sight.texts:
        ranked: dict[int, list[Found | Question]] = {}
        for run in said.runs:
            resolved = _resolved(sight, run.line, said.path)
            if resolved is None:
                continue
            value = resolved.value if isinstance(resolved, Found) else resolved.candidates[0].value
            scripts = named_by(sight.root, value)
            prints = _prints(sight.root, scripts, sight.named_metrics)
            certain = bool(scripts) and (prints or bool({*scripts} & {*editable}))
            if certain or run.strength >= 2:
                ranked.setdefault(run.strength + 2 * prints, []).append(resolved)
            elif run.strength:
                options.append(Found(value, f"named by {said.path}"))
        if ranked:
            best = _unique(ranked[max(ranked)])
            if len(best) == 1 and not _open_ended(best[0]):
                return options, best[0]
            found = [item if isinstance(item, Found) else item.candidates[0] for item in best]
            if len(found) == 1:
                return found, Question("command", f"{said.path} leaves a part of its command open", tuple(found))
            return found, Question("command", f"{said.path} names several commands", tuple(found))
    return options, None


def _resolved(sight: _Sight, line: str, path: str) -> Found | Question | None:
    """A command line of a text as this repository runs it; None where it names a script that is not there."""
    words = python_words(line)
    if words is None:
        try:
            argv = as_argv(line, path)
        except UsageError:  # half of a quote, or of a line
            return None
        return Found(argv, f"named by {path}")
    script = next((word for word in words if not word.startswith("-")), "")
    if "-m" not in words and not (sight.root / script).is_file():
        return None
    found = _python(sight, words, uv=line.startswith("uv "))
    return Found(found.value, f"named by {path}; {found.origin}") if isinstance(found, Found) else found


def _open_ended(item: Found | Question) -> bool:
    value = item.value if isinstance(item, Found) else item.candidates[0].value
    return any(_LEFT_OPEN.search(word.replace("{python}", "")) for word in value)


def _python(sight: _Sight, words: tuple[str, ...], *, uv: bool) -> Found | Question:
    editable = _edited(sight)
    places = dict.fromkeys((*(PurePosixPath(path).parent for path in editable), PurePosixPath()))
    return interpreter(sight.root, places, words, uv)


def _prints(root: Path, paths: Iterable[str], metrics: Iterable[Found]) -> bool:
    """Whether what is run prints one of the metrics."""
    wanted = {metric.value for metric in metrics}
    return bool(wanted) and any(wanted & {*printed(root / path)} for path in closure(root, paths))


def _tells(root: Path, script: str) -> bool:
    """Whether a script prints something that is a metric by its name."""
    names = {name for path in closure(root, [script]) for name in printed(root / path)}
    return any(direction_of(name) and _may_be_metric(name) for name in names)


def _may_be_metric(name: str) -> bool:
    return not {*words_of(name)} & _ASIDE and not is_time_or_resource(name)


def _runs_others(sight: _Sight, script: str) -> bool:
    """Whether texts run other scripts of the repository too."""
    scripts = {path for said in sight.texts for run in said.runs for path in named_by(sight.root, [run.line])}
    return bool(scripts - {script, PREPARE})


def _which_command(sight: _Sight) -> Question:
    return Question("command", "nothing says which command measures")


def _unique(items: Iterable[Any]) -> list[Any]:
    """Without those whose value was there already."""
    seen: dict[Any, Any] = {}
    for item in items:
        seen.setdefault(item.value if isinstance(item, Found) else item.candidates[0].value, item)
    return list(seen.values())


# -- what is fixed, read and checked -------------------------------------------------------------------------------


def _fixed(sight: _Sight) -> Found | None:
    """The evaluator that the command names, prepare.py, what they and the editable files import, and what a text
    forbids to edit; never what is editable."""
    root, editable = sight.root, sight.files("editable")
    places = dict.fromkeys((*(PurePosixPath(path).parent for path in editable), PurePosixPath()))
    prepare = [str(place / PREPARE) for place in places if (root / place / PREPARE).is_file()]
    named = [*named_by(root, sight.files("command")), *prepare]
    if (root / session.CHECKS).is_file():
        named.append(session.CHECKS)
    files = [path for path in editable if (root / path).is_file()]
    used = closure(root, dict.fromkeys(named), files)
    said = [path for text in sight.texts for path in _existing(root, text.path, text.scope.fixed)]
    said = [path for path in said if (root / path).is_file() and not path.endswith((".md", ".tsv"))]
    fixed = [path for path in dict.fromkeys((*used, *said)) if not _covered(path, editable)]
    return Found(tuple(fixed), f"what {', '.join(editable[:3]) or 'the command'} uses") if fixed else None


def _covered(path: str, editable: Iterable[str]) -> bool:
    """Whether a path is editable: by its name, in a folder, or by a glob."""
    pure = PurePosixPath(path)
    return any(
        path == name or path.startswith(f"{name.rstrip('/')}/") or (re.search(r"[*?\[]", name) and _matches(pure, name))
        for name in editable
    )


def _matches(path: PurePosixPath, pattern: str) -> bool:
    """Whether a glob of files below the root covers the path; `**` stands for any folders."""
    parts = [".*" if part == "**" else _part(part) for part in pattern.split("/")]
    return bool(re.fullmatch("/".join(parts).replace(".*/", "(?:.*/)?"), str(path)))


def _part(part: str) -> str:
    return re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]").replace(r"\[", "[").replace(r"\]", "]")


def _program(sight: _Sight) -> Found | None:
    if (sight.root / PROGRAM).is_file():
        return None
    for path in sight.files("editable"):
        beside = str(PurePosixPath(path).parent / PROGRAM)
        if (sight.root / beside).is_file():
            return Found(beside, f"beside {path}")
    return Found(session.NOTES, "it is there") if (sight.root / session.NOTES).is_file() else None


def _checks(sight: _Sight) -> Found | None:
    if not (sight.root / session.CHECKS).is_file():
        return None
    return Found((" ".join(session.script_command(sight.root, session.CHECKS)),), "it is there")


# -- what is measured ----------------------------------------------------------------------------------------------


def _metric(sight: _Sight) -> Found | Question | None:
    named = sight.named_metrics
    if len(named) == 1:
        return named[0]
    if named:
        texts = ", ".join(f"{item.value} ({item.origin.removeprefix('named by ')})" for item in named)
        return Question("metric", f"texts name several metrics: {texts}", tuple(named))
    return _printed_metric(sight)


def _printed_metric(sight: _Sight) -> Found | Question | None:
    """The usual name wherever it is printed; else the only one of a known direction, held-out ones before others."""
    root, editable = sight.root, sight.files("editable")
    first = named_by(root, sight.files("command")) or [path for path in editable if (root / path).is_file()]
    rest = [path for path in closure(root, [*first, *editable, *sight.files("fixed")]) if path not in first]
    shown = [Found(name, f"printed by {path}") for path in (*first, *rest) for name in printed(root / path)]
    shown = list({item.value: item for item in reversed(shown)}.values())[::-1]
    if usual := next((item for item in shown if item.value == USUAL), None):
        return usual
    telling = [item for item in shown if _may_be_metric(item.value)]
    known = [item for item in telling if direction_of(item.value)]
    held_out = [item for item in known if {*words_of(item.value)} & _HELD_OUT]
    rivals = [item for item in telling if {*words_of(item.value)} & _UNSETTLED and not direction_of(item.value)]
    best = held_out or [*known, *rivals]
    if len(best) == 1 and direction_of(best[0].value):
        return best[0]
    where = ", ".join(first) or "the code"
    if len(best) > 1:
        names = ", ".join(item.value for item in best[:6])
        return Question("metric", f"{where} prints several numbers that may be the metric: {names}", tuple(best))
    names = f" (it prints {', '.join(item.value for item in telling[:4])})" if telling else ""
    return Question("metric", f"{where} prints no metric that is known{names}", tuple(telling))


def _direction(sight: _Sight) -> Found | Question | None:
    metric = sight.value("metric")
    if not metric:
        return None
    votes = {}
    segment = session.segment_of(sight.root)
    if segment and segment.metric == metric and segment.direction:
        votes.setdefault(segment.direction, f"{session.JOURNAL} says so")
    for said in sight.texts:
        if direction := said.direction(metric):
            votes.setdefault(direction, f"{said.path} says so")
    if direction := direction_of(metric):
        votes.setdefault(direction, BY_NAME)
    options = tuple(Found(direction, origin) for direction, origin in votes.items())
    if len(options) == 1:
        return Found(options[0].value, BY_NAME) if direction_of(metric) else options[0]
    if options:
        told = " and ".join(f"{item.value} ({item.origin})" for item in options)
        return Question("direction", f"whether lower or higher {metric} is better is said in two ways: {told}", options)
    both = (Found("lower", "one of two"), Found("higher", "one of two"))
    return Question("direction", f"nothing says whether lower or higher {metric} is better", both)
