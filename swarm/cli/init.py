"""Starts a project: looks at a repository, runs it once, asks what is not clear, and writes its swarm.toml."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import add_verb, root_of
from swarm.cli.output import console
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.launch.trial import Trial
    from swarm.project.found import Found, Question
    from swarm.project.project import Project

SETTINGS, PROGRAM = "swarm.toml", "program.md"
_AFTER_THE_RUN = ("metric", "direction")  # what a run's output helps to answer
_LISTED = 9  # candidates that are shown

Answer = Callable[["Question"], "Found"]


def add_to(verbs: Any) -> None:
    parser = add_verb(verbs, init)
    add = parser.add_argument
    add("--example", metavar="NAME", help="start from nothing: vision, function-speed, prompt or cpp")
    add("--yes", action="store_true", help="take the best guess for what is not clear, and say so")
    add("--no-run", action="store_true", help="only look: do not run the code")


def init(options: argparse.Namespace) -> int:
    """Writes swarm.toml for a repository: looks, runs it once, asks what is not clear."""
    if options.example:
        return _start_from(options.example, Path(options.directory))
    from swarm.project.project import settings_file
    from swarm.project.writing import program_text, settings_text

    root = root_of(options)
    if name := settings_file(root):
        raise UsageError(f"{root} has its settings in {name} already: `python -m swarm launch --dry-run` shows them")
    answer = _guess if options.yes else _ask if sys.stdin.isatty() and sys.stdout.isatty() else _refuse
    said = _settled(root, {}, answer, but=_AFTER_THE_RUN)
    trial = None if options.no_run else _trial(root, said)
    said = _settled(root, said, lambda question: answer(_with_values(question, trial)))
    project = _project(said)
    (root / SETTINGS).write_text(settings_text(said), encoding="utf-8")
    print(f"wrote {SETTINGS}: every line says where it comes from")
    if not (root / project.program).exists():
        text = program_text(project, trial.phases.whole if trial else None, _others(trial, project), ())
        (root / project.program).write_text(text, encoding="utf-8")
        print(f"wrote {project.program}: say there what you know of the problem")
    print("next:  python -m swarm launch --dry-run     the plan\n       python -m swarm launch --hours 8")
    return 0


# -- from nothing --------------------------------------------------------------------------------------------------


def _start_from(example: str, folder: Path) -> int:
    """An example's files in a folder; one that is in no repository becomes one, with one commit."""
    from swarm.history.founding import found_repository, is_in_repository
    from swarm.project.example import copy_example

    if not folder.is_dir():
        raise UsageError(f"-C {folder}: there is no such folder")
    files = copy_example(example, folder)
    print(f"{example}: {', '.join(files)}")
    if is_in_repository(folder):
        print("next:  git add . && git commit -m start     they are part of the repository around them")
    else:
        found_repository(folder, files, f"The example {example}")
        print("made a git repository with them in one commit")
    print("next:  python -m swarm launch --max-experiments 6")
    return 0


# -- what is said, and by whom -------------------------------------------------------------------------------------


def _settled(root: Path, said: Mapping[str, Found], answer: Answer, but: Sequence[str] = ()) -> dict[str, Found]:
    """All that is found and answered. An answer may show more, so that the repository is looked at after each."""
    from swarm.project.look import look

    answers = dict(said)
    while True:
        seen = look(root, {key: found.value for key, found in answers.items()})
        question = next((question for question in seen.questions if question.key not in but), None)
        if question is None:
            return {**seen.found, **answers}
        answers[question.key] = answer(question)


def _guess(question: Question) -> Found:
    """The best candidate, said aloud."""
    if not question.candidates:
        raise UsageError(f"{question.text}; nothing can be guessed: say `{question.key} = ...` in a {SETTINGS}")
    best = question.candidates[0]
    print(f"guessed: {question.key} = {_shown(best.value)} ({best.origin})")
    return best._replace(origin=f"guessed: {best.origin}")


def _refuse(question: Question) -> Found:
    candidates = ", ".join(f"{_shown(found.value)} ({found.origin})" for found in question.candidates[:_LISTED])
    there = f": {candidates}" if candidates else ""
    raise UsageError(f"{question.text}{there}; answer in a terminal, with --yes, or as `{question.key}` in {SETTINGS}")


def _ask(question: Question) -> Found:
    """A person's choice: a number of the list, or a value of their own."""
    from swarm.project.found import Found
    from swarm.project.project import read_key

    print(f"\n{question.text}")
    listed = question.candidates[:_LISTED]
    for number, found in enumerate(listed, 1):
        print(f"  {number}  {_shown(found.value)}  ({found.origin})")
    while True:
        typed = input(f"{question.key}{f' [1 to {len(listed)}, or type it]' if listed else ''}: ").strip()
        if typed.isdigit() and 1 <= int(typed) <= len(listed):
            return listed[int(typed) - 1]._replace(origin="chosen")
        try:
            if typed:
                return Found(read_key(question.key, typed), "typed")
        except UsageError as error:
            print(error)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else " ".join(map(str, value)) if isinstance(value, Sequence) else str(value)
