"""Defaults < [tool.swarm] < SWARM_* < flags, each value with its origin; what makes no sense is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from swarm.errors import UsageError
from swarm.project.settings import Config, Setting, flag, read_config


def read(flags: dict[str, Any] | None = None, table: dict[str, Any] | None = None, **environ: str) -> Config:
    return read_config(flags or {}, table or {}, environ)[0]


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
    ("flags", "told"),
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
        ({"hours": float("nan")}, "--hours nan"),
        ({"hours": float("inf")}, "finite"),
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
def test_what_makes_no_sense_is_refused_in_one_line(flags: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as said:
        read(flags)
    assert told in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("table", "environ", "told"),
    [
        ({"agents": "two"}, {}, "agents = 'two': it must be int"),
        ({"agents": 2.5}, {}, "agents = 2.5: it must be int"),
        ({}, {"SWARM_HOURS": "eight"}, "SWARM_HOURS = 'eight': it must be float"),
        ({}, {"SWARM_RESUME": "perhaps"}, "SWARM_RESUME = 'perhaps': it must be bool"),
        ({"max_experiment": 5}, {}, "max_experiment, which is no setting"),
    ],
)
def test_what_cannot_be_read_is_named(table: dict[str, Any], environ: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as said:
        read(table=table, **environ)
    assert told in str(said.value)


def test_flags_are_called_as_people_type_them() -> None:
    assert (flag("max_experiments"), flag("from_tag"), flag("tag")) == ("--max-experiments", "--from", "--tag")
