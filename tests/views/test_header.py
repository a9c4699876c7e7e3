"""The header says less on a narrow terminal, and never half of something."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from swarm.cli.output import PIPED
from swarm.snapshot.records import EndRuns, Snapshot
from swarm.views.header import header
from swarm.views.leaderboard import OWNER, render
from tests.board.nights import Night
from tests.wording.test_standing import picture

WIDTHS = (60, 72, 80, 100, 160)
NO_CHAMPION = {"champion": None}
STATES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without a champion": NO_CHAMPION,
    "much spent": NO_CHAMPION | {"spent_usd": 1234.5, "spend_limit_usd": 20000.0},
    "closing": {"end_runs": EndRuns(0, 16, 5, begun=True)},
    "ablating": {"end_runs": EndRuns(0, 16, 16, begun=True, ablated=4, room=114)},
    "no limit": {"deadline": None, "limits": "until you stop it"},
    "many experiments": {"deadline": None, "max_experiments": 100000, "limits": "100000 experiments"},
    "draining": {"status": "draining"},
    "interrupted": {"status": "interrupted"},
    "the longest tag": {"tag": "a" * 31},
    "large numbers": {"baseline": 123456789.0, "best": 123456780.0, "direction": "higher"},
}


def words_of(lines: list[str]) -> set[str]:
    """The words of lines whose numbers are blotted out: what is read of a line must be whole words."""
    return set(re.sub(r"[\d.,:$−+±–▁-█]+", " 0 ", " ".join(lines)).split())


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("agents", [1, 8])
def test_no_line_is_cropped_and_none_is_too_long(make_swarm: Callable[..., Snapshot], agents: int, state: str) -> None:
    made = make_swarm(agents, now=6.2)
    titles = {e.id: replace(e, title="a title") for e in made.experiments}
    snapshot = replace(made, experiments=tuple(titles.values()), **STATES[state])
    whole = words_of([line.plain for line in header(snapshot, PIPED)])
    for width in WIDTHS:
        lines = [line.plain for line in header(snapshot, width)]
        assert max(map(cell_len, lines)) <= width
        assert not [line for line in lines if "…" in line], "whole words, or none"
        shorter = {"of", "step", "steps", "kept"}
        assert words_of(lines) <= whole | shorter


def test_the_steps_that_stand_are_told_in_whole_words(make_night: Callable[..., Night], draw: Any) -> None:
    _, snapshot = picture(make_night, "carry")
    assert "no champion yet: 2 steps on the trunk, 1 of them kept, none confirmed" in header(snapshot, 120)[3].plain
    narrow = header(snapshot, 80)[3].plain
    assert narrow.startswith(("1 of 2 steps kept, none confirmed", "2 steps on the trunk, 1 of them kept"))
    assert header(snapshot, 30)[3].plain.startswith("1 of 2 steps kept")


def test_a_long_title_gives_way_to_what_it_cost_and_to_nothing_else(make_swarm: Callable[..., Snapshot]) -> None:
    made = make_swarm(2, now=6.2)
    snapshot = replace(made, experiments=tuple(replace(e, title="long " * 40) for e in made.experiments))
    line = header(snapshot, 80)[3].plain
    assert line.startswith("champion gpu") and "…" in line and line.endswith(" GPU-h") and cell_len(line) <= 80


def test_what_is_left_stands_first_where_only_one_fits(make_swarm: Callable[..., Snapshot]) -> None:
    closing = replace(make_swarm(2, now=6.2), tag="a" * 31, end_runs=EndRuns(0, 16, 5, begun=True))
    assert re.search(r"● running.* +closing 5 of 16, about \d+ min$", header(closing, 80)[0].plain)
    assert re.search(r"● running +closing 5 of 16$", header(closing, 62)[0].plain)
    assert re.search(r"elapsed · closing 5 of 16, about \d+ min$", header(replace(closing, tag="apr5"), 80)[0].plain)


def test_the_last_lines_are_whole_too(make_swarm: Callable[..., Snapshot], draw: Any, make_experiment: Any) -> None:
    snapshot = make_swarm(2, now=3.0)
    marked = make_experiment(3, audited=False, sandboxed=False)
    for folder in ("/a/very/long/path" * 6 + "/.swarm/apr5", ".swarm/apr5"):
        shown = replace(snapshot, folder=folder, experiments=(marked,))
        *_, notes, last = draw(render(shown, 80, 24)).rstrip().split("\n")
        assert notes.endswith("lower val_bpb is better, ± is a 95% interval") and "* unaudited, ° no sandbox" in notes
        assert "…" not in last and last.endswith(OWNER)


@pytest.mark.parametrize(
    ("most", "told"), [(14, "1 of 14 experiments"), (1, "1 of 1 experiment "), (None, "1 experiment ")]
)
def test_the_noun_agrees_with_the_limit_that_stands_before_it(
    most: int | None, told: str, make_swarm: Callable[..., Snapshot]
) -> None:
    made = make_swarm(2, now=6.2)
    snapshot = replace(made, experiments=made.experiments[:1], max_experiments=most)
    assert any(line.plain.startswith(told) for line in header(snapshot, 80))
