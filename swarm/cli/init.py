"""Starts a project: looks at a repository, runs it once, asks what is not clear, and writes its swarm.toml."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.answers import LISTED, SETTINGS, Answer, ask, guess, refuse, shown
from swarm.cli.options import add_verb, root_of
from swarm.cli.output import console, print_json
from swarm.errors import SwarmError, UsageError
from swarm.invoked import program

if TYPE_CHECKING:
    from rich.table import Table

    from swarm.launch.trial import Trial
    from swarm.project.found import Found, Question
    from swarm.project.project import Project
    from swarm.project.settings import Config

_AFTER_THE_RUN = ("metric", "direction")  # what a run's output helps to answer
UNKNOWN = "(not known yet)"  # the metric, before it is asked for


def add_to(verbs: Any) -> None:
    parser = add_verb(verbs, init, json=True, examples=("", "--example vision"))
    add = parser.add_argument
    add("--example", metavar="NAME", help="start from nothing: vision, function-speed, prompt or cpp")
    add("--skill", action="store_true", help="only: the skill with which a coding agent runs swarms here")
    add("--yes", action="store_true", help="take the best guess for what is not clear, and say so")
    add("--no-run", action="store_true", help="only look: do not run the code")


def init(options: argparse.Namespace) -> int:
    """Looks at a repository, runs it, asks, and writes its swarm.toml."""
    aside = contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext()
    with aside:  # what people read; programs get one object in the end
        start = _start_from if options.example else _add_skill if options.skill else _start_in
        told = start(options)
    if options.json:
        print_json(told)
    return 0


def _start_in(options: argparse.Namespace) -> dict[str, Any]:
    """What was written, and of what, as values."""
    from swarm.cli.trial import show_end
    from swarm.project.project import project_from, settings_file

    root = root_of(options)
    if name := settings_file(root):
        raise UsageError(f"{root} has its settings in {name} already: `python -m swarm launch --dry-run` shows them")
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not options.json
    answer = guess if options.yes else ask if asks else refuse
    # Whoever cannot be asked is refused before the run, not after it.
    said = _settled(root, {}, answer, but=() if answer is refuse else _AFTER_THE_RUN)
    trial = None if options.no_run else _tried(root, said)
    said = _settled(root, said, lambda question: answer(_with_values(question, trial)))
    console().print(_table(said))
    project = project_from({key: found.value for key, found in said.items()}, SETTINGS, root)
    if trial and (problem := _refusal_of(trial, project)):
        show_end(trial)
        raise problem
    if trial and trial.value is None and project.checks:  # its metric was not known: it is run once more, and checked
        trial = _tried(root, said)
    written = _write(root, project, said, trial)
    if trial and (problem := _broken(trial, project)):
        raise problem
    if trial:
        _keep(root, trial)
    print(f"next:  {program()} launch --dry-run     the plan\n       {program()} launch --hours 8")
    return {
        "project": {key: {"value": found.value, "origin": found.origin} for key, found in said.items()},
        "written": written,
        "run": trial and {"seconds": trial.phases.whole, "printed": _finite(trial.found)},
    }


def _write(root: Path, project: Project, said: Mapping[str, Found], trial: Trial | None) -> list[str]:
    """Writes the settings and, where there is none, a program; the names of what it wrote."""
    from swarm.project.writing import program_text, settings_text

    (root / SETTINGS).write_text(settings_text(said), encoding="utf-8")
    print(f"wrote {SETTINGS}: every line says where it comes from")
    if (root / project.program).exists():
        return [SETTINGS]
    others = [name for name in (trial.found if trial else ()) if name != project.metric]
    text = program_text(project, trial.phases.whole if trial else None, others, _knobs(root, project))
    (root / project.program).write_text(text, encoding="utf-8")
    print(f"wrote {project.program}: say there what you know of the problem")
    return [SETTINGS, project.program]


# -- the run -------------------------------------------------------------------------------------------------------


def _tried(root: Path, said: Mapping[str, Found]) -> Trial:
    """One run of the untouched code, whether or not the metric is known yet. SwarmError where it does not end well."""
    from swarm.cli.trial import progress_shown, show_end
    from swarm.launch.plan import make_plan
    from swarm.launch.trial import refusal
    from swarm.launch.trial_run import editable_files, make_trial
    from swarm.project.project import Project

    values = {key: found.value for key, found in said.items()}
    project = Project(**{"metric": UNKNOWN, **values})
    plan = make_plan(root, _config(), thinks=False, project=project)
    print(f"running it once (Ctrl-C ends it, --no-run only looks): {project.command_line}", flush=True)
    try:
        with progress_shown(plan, screen if (screen := console()).is_terminal else None) as report:
            trial = make_trial(plan, editable_files(plan), report)
    except KeyboardInterrupt:
        print("swarm: the run was ended, and nothing was written", file=sys.stderr)
        raise
    if not trial.completed and (problem := refusal(trial, project)):
        show_end(trial)
        raise problem
    numbers = {name: value for name, value in trial.found.items() if isinstance(value, (int, float))}
    print(f"it took {trial.phases.whole:.1f} s and printed {_listed_values(numbers)}")
    return trial


def _config() -> Config:
    """The settings of a launch without flags, but that the code is run whatever is known of it."""
    from swarm.project.settings import read_config

    return read_config({"trial": "always"}, {}, os.environ)[0]


def _keep(root: Path, trial: Trial) -> None:
    """Keeps the run for the first launch, where it was made of what is now written: its metric was known before."""
    from swarm.launch.plan import make_plan
    from swarm.launch.trial_store import identity, store

    plan = make_plan(root, _config(), thinks=False)
    if trial.value is not None and trial.of == identity(plan):
        store(plan, trial)


def _refusal_of(trial: Trial, project: Project) -> SwarmError | None:
    """Why no swarm could be founded on the run, now that the metric is known."""
    value = trial.found.get(project.metric)
    if trial.value is None and not isinstance(value, (int, float)) and not (project.result or project.pattern):
        printed = f"the run printed no number for {project.metric}: it printed {_listed_values(trial.found)}"
        return UsageError("; ".join(filter(None, (printed, trial.helps))))
    return None


def _broken(trial: Trial, project: Project) -> SwarmError | None:
    """What keeps the untouched code itself from being kept, such as checks that fail on it."""
    from swarm.launch.trial import refusal

    return refusal(trial, project) if trial.run.failure is None else None


def _finite(values: Mapping[str, object]) -> dict[str, object]:
    """As JSON can hold them."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def _with_values(question: Question, trial: Trial | None) -> Question:
    """The question with what the run printed: a number beside each name, and names that nothing else had shown."""
    from swarm.project.found import Found

    if trial is None or question.key != "metric":
        return question
    numbers = {name: value for name, value in trial.found.items() if isinstance(value, (int, float))}
    known = [
        found._replace(origin=f"{numbers[found.value]:g} in the run; {found.origin}")
        for found in question.candidates
        if found.value in numbers
    ]
    others = [Found(name, f"{value:g} in the run") for name, value in numbers.items()]
    named = {found.value for found in known}
    candidates = (*known, *(found for found in others if found.value not in named))
    return dataclasses.replace(question, candidates=candidates or question.candidates)


def _listed_values(values: Mapping[str, object]) -> str:
    each = [
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}" for name, value in values.items()
    ]
    return ", ".join(each[:LISTED]) + (f" and {len(each) - LISTED} more" if len(each) > LISTED else "") or "nothing"


def _knobs(root: Path, project: Project) -> list[str]:
    """Names of numbers and choices in the editable files, for whoever writes the program."""
    from swarm.records import Source
    from swarm.researchers.sweep.knob_space import open_knob_space

    files = {path: (root / path).read_bytes() for path in project.editable if (root / path).is_file()}
    space = open_knob_space(Source(files), "cpu") if files else None
    return list(space.knobs) if space else []


# -- from nothing --------------------------------------------------------------------------------------------------


def _start_from(options: argparse.Namespace) -> dict[str, Any]:
    """An example's files in a folder; one that is in no repository becomes one, with one commit."""
    from swarm.history.founding import found_repository, is_in_repository
    from swarm.project.example import copy_example

    example, folder = options.example, Path(options.directory)
    if not folder.is_dir():
        raise UsageError(f"-C {folder}: there is no such folder")
    files = copy_example(example, folder)
    print(f"{example}: {', '.join(files)}")
    if is_in_repository(folder):
        print("next:  git add . && git commit -m start     they are part of the repository around them")
    else:
        found_repository(folder, files, f"The example {example}")
        print("made a git repository with them in one commit")
    print(f"next:  {program()} launch --max-experiments 6")
    return {"example": example, "written": [str(file) for file in files]}


def _add_skill(options: argparse.Namespace) -> dict[str, Any]:
    """The skill for coding agents, where they look for it."""
    from swarm.project.example import copy_skill

    written = copy_skill(root_of(options))
    print(f'wrote {written}: tell your coding agent to "run autoresearch overnight"')
    return {"written": [written]}


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


def _table(said: Mapping[str, Found]) -> Table:
    """Each key with its value and where that comes from."""
    from rich.table import Table
    from rich.text import Text

    from swarm.wording.formatting import clean

    table = Table.grid(padding=(0, 2))
    for style in ("bold", "", "dim"):
        table.add_column(style=style, overflow="fold")
    for key, found in said.items():
        table.add_row(key, Text(clean(shown(found.value))), Text(clean(found.origin)))
    return table
