"""The code that a swarm starts from, and what is read in it before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swarm.errors import UsageError
from swarm.execution.seed_and_budget import how_seeded, seed_reaches, unread_budget
from swarm.execution.workspace import parses
from swarm.launch.files import Files
from swarm.records import CATEGORIES, Edit, Source
from swarm.researchers.sweep.knob_space import open_knob_space


@dataclass(frozen=True, slots=True)
class Code:
    """The editable files of the base commit, and how seed, budget and sweep reach the code, as far as can be seen."""

    source: Source
    seed: str  # how a run's seed reaches it, for people
    seeded: bool  # whether it does
    unread: str  # that it does not ask for its budget, for people; "" where it does
    knobs: Mapping[str, int]  # how many numbers and choices the sweep may turn, by file
    turnable: bool  # whether there is anything for the sweep to turn: a knob, or a change of its playbook
    categories: tuple[str, ...]  # what ideas for it can be about


def read_code(files: Files, kind: str) -> Code:
    """The code of a project on one kind of device."""
    space = open_knob_space(files.source, kind)
    return Code(
        source=files.source,
        seed=how_seeded(files.source, files.fixed),
        seeded=seed_reaches(files.source, files.fixed),
        unread=unread_budget(files.source, files.fixed),
        knobs=space.places() if space else {},
        turnable=bool(space and space.is_open()),
        categories=_in_order(space.categories()) if space else (),
    )


def refuse_broken(source: Source) -> None:
    """UsageError where there is nothing to edit, or an editable file cannot even be parsed."""
    if not any(content.strip() for content in source.files.values()):
        names = ", ".join(source.files)
        raise UsageError(f"{names}: nothing is written there that could be edited; name other files as `editable`")
    if wrong := parses(Edit(source.files)):
        raise UsageError(f"{wrong}: mend and commit it first")


def _in_order(found: tuple[str, ...]) -> tuple[str, ...]:
    """The categories of a language model's training first, in their usual order, then the others by their worth."""
    usual = tuple(category for category in CATEGORIES if category in found)
    return usual + tuple(category for category in found if category not in usual)
