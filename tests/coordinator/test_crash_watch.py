"""A row of crashes is told once, and told again where something else came between."""

from __future__ import annotations

from collections.abc import Callable

from swarm.coordinator.crash_watch import LEAST, CrashWatch
from swarm.records import Failure
from tests.board.nights import Night


def test_a_row_of_crashes_is_told_once(make_night: Callable[..., Night]) -> None:
    night, told = make_night(agents=1), list[str]()
    night.baselines()
    watch = CrashWatch(night.ledger, night.tag, 1, told.append)

    def crash(knobs: range) -> None:
        for knob in knobs:
            night.draft("gpu0", 0, knob + 10)
            night.run("gpu0", Failure.NAN)
            watch.look()

    crash(range(LEAST - 1))
    assert not told
    crash(range(LEAST, LEAST + 3))
    [words] = told
    assert words.startswith(f"the last {LEAST} experiments all crashed ({LEAST} nan): ")
    night.draft("gpu0", 1, 20)
    night.run("gpu0", 1.2)  # a discard
    watch.look()
    crash(range(21, 21 + LEAST))
    assert len(told) == 2
