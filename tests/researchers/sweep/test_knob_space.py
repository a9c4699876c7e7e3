from __future__ import annotations

from swarm.records import CATEGORIES, Idea, Source
from swarm.researchers.sweep.knob_space import open_knob_space
from swarm.researchers.sweep.rules import Grid

FILES = {
    "config.yaml": b"model:\n  lr: 0.01\n  depth: 3\n",
    "bot.js": b"const MARGIN = 0.5;\n",
    "a.py": b"RATE = 0.5\nprint(RATE)\n",
    "b.py": b"RATE = 0.25\nprint(RATE)\n",
    "notes.md": b"rate: 5\n",
}


def test_one_space_over_all_files_with_one_name_for_each_knob() -> None:
    space = open_knob_space(Source(FILES), "cpu")
    assert space is not None
    assert space.knobs == {
        "RATE": 0.5,
        "b.py:RATE": 0.25,
        "bot.js:MARGIN": 0.5,
        "config.yaml:model.lr": 0.01,
        "config.yaml:model.depth": 3,
    }
    assert space.places() == {"a.py": 1, "b.py": 1, "bot.js": 1, "config.yaml": 2}


def test_an_idea_may_turn_knobs_of_several_files() -> None:
    space = open_knob_space(Source(FILES), "cpu")
    assert space is not None
    [idea] = space.turn({"config.yaml:model.depth": 4, "bot.js:MARGIN": 0.65}, "why")
    assert idea.title == "model.depth in config.yaml 3 -> 4, MARGIN in bot.js 0.5 -> 0.65"
    assert ":" not in idea.title
    edit = space.edit(idea)
    assert edit is not None
    assert edit.files == {"config.yaml": b"model:\n  lr: 0.01\n  depth: 4\n", "bot.js": b"const MARGIN = 0.65;\n"}
    assert space.edit(Idea("gone", knobs={"config.yaml:model.width": 4})) is None
    assert space.edit(Idea("nothing", knobs={"RATE": 0.5})) is None


def test_constants_that_another_file_reads_are_knobs() -> None:
    files = {"settings.py": b"ALPHA = 0.5\nBETA = 0.7\n", "main.py": b"from settings import ALPHA\nprint(ALPHA)\n"}
    space = open_knob_space(Source(files), "cpu")
    assert space is not None and {"ALPHA", "BETA"} <= space.knobs.keys()
    files = {
        "settings.py": b"ALPHA = 0.5\nBETA = 0.7\nGAMMA = 0.9\nprint(ALPHA)\n",
        "main.py": b"from settings import *\nprint(BETA)\n",
    }
    space = open_knob_space(Source(files), "cpu")
    assert space is not None and space.knobs == {"ALPHA": 0.5, "BETA": 0.7}


def test_categories_are_those_of_the_project(trainer: str) -> None:
    space = open_knob_space(Source(FILES), "cpu")
    assert space is not None
    assert set(space.categories()) == {"learning rate", "model size", "threshold", "weighting"}
    own = open_knob_space(Source({"trainer/train.py": trainer.encode()}), "cpu")
    assert own is not None and set(own.categories()) == set(CATEGORIES)


def test_a_switch_and_a_word_have_their_other_values_as_neighbours() -> None:
    space = open_knob_space(Source({"c.json": b'{"use_bias": true}'}), "cpu")
    assert space is not None
    rule = space.rules["c.json:use_bias"]
    assert rule.grid is Grid.CHOICE and list(rule.neighbours(True)) == [False]
    [idea] = space.turn({"c.json:use_bias": False}, "why")
    edit = space.edit(idea)
    assert edit is not None and edit.files == {"c.json": b'{"use_bias": false}'}


def test_a_value_with_which_a_number_would_be_no_knob_is_refused() -> None:
    text = b"def score(row):\n    return 0.7 * row.form + 0.4 * row.value\n"
    space = open_knob_space(Source({"s.py": text}), "cpu")
    assert space is not None
    assert not list(space.turn({"s.py:score.form.weight": 1.0}, "why"))
    assert list(space.turn({"s.py:score.form.weight": 0.9}, "why"))
