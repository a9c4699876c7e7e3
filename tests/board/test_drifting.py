"""A metric that moved by itself is told at a swarm's end, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarm.records import Measure, Stop
from tests.board.nights import Night


@pytest.mark.parametrize(("direction", "late", "words"), [
    ("lower", 0.996, "measures better at the end"),
    ("lower", 1.004, "measures worse at the end"),
    ("higher", 1.004, "measures better at the end"),
    ("lower", 1.0002, ""),
])  # fmt: skip
def test_the_untouched_code_at_the_end_against_its_first_runs(
    make_night: Callable[..., Night], direction: str, late: float, words: str
) -> None:
    night = make_night(policy="carry", direction=direction)
    night.baselines()
    night.draft("gpu0", 0)
    night.run("gpu0", 0.9965 if direction == "lower" else 1.0035)
    night.swarm(max_experiments=1)
    while not isinstance(work := night.next("gpu0"), Stop):
        assert isinstance(work, Measure) and work.purpose in ("refresh", "closing")
        night.record("gpu0", work, late)
    told = [row["text"] for row in night.ledger.rows("SELECT text FROM events WHERE kind = 'warning'")]
    assert len(told) == bool(words)
    assert all(words in text and "val_bpb drifts" in text for text in told)


@pytest.mark.parametrize(("late", "words"), [(0.994, "worse"), (0.986, "better"), (0.9901, "")])
def test_the_champion_at_the_end_against_its_confirmation(
    make_night: Callable[..., Night], late: float, words: str
) -> None:
    """It was confirmed at 0.990, and the untouched code stays where it was."""
    night = make_night(policy="race")
    night.baselines()
    night.keep("gpu0", 0, 0.990)
    night.swarm(measured=200)  # enough for a confirmation
    night.draft("gpu1", 1)
    night.run("gpu1", 1.5)
    night.swarm(max_experiments=2)
    purposes = set()
    while not isinstance(work := night.next("gpu0"), Stop):
        assert isinstance(work, Measure)
        purposes.add(work.purpose)
        own = late if work.purpose == "closing" else 0.990
        night.record("gpu0", work, 1.0 if work.source == night.base.sha else own)
    told = [row["text"] for row in night.ledger.rows("SELECT text FROM events WHERE kind = 'warning'")]
    assert purposes == {"confirm", "closing"} and len(told) == bool(words)
    assert all(f"the champion measures {words} at the end than when it was confirmed" in text for text in told)
