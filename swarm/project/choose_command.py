"""Which command measures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from swarm.errors import UsageError
from swarm.project import autoresearch_files as session
from swarm.project.choose_files import PREPARE, TRAIN
from swarm.project.choose_metric import may_be_metric
from swarm.project.code import printed
from swarm.project.commands import as_argv, python_words, with_python
from swarm.project.directions import direction_of
from swarm.project.found import Found, Question
from swarm.project.reading import text_of
from swarm.project.recipes import line_of_just, measuring_recipes
from swarm.project.running import closure, named_by
from swarm.project.sight import Sight
from swarm.project.texts import Run, Said

_BUILDERS = {"cargo", "go"}  # they find all the code of a repository by themselves
_NOTE = re.compile(  # an option for a remark about the run, of which the text leaves open what it says
    r"""(--(?:[a-z]+-)*(?:desc|description|notes?|message|label|title|comment|reason|hypothesis|run-id|tag)[ =]|-m )"""
    r"""(?:"[^"]*[<{\[.…][^"]*"|'[^']*[<{\[.…][^']*'|[\w-]*(?:<[^<>|]+>|\{[^{}]*\}))""",
    re.IGNORECASE,
)
_LEFT_OPEN = re.compile(r"<[^<>|]+>|\{[^{}]*\}|\.\.\.|…|\[[A-Z_ ]+\]|\b(?:your|path_to)[-_]\w*", re.IGNORECASE)


def command_of(sight: Sight) -> Found | Question:
    """The session's script, the command of a text, a recipe, or the file that is edited: the first that is certain."""
    if folder := session.working_folder(sight.root):
        text = f"{session.CONFIG} says that the work is done in {folder}: name that folder with --repo, or say command"
        return Question("command", text, (Found(session.script_command(sight.root), session.SCRIPT),))
    if (sight.root / session.SCRIPT).is_file():
        return _of_session(sight)
    editable = sight.paths("editable")
    scripts = [path for path in sight.edited_files() if PurePosixPath(path).name == TRAIN] or list(editable)
    script = scripts[0] if len(scripts) == 1 and scripts[0].endswith(".py") else ""
    options: list[Found] = []
    for said in sight.texts:
        certain, others = _told(sight, said)
        if certain:
            return certain
        options += others
    if lone := _lone(sight):
        return lone
    for recipe in measuring_recipes(sight.root):
        found = Found(recipe.command, f"{recipe.name} in {recipe.path}")
        if not options and _prints_named(sight, [recipe.path, *named_by(sight.root, [recipe.body])]):
            return found
        options.append(found)
    if script and not options and (_prints_named(sight, [script]) or _is_training(sight, script)):
        return _python(sight, (script,), uv=False)
    if (
        script
        and (sight.root / script).is_file()
        and (PurePosixPath(script).name == TRAIN or _tells(sight.root, script))
    ):
        options.insert(0, _first(_python(sight, (script,), uv=False)))
    unique = tuple({item.value: item for item in reversed(options)}.values())[::-1]
    return Question("command", "nothing says for certain which command measures", unique)


def _of_session(sight: Sight) -> Found | Question:
    plain = Found(session.script_command(sight.root), "it is there")
    notes = next((said.text for said in sight.texts if said.path == session.NOTES), "")
    ways = session.ways_to_run(notes)
    if not ways or session.SCRIPT in ways:
        return plain
    lines = [way.replace(session.SCRIPT, " ".join(plain.value)) for way in ways]
    options = tuple(Found(as_argv(line, session.NOTES), f"how {session.NOTES} runs it") for line in lines)
    if any(_left_open(option) for option in options):
        return Question("command", f"{session.NOTES} leaves a part of its command open", (plain,))
    if len(options) == 1:
        return options[0]
    return Question("command", f"{session.NOTES} runs {session.SCRIPT} in several ways", options)


def _told(sight: Sight, said: Said) -> tuple[Found | Question | None, list[Found]]:
    """What a text tells people to run: the one command that is certain, as it goes to a log, runs the file that is
    edited, or prints the metric that is named; and those that may be meant."""
    ranked: dict[int, dict[tuple[str, ...], Found | Question]] = {}
    others = []
    for run in said.runs:
        resolved = _resolved(sight, run, said.path)
        if resolved is None:
            continue
        found = _first(resolved)
        scripts = named_by(sight.root, found.value)
        if _runs_namesake(sight, scripts):
            continue
        prints = _prints_named(sight, scripts)
        if run.strength >= 2 or prints or {*scripts} & {*sight.paths("editable")}:
            ranked.setdefault(run.strength + 2 * prints, {}).setdefault(found.value, resolved)
        elif run.strength:
            others.append(found)
    if not ranked:
        return None, others
    best = list(ranked[max(ranked)].values())
    options = tuple(_first(item) for item in best)
    if len(best) > 1:
        return Question("command", f"{said.path} names several commands", options), others
    if _left_open(options[0]):
        return Question("command", f"{said.path} leaves a part of its command open", options, guessable=False), others
    return best[0], others


def _lone(sight: Sight) -> Found | Question | None:
    """The only command that texts ask people to run, or show in a code block, where it reaches what is edited."""
    for texts in ([said for said in sight.texts if said.leads], sight.texts):
        runs = [(run, said) for said in texts for run in said.runs if run.strength or run.fenced]
        found = [item for run, said in runs if (item := _resolved(sight, run, said.path))]
        options = {_first(item).value: item for item in reversed(found)}
        if len(options) == 1:
            command, item = next(iter(options.items()))
            return item if not _left_open(_first(item)) and _reaches(sight, command) else None
        if options:
            return None
    return None


def _runs_namesake(sight: Sight, scripts: list[str]) -> bool:
    """Whether another file is run that is called as the edited one is, such as the train.py of another folder."""
    edited = {PurePosixPath(path).name: path for path in sight.paths("editable")}
    others = (edited.get(PurePosixPath(path).name, path) != path for path in scripts)
    return not {*scripts} & {*edited.values()} and any(others)


def _reaches(sight: Sight, command: tuple[str, ...]) -> bool:
    """Whether a command runs or opens a file that is edited, as far as what it runs can be read."""
    files = sight.edited_files()
    ran = closure(sight.root, named_by(sight.root, command))
    if not files or not ran:
        return bool(files) and command[0] in _BUILDERS
    words = " ".join([*command, *(text_of(sight.root / path) for path in ran)])
    names = {PurePosixPath(path).name for path in files} - {PurePosixPath(path).name for path in ran}
    return bool({*ran} & {*files}) or any(name in words for name in names)  # a file of that name ran: it is another


def _resolved(sight: Sight, run: Run, path: str) -> Found | Question | None:
    """A command line of a text as this repository runs it; None where it names a script that is not there."""
    run = replace(run, line=_NOTE.sub(r"\1swarm", run.line))
    words = python_words(run.line)
    if words is None:
        try:
            argv = as_argv(run.line, path)
        except UsageError:  # half of a quote, or of a line
            return None
        if argv[0] == "just" and len(argv) == 2 and (line := line_of_just(sight.root, argv[1])):
            return _resolved(sight, Run(line, run.strength), f"{path} (just {argv[1]})")
        script = sight.root / argv[0] if argv[0].startswith("./") else None
        if script and not script.is_file():
            return None
        if script and not os.access(script, os.X_OK):  # people make it executable first, and a run's copy is not
            argv = (*session.script_command(sight.root, argv[0]), *argv[1:])
        return Found(argv, f"named by {path}")
    beside = str(PurePosixPath(path).parent / words[0]) if words and words[0] != "-m" else ""
    if beside and (sight.root / beside).is_file():  # a text names the files of its own folder
        words = (beside, *words[1:])
    if not named_by(sight.root, words[:2] if words[:1] == ("-m",) else words[:3]):
        return None
    found = _python(sight, words, uv=run.line.startswith("uv "))
    return Found(found.value, f"named by {path}; {found.origin}") if isinstance(found, Found) else found


def _python(sight: Sight, words: tuple[str, ...], *, uv: bool) -> Found | Question:
    return with_python(sight.root, sight.places, words, uv)


def _first(item: Found | Question) -> Found:
    return item if isinstance(item, Found) else item.candidates[0]


def _left_open(found: Found) -> bool:
    return any(_LEFT_OPEN.search(word.replace("{python}", "")) for word in found.value)


def _is_training(sight: Sight, script: str) -> bool:
    """Whether a file is the training that is run by itself: train.py that prints a metric, or is all that texts run."""
    if PurePosixPath(script).name != TRAIN:
        return False
    run = {path for said in sight.texts for run in said.runs for path in named_by(sight.root, [run.line])}
    return _tells(sight.root, script) or not run - {script, PREPARE}


def _tells(root: Path, script: str) -> bool:
    """Whether a script prints something that is a metric by its name."""
    items = [item for path in closure(root, [script]) for item in printed(root / path)]
    return any(item.marked or (direction_of(item.name) and may_be_metric(item.name)) for item in items)


def _prints_named(sight: Sight, paths: Iterable[str]) -> bool:
    """Whether what is run prints a metric that texts name."""
    wanted = {metric.value for metric in sight.named_metrics}
    if not wanted:
        return False
    return any(item.name in wanted for path in closure(sight.root, paths) for item in printed(sight.root / path))
