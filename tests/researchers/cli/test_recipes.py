"""docs/researchers.md is true: its commands parse, its recipes can be filled, its names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from swarm import cli
from swarm.researchers.cli.command import Command
from swarm.researchers.mix import assign
from swarm.researchers.registry import REGISTRY, create, profile_of

PAPER = (Path(__file__).parents[3] / "docs" / "researchers.md").read_text()
LINES = [line for block in re.findall(r"^```sh\n(.*?)^```", PAPER, re.MULTILINE | re.DOTALL) for line in block.splitlines()]  # fmt: skip # noqa: E501
OURS = [line for line in LINES if line.startswith("python -m swarm ")]
RECIPES = [line for line in OURS if "--researcher-command " in line]


@pytest.mark.parametrize("line", OURS)
def test_every_command_parses(line: str) -> None:
    options = vars(cli.parser().parse_args(shlex.split(line)[3:]))
    if "researcher" in options:
        agents = [f"gpu{number}" for number in range(int(options.get("agents", 1)))]
        assert set(assign(options["researcher"], agents).values()) <= set(REGISTRY)


def test_the_other_lines_are_known() -> None:
    assert set(LINES) - set(OURS) == {"npm install -g @anthropic-ai/claude-code"}
    assert len(RECIPES) == 3


@pytest.mark.parametrize("line", RECIPES)
def test_a_recipe_tells_where_the_prompt_goes_and_nothing_else(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = cli.parser().parse_args(shlex.split(line)[3:])
    program = shlex.split(options.researcher_command)[0]
    (tmp_path / program).write_text("#!/bin/sh\n")
    (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    given = {"command": options.researcher_command, "environment": options.researcher_command_env}
    researcher = create("command", "gpu0", 0, given)
    assert isinstance(researcher, Command)
    assert set(re.findall(r"\{(\w*)\}", options.researcher_command)) <= {"prompt", "prompt_file", "folder"}
    words = researcher.words()
    assert words[0] == program and not [word for word in words if "{" in word]
    assert [word for word in words if "PROMPT.md" in word]
    assert researcher.allowed == (options.researcher_command_env,)


def test_all_that_ship_are_named() -> None:
    named = set(re.findall(r"^\| `([\w-]+)` \|", PAPER.split("\n## ")[0], re.MULTILINE))
    assert named == set(REGISTRY)


def test_every_option_is_listed_with_its_default_and_its_help() -> None:
    listed = {
        (cells[0].strip(" `"), name.strip(" `")): (cells[2].strip(), cells[3].strip())
        for row in re.findall(r"^\|( `\w+` \|.*)\|$", PAPER, re.MULTILINE)
        if len(cells := row.split(" | ")) == 4
        for name in cells[1].split(",")
    }
    declared = {
        (option.name, name): (f"{option.default or 'none'}", option.help)
        for name in REGISTRY
        for option in profile_of(name).options or ()
    }
    assert listed == declared
