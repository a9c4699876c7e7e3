"""What init writes is read back as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from swarm.project.found import Found
from swarm.project.keys import KEYS
from swarm.project.project import Project, project_from
from swarm.project.writing import program_text, settings_text, toml

text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_every_value_is_read_back(value: object) -> None:
    assert tomllib.loads(f"key = {toml(value)}") == {"key": value}


@given(text, text)
def test_the_settings_are_read_back_whatever_their_texts_hold(origin: str, name: str) -> None:
    said = {
        "command": Found(("{python}", "train.py", name), origin),
        "metric": Found(name, origin),
        "budget": Found(90.0, origin),
        "guards": Found({name: "<= 3"}, origin),
    }
    read = tomllib.loads(settings_text(said))
    assert read == {
        "command": ["{python}", "train.py", name],
        "metric": name,
        "budget": 90.0,
        "guards": {name: "<= 3"},
    }


def test_every_example_of_a_key_is_toml_of_its_type(tmp_path: Path) -> None:
    needed = {"command": ["true"], "editable": ["a"], "metric": "cost", "direction": "lower", "fixed": []}
    for name, key in KEYS.items():
        project_from({**needed, **tomllib.loads(f"{name} = {key.example}")}, "swarm.toml", tmp_path)


def test_a_program_names_what_may_change_what_may_not_and_what_decides() -> None:
    project = Project(
        command=("{python}", "fit.py"),
        editable=("model.py",),
        fixed=("fit.py",),
        metric="val_auc",
        direction="higher",
        checks=("pytest -q",),
    )
    program = program_text(project, 2.0, ["rows"], ["model.py:depth"])
    for said in ("highest **val_auc**", "`python fit.py`", "`model.py`", "`fit.py`", "`pytest -q`", "`rows`", "depth"):
        assert said in program
