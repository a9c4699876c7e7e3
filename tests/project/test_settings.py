"""Defaults < [tool.swarm] < SWARM_* < flags, each value with its origin; what makes no sense is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import UsageError
from swarm.project.flags import FORMER, flag
from swarm.project.researcher_options import SHORTHANDS
from swarm.project.settings import FIELDS, HINTS, NO_SETTINGS, Config, Setting, read_config, renamed, variable
from swarm.project.values import unit_of


def read(flags: dict[str, Any] | None = None, table: dict[str, Any] | None = None, **environ: str) -> Config:
    return read_config(flags or {}, table or {}, environ)[0]


def test_a_bad_key_is_blamed_on_the_file_it_stands_in() -> None:
    """With the key of a launch or of a project that was meant."""
    for table, file, said in (
        ({"metrc": "loss"}, "swarm.toml", r"swarm\.toml says metrc, .*did you mean metric\?"),
        ({"hurs": 8}, "pyproject.toml", r"pyproject\.toml \[tool\.swarm\] says hurs, .*did you mean hours\?"),
        ({"agents": "two"}, "swarm.toml", r"swarm\.toml agents must be a whole number"),
    ):
        with pytest.raises(UsageError, match=said):
            read_config({}, table, {}, file)


def test_what_is_nearer_to_the_user_wins_and_says_so() -> None:
    table = {"hours": 8, "researcher_seed": 1, "max_experiments": 5}
    environ = {"SWARM_RESEARCHER_SEED": "2", "SWARM_MAX_EXPERIMENTS": "6", "PATH": "/bin"}
    config, settings = read_config({"max_experiments": 7}, table, environ)
    assert (config.hours, config.researcher_seed, config.max_experiments, config.budget) == (8.0, 2, 7, None)
    origins = {setting.name: setting.origin for setting in settings}
    assert (origins["hours"], origins["researcher_seed"], origins["budget"]) == (
        "[tool.swarm]",
        "SWARM_RESEARCHER_SEED",
        "default",
    )
    assert origins["max_experiments"] == "--max-experiments"
    assert Setting("researcher_seed", 2, "SWARM_RESEARCHER_SEED") in settings
    assert [setting.name for setting in settings] == [field.name for field in dataclasses.fields(Config)]


def test_text_becomes_the_fields_type() -> None:
    environ = {"SWARM_HOURS": "0.5", "SWARM_AGENTS": "3", "SWARM_RESUME": "yes", "SWARM_TAG": "apr5"}
    config = read(**environ)
    assert (config.hours, config.agents, config.resume, config.tag) == (0.5, 3, True, "apr5")
    assert read(SWARM_DETACH="no").detach is False
    assert read(table={"tag": "apr5", "dry_run": True}).dry_run is True


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"tag": "Apr 5"}, "small letters"),
        ({"tag": ""}, "small letters"),
        ({"tag": "-a"}, "small letters"),
        ({"tag": "a" * 32}, "at most 31"),
        ({"tag": "../x"}, "small letters"),
        ({"tag": "apr5-gpu0"}, "branches of agents"),
        ({"device": "tpu"}, "auto, cuda, mps, cpu, sim"),
        ({"gpus": "2", "agents": 2}, "exclude each other"),
        ({"gpus": "all"}, "0,1,5"),
        ({"gpus": "-1"}, "0,1,5"),
        ({"gpus": "0,"}, "0,1,5"),
        ({"policy": "hope"}, "race, greedy"),
        ({"hours": -1.0}, "--hours -1: it must be above 0"),
        ({"hours": float("nan")}, "--hours must be a time"),
        ({"hours": float("inf")}, "--hours must be a time"),
        ({"max_experiments": 0}, "--max-experiments 0"),
        ({"max_usd": -0.5}, "--max-usd -0.5"),
        ({"budget": 0.0}, "--budget 0"),
        ({"agents": -2}, "--agents -2"),
        ({"think": -1.0}, "--think -1"),
        ({"gpu_usd_per_hour": -1.0}, "--gpu-usd-per-hour"),
        ({"resume": True}, "--resume needs the tag"),
        ({"resume": True, "tag": "apr5", "from_tag": "apr4"}, "give one of them"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as said:
        read(flags)
    assert message in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("table", "environ", "message"),
    [
        ({"agents": "two"}, {}, "[tool.swarm] agents must be a whole number, not 'two'"),
        ({"agents": 2.5}, {}, "[tool.swarm] agents must be a whole number, not 2.5"),
        ({}, {"SWARM_MAX_USD": "ten"}, "SWARM_MAX_USD must be a number, not 'ten'"),
        ({}, {"SWARM_HOURS": "eight"}, "SWARM_HOURS must be a time such as 90s, 15m or 8h, or a number of hours, not"),
        ({}, {"SWARM_WAIT": "15 min"}, "SWARM_WAIT must be a time such as 90s, 15m or 8h, or a number of seconds, not"),
        ({"budget": True}, {}, "[tool.swarm] budget must be a time such as"),
        ({}, {"SWARM_HOURS": "-1"}, "SWARM_HOURS -1: it must be above 0"),
        ({"device": "tpu"}, {}, "[tool.swarm] device 'tpu': it is one of auto"),
        ({"tag": ["a"]}, {}, "[tool.swarm] tag must be a text, not ['a']"),
        ({}, {"SWARM_RESUME": "perhaps"}, "SWARM_RESUME must be true or false, not 'perhaps'"),
        ({"max_experiment": 5}, {}, "max_experiment, which is no setting: did you mean max_experiments?"),
        ({"xyz": 5}, {}, "xyz, which is no setting: see `python -m swarm launch --help`"),
        (
            {},
            {"SWARM_MAX_EXPERIMENT": "5"},
            "SWARM_MAX_EXPERIMENT, which is no setting: did you mean SWARM_MAX_EXPERIM",
        ),
        ({}, {"SWARM_SEDE": "5"}, "the environment has SWARM_SEDE, which is no setting: did you mean SWARM_SEED?"),
        ({}, {"SWARM_\n": ""}, "which is no setting"),
    ],
)
def test_what_cannot_be_read_is_named(table: dict[str, Any], environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as said:
        read(table=table, **environ)
    assert message in str(said.value) and "\n" not in str(said.value)


def test_flags_are_called_as_people_type_them() -> None:
    assert (flag("max_experiments"), flag("from_tag"), flag("tag")) == ("--max-experiments", "--from", "--tag")


TIMES = {name: unit for name, hint in HINTS.items() if (unit := unit_of(hint))}


def test_these_settings_are_times() -> None:
    assert {name: unit.name for name, unit in TIMES.items()} == {
        "hours": "HOURS", "budget": "SECONDS", "think_limit": "SECONDS", "wait": "SECONDS",
    }  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("5m", 300), ("8h", 28800), ("1h30m", 5400), ("1d", 86400)]
)
def test_a_time_has_a_unit_wherever_it_is_given(name: str, written: str, seconds: float) -> None:
    for config in (read({name: written}), read(table={name: written}), read(**{variable(name): written})):
        assert getattr(config, name) == seconds / TIMES[name].value


@pytest.mark.parametrize("name", TIMES)
def test_a_bare_number_means_what_it_did(name: str) -> None:
    for config in (read({name: "8"}), read({name: 8.0}), read(table={name: 8}), read(**{variable(name): "8"})):
        assert getattr(config, name) == 8.0
    for given_as, message in (({name: "soon"}, f"{flag(name)} must be a time"), ({name: "-1"}, f"{flag(name)} -1: it")):
        with pytest.raises(UsageError, match=re.escape(message)):
            read(given_as)


def test_settings_are_shown_as_they_are_written() -> None:
    _, settings = read_config({"hours": "0.5"}, {"think_limit": 90}, {"SWARM_BUDGET": "1.5"})
    shown = {setting.name: setting.text for setting in settings}
    assert (shown["hours"], shown["think_limit"], shown["budget"], shown["wait"]) == ("30m", "1m30s", "1.5s", "15m")
    assert (shown["option"], shown["max_usd"], shown["device"]) == ("–", "20.0", "auto")


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, (option, _) in SHORTHANDS.items()])
def test_an_option_with_a_setting_of_its_own_can_be_said_in_every_way(name: str, option: str) -> None:
    value = "8" if name == "think" else "x"
    for config in (read({name: value}), read(**{variable(name): value}), read(table={name: value})):
        assert config.option == {option: value}
    assert renamed({name: value, "hours": 8}) == {"hours": 8, "option": {option: value}}
    assert read({name: value}, SWARM_OPTION=f"{option}=7").option == {option: value}, "a flag goes before a variable"
    assert read({name: value, "option": [f"{option}=7"]}).option == {option: "7"}


def test_former_names_are_accepted() -> None:
    assert read({"command": "old", "researcher_command": "new"}).option == {"command": "new"}
    assert read({"command": "old"}, SWARM_RESEARCHER_COMMAND="new").option == {"command": "old"}
    assert renamed({"researcher_command": "new", "command": "old"}) == {"option": {"command": "new"}}
    assert renamed({"model": None, "think": None}) == {"option": {}}
    assert set(FORMER) < SHORTHANDS.keys() and not SHORTHANDS.keys() & FIELDS.keys()


def test_options_of_researchers_are_named_and_told_with_their_origin() -> None:
    flags = {"option": ["turns=20", "command=a=b {prompt}"], "think": "1m30s"}
    table = {"option": {"turns": 12, "retries": 2}, "model": "m"}
    config, settings = read_config(flags, table, {"SWARM_OPTION": "seconds=9\nretries=3"})
    assert config.option == {
        "model": "m", "turns": "20", "retries": "3", "seconds": "9", "think": "90", "command": "a=b {prompt}",
    }  # fmt: skip
    origins = {setting.name: setting.origin for setting in settings}
    assert origins["option.turns"] == "--option turns" and origins["option.model"] == "[tool.swarm] model"
    assert origins["option.retries"] == "SWARM_OPTION retries" and origins["option.think"] == "--think"


@pytest.mark.parametrize(
    ("flags", "table", "message"),
    [
        ({"option": ["turns"]}, {}, "--option 'turns': write an option as name=value, as in turns=20"),
        ({"option": ["=3"]}, {}, "--option '=3': write"),
        ({}, {"option": 3}, "[tool.swarm] option '': write"),
        ({}, {"option": {"turns": [1]}}, "[tool.swarm] option turns must be a text"),
        ({"think": "soon"}, {}, "--think must be a time such as 90s, 15m or 8h"),
        ({}, {"think": -1}, "[tool.swarm] think -1: it must not be below 0"),
    ],
)
def test_an_option_that_cannot_be_read_is_named(flags: dict[str, Any], table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        read(flags, table)


def test_gpus_may_be_a_number_in_toml() -> None:
    assert read(table={"gpus": 8}).gpus == "8"


def test_variables_of_the_swarms_own_processes_are_no_mistake() -> None:
    assert read(**dict.fromkeys(NO_SETTINGS, "x"), SWARMS="x", OTHER_SWARM_X="x") == Config()


def test_every_variable_that_the_code_names_is_a_setting_or_said_to_be_none() -> None:
    root = Path(__file__).parents[2]
    files = [*(root / "swarm").rglob("*.py"), *(root / "trainer").rglob("*.py"), root / "prepare.py"]
    named = {found for file in files for found in re.findall(r"[\"']\b(SWARM_[A-Z_]*[A-Z])\b", file.read_text())}
    assert NO_SETTINGS.keys() <= named <= {variable(name) for name in FIELDS} | NO_SETTINGS.keys()


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NAMES = st.sampled_from([*FIELDS, *SHORTHANDS])
NUMBERLIKE = st.from_regex(r"[-+]?[0-9]{0,400}[.e]?[0-9]{0,3}[smhdx]?[0-9]?[smh]?", fullmatch=True)


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)  # on a busy machine
@given(
    st.dictionaries(NAMES, st.text() | NUMBERLIKE, max_size=3),
    st.dictionaries(NAMES | st.text(), GARBAGE | NUMBERLIKE, max_size=3),
    st.dictionaries(NAMES.map(variable) | st.text().map("SWARM_{}".format), st.text() | NUMBERLIKE, max_size=3),
)
def test_garbage_is_refused_in_one_line(flags: dict[str, Any], table: dict[str, Any], environ: dict[str, str]) -> None:
    try:
        config, settings = read_config(flags, table, environ)
    except UsageError as error:
        assert str(error).strip() and "\n" not in str(error)
    else:
        assert config.check() is config and all(isinstance(setting.text, str) for setting in settings)
