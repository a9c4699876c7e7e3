"""What the gate refuses before a GPU is spent on it, and what it must let pass.

python -m pytest tests/trust
"""

from __future__ import annotations

import pytest

from swarm.project import load_project
from swarm.records import Edit, Source
from swarm.researchers.knobs import read_knobs, write_knobs
from swarm.researchers.playbook import rule_for
from swarm.researchers.structures import PATCHES
from swarm.workshop.gate import fault
from tests.trust.edits import COUNTED, HONEST, MEASURED, REFUSED, ROOT, TRAIN, Change

PATH = "trainer/train.py"
PROJECT = load_project(ROOT)


def told(code: str, parent: str = TRAIN) -> str:
    return fault(Edit({PATH: code.encode()}), Source({PATH: parent.encode()}), PROJECT)


def test_there_is_enough_of_both() -> None:
    assert len(REFUSED) + len(MEASURED) >= 20 and len(HONEST) >= 20
    assert len({change.name for change in (*REFUSED, *MEASURED, *COUNTED, *HONEST)}) == len(
        REFUSED + MEASURED + COUNTED + HONEST
    )


@pytest.mark.parametrize("cheat", REFUSED, ids=lambda cheat: cheat.name)
def test_a_cheat_in_plain_sight_is_refused_by_name(cheat: Change) -> None:
    said = told(cheat.code)
    assert said.startswith(f"is refused by a check of {PATH}: {cheat.check}: "), said
    assert "\n" not in said and len(said) < 200


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_honest_edits_pass(honest: Change) -> None:
    assert told(honest.code) == ""


def test_what_stood_there_before_is_no_news() -> None:
    """The project's own file may do what an edit may not begin to do."""
    bold = TRAIN.replace("import torch\n", "import os\nimport torch\n", 1) + '\nos.environ["X"] = "1"\n'
    assert told(bold + "\nX = 1\n", bold) == ""
    assert told(bold + '\nos.environ["Y"] = "1"\n', bold) != ""


def test_every_play_of_the_sweep_passes() -> None:
    edits = [changed for patch in PATCHES if (changed := patch.apply(TRAIN))]
    for device in ("cpu", "cuda", "mps"):
        numbers = {name: value for name, value in read_knobs(TRAIN, device).items() if rule_for(name, value)}
        edits.append(write_knobs(TRAIN, device, {k: 2 * v for k, v in numbers.items() if v and not isinstance(v, str)}))
    assert len(edits) > 20
    assert {said for code in edits if (said := told(code))} == set()
