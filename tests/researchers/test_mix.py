"""Mixes: every agent gets one researcher, or the mix is refused."""

from __future__ import annotations

import pytest

from swarm.errors import UsageError
from swarm.researchers.mix import assign

AGENTS = [f"gpu{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("mix", "seats"),
    [
        ("sweep", ["sweep"] * 4),
        ("claude:1,sweep:3", ["claude", "sweep", "sweep", "sweep"]),
        ("claude:3,sweep", ["claude", "claude", "claude", "sweep"]),
        ("claude,sweep:3", ["claude", "sweep", "sweep", "sweep"]),
        ("sweep:1,claude,sweep:1", ["sweep", "claude", "claude", "sweep"]),
        (" claude:2 , sweep:2 ", ["claude", "claude", "sweep", "sweep"]),
        ("mine:Louder:2,sweep", ["mine:Louder", "mine:Louder", "sweep", "sweep"]),
        ("mine:Louder", ["mine:Louder"] * 4),
        ("claude:4,sweep", ["claude"] * 4),
    ],
)
def test_every_agent_gets_one(mix: str, seats: list[str]) -> None:
    assert assign(mix, AGENTS) == dict(zip(AGENTS, seats, strict=True))


@pytest.mark.parametrize(
    ("mix", "words"),
    [
        ("claude:4,sweep:4", "for 8 agents, and there are 4"),
        ("claude:1", "for 1 agent, and there are 4"),
        ("claude:1,sweep:1", "for 2 agents, and there are 4"),
        ("claude:5,sweep", "for 5 agents, and there are 4"),
        ("claude,sweep", "claude and sweep stand without a number.*claude:1,sweep"),
        ("claude:0,sweep", "'claude:0' is none"),
        ("claude:2,", "'' is none"),
        ("", "'' is none"),
        ("claude sweep", "NAME:COUNT"),
    ],
)
def test_a_mix_that_does_not_fit_is_told(mix: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        assign(mix, AGENTS)
