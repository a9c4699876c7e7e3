"""program.md, what researchers are told: complete, short, in the words and numbers of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarm.judge.race import STANDARD
from swarm.project.project import load_project
from swarm.records import CATEGORIES
from swarm.researchers.sweep.knobs import read_knobs

ROOT = Path(__file__).parents[1]
PROGRAM = (ROOT / "program.md").read_text()
TRAINER = (ROOT / "trainer/train.py").read_text()


def section(title: str) -> str:
    return re.split(r"^## ", PROGRAM.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_it_is_the_program_of_this_project():
    assert load_project(ROOT).program == "program.md"


@pytest.mark.parametrize(
    ("title", "says"),
    [
        ("Goal", "val_bpb"),
        ("Setting", "trainer/train.py"),
        ("Rules", "Shared baselines"),
        ("Simplicity", "less code"),
        ("Noise", "sigma"),
        ("What not to do", "disqualifies"),
        ("When all results look the same", "untried"),
        ("Crashes", "Out of memory"),
        ("Never stop", "Do not ask"),
        ("This swarm", "People: write here"),
    ],
)
def test_it_has_every_part(title, says):
    assert says in section(title)


def test_it_has_ideas_for_every_category_and_no_other():
    assert sorted(re.findall(r"^- \*\*([a-z ]+)\*\*:", section("Ideas"), re.MULTILINE)) == sorted(CATEGORIES)


def test_files_and_settings_it_names_exist():
    settings = {name for device in ("cuda", "mps", "cpu") for name in read_knobs(TRAINER, device)}
    for word in re.findall(r"`([\w./]+)`", PROGRAM):
        if "/" in word or word.endswith(".py"):
            assert (ROOT / word).is_file() or (ROOT / "trainer" / word).is_file(), word
        elif "_" in word and not word.isupper():
            assert word in settings or f"def {word}(" in TRAINER, word


def test_its_numbers_are_those_of_the_judge_and_the_trainer():
    assert STANDARD.carry_gain == 0.1 and "at least a tenth of a sigma" in " ".join(PROGRAM.split())
    assert STANDARD.kept_from == 0.5 and "at least as likely a real gain as none" in " ".join(PROGRAM.split())
    assert load_project(ROOT).budget == 300 and "300 seconds" in PROGRAM
    assert "at most 700 lines" in PROGRAM and len(TRAINER.splitlines()) <= 700


def test_what_it_forbids_is_what_the_trainer_offers():
    """The names it forbids to touch are the real ones: a rule about nothing would be no rule."""
    for name in ("SWARM_SEED", "referee.json", "load_model", "---"):
        assert name in PROGRAM
    harness, referee = ((ROOT / "trainer" / name).read_text() for name in ("harness.py", "referee.py"))
    assert "SWARM_SEED" in harness and "referee.json" in referee and "def load_model(" in TRAINER


def test_it_can_be_read_in_one_go():
    assert len(PROGRAM.splitlines()) < 150
    assert max(map(len, PROGRAM.splitlines())) <= 120
