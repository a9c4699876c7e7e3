"""Looks at a repository for what is researched there: reads files and runs nothing.

Sources are asked in this order: what people gave, the files of pi-autoresearch, texts for agents, recipes, the code.
What decides everything is found for certain, or is a question with candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm.project.candidates import file_question
from swarm.project.choose_command import command_of
from swarm.project.choose_files import TRAIN, checks_of, editable_of, fixed_of, program_of
from swarm.project.choose_metric import direction_for, metric_of
from swarm.project.code import budget_in
from swarm.project.found import Look
from swarm.project.sight import Sight


def look(root: Path, given: Mapping[str, Any]) -> Look:
    """The keys of a Project that are not `given`, as far as the repository shows them, and what it leaves open."""
    sight = Sight(root, given)
    for key, find in (
        ("editable", editable_of),
        ("command", command_of),
        ("fixed", fixed_of),
        ("program", program_of),
        ("checks", checks_of),
        ("budget", lambda sight: budget_in(root, (*sight.paths("fixed"), *sight.edited_files()))),
        ("metric", metric_of),
        ("direction", direction_for),
    ):
        sight.settle(key, find)
    if not sight.value("editable") and "editable" not in {*given, *(question.key for question in sight.questions)}:
        return _without_files(sight)
    return Look(sight.found, tuple(sight.questions))


def _without_files(sight: Sight) -> Look:
    """Which files are edited is asked first, and alone where nothing else is known either."""
    if not sight.given and not {"command", "metric"} & sight.found.keys():
        text = f"{sight.root} has no {TRAIN} and says nowhere what to research"
        return Look({}, (file_question(sight.root, text),))
    asked = file_question(sight.root, "nothing says which files may be edited")
    return Look(sight.found, (asked, *sight.questions))
