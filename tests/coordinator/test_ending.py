"""How a swarm ended is decided by codes, whatever the reasons say."""

from __future__ import annotations

import pytest

from swarm.coordinator.ending import Ended, Ending, end_of, status_of

DONE, DRAINED = Ended(Ending.DONE, "8 experiments done"), Ended(Ending.DONE, "drained")
GIVEN_UP = [Ended(Ending.GAVE_UP, f"gave up on gpu{index}: no module named mine") for index in range(3)]


@pytest.mark.parametrize(
    ("agents", "noted", "found", "expected"),
    [
        ([DRAINED, DONE, DONE], "", Ending.DONE, DONE),
        ([*GIVEN_UP, DONE], "", Ending.DONE, DONE),
        (GIVEN_UP, "", Ending.DONE, GIVEN_UP[0]),
        (GIVEN_UP, "whatever it says", Ending.EXHAUSTED, Ended(Ending.EXHAUSTED, "whatever it says")),
        ([DONE], "whatever it says", Ending.HOPELESS, Ended(Ending.HOPELESS, "whatever it says")),
        ([Ended(Ending.DONE, "gave up smoking")], "", Ending.DONE, Ended(Ending.DONE, "gave up smoking")),
    ],
)
def test_the_end_of_a_swarm_follows_from_its_agents_and_the_board(
    agents: list[Ended], noted: str, found: Ending, expected: Ended
) -> None:
    assert end_of(agents, noted, found) == expected


@pytest.mark.parametrize("word", ["", "drain", "now"])
def test_only_what_should_not_have_ended_failed(word: str) -> None:
    assert status_of(word, Ending.DONE) == status_of(word, Ending.EXHAUSTED) == ("finished" if not word else "stopped")
    assert status_of(word, Ending.GAVE_UP) == status_of(word, Ending.HOPELESS) == "failed"
