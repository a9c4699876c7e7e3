"""program.md as one agent reads it: sections for some are read by those alone, whenever they are written."""

from __future__ import annotations

import json

import pytest

from swarm.board import program
from swarm.board.board import Board
from swarm.records import CATEGORIES
from tests.board.nights import Night

TEXT = """# The program

All read this.

## For gpu0: architecture

Only layers.

### How

Boldly.

## For gpu1, gpu3 and claude-code

Numbers.

## Ideas

For gpu0 and all others.
"""


@pytest.mark.parametrize(
    ("agent", "researcher", "own", "category"),
    [
        ("gpu0", "sweep", {"Only layers", "Boldly"}, "architecture"),
        ("gpu1", "sweep", {"Numbers"}, None),
        ("gpu7", "claude-code", {"Numbers"}, None),
        ("gpu0", "claude-code", {"Only layers", "Boldly", "Numbers"}, "architecture"),
        ("gpu10", "claude", set(), None),
    ],
)
def test_a_section_is_for_whom_it_names(agent: str, researcher: str, own: set[str], category: str | None) -> None:
    text, assigned = program.read(TEXT, agent, researcher, CATEGORIES)
    assert {word for word in ("Only layers", "Boldly", "Numbers") if word in text} == own
    assert "All read this." in text and "For gpu0 and all others." in text
    assert assigned == category


def test_a_program_without_roles_is_read_whole() -> None:
    text = "Intro\n\n## Format\n\n## For\n\n### For gpu1\n\nlast line"
    assert program.read(text, "gpu0", "sweep", CATEGORIES) == (text, None)
    assert program.roles(text) == ()


def test_a_subject_that_is_no_category_is_only_a_title() -> None:
    assert program.read("## For gpu0: Fun\n", "gpu0", "sweep", CATEGORIES) == ("## For gpu0: Fun\n", None)


def test_a_briefing_follows_the_program_while_the_night_goes_on(night: Night) -> None:
    texts = iter(["# All\n", "# All\n## For gpu0: schedule\nx\n## For scripted\ny\n## For sweep\nz\n"])
    board = Board(night.ledger, "apr5", lambda: next(texts))
    first, second = board.briefing("gpu0"), board.briefing("gpu0")
    assert (first.program, first.category) == ("# All\n", "optimizer")
    assert (second.program, second.category) == ("# All\n## For gpu0: schedule\nx\n## For scripted\ny\n", "schedule")


def test_in_a_mix_a_role_by_researcher_reaches_the_agents_it_thinks_for(night: Night) -> None:
    night.ledger.execute("UPDATE swarms SET settings = ?", json.dumps({"researchers": {"gpu1": "sweep"}}))
    board = Board(night.ledger, "apr5", lambda: "## For sweep\nknobs\n")
    assert [board.briefing(agent).program for agent in ("gpu0", "gpu1")] == ["", "## For sweep\nknobs\n"]
