"""Repositories that know nothing of the swarm: what is found in them, and three experiments on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.project.project import Project
from tests.wild.repositories import NAMES, copied, wrong_about, wrong_results

SOON = ("game-bot", "monorepo", "node-parser", "results-file")  # those whose swarms run in every test
ALONE = "results-file"  # the one on a Ray of its own, on the CPU


@pytest.mark.parametrize("name", NAMES)
def test_it_is_found_or_asked_and_never_guessed_wrong(name: str, tmp_path: Path) -> None:
    wild = copied(name, tmp_path)
    found = wild.found()
    if isinstance(found, str):
        assert wild.settings and wild.settings.partition(" ")[0] in found and "\n" not in found
        wild.settle()
        found = wild.found()
    assert isinstance(found, Project), found
    assert not wrong_about(wild, found)


@pytest.mark.long
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SOON else pytest.mark.slow) for name in NAMES])
def test_three_experiments_keep_the_better_one_with_the_right_number(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ray = "" if name == ALONE else request.getfixturevalue("ray_address")
    wild = copied(name, tmp_path)
    if wild.missing:
        pytest.skip(f"{wild.missing} is not installed")
    if wild.settings:
        asked = wild.launch(tmp_path, ray)
        assert asked.returncode == 2 and wild.settings in asked.stderr, asked.stdout + asked.stderr
        assert not (wild.root / ".swarm" / "ledger.sqlite").exists()
        wild.settle()
    done = wild.launch(tmp_path, ray)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not wrong_results(wild), done.stdout + done.stderr
