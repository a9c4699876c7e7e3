"""Runs that blame the machine while nobody else does: made once more, and then their own code's failure."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarm.records import Failure, Measure, Outcome, Run, Stop
from tests.board.nights import Night, finished


def blame(night: Night, agent: str, work: Measure, failure: Failure = Failure.INFRASTRUCTURE):
    """Records that the run ended so that only its own word blames the machine."""
    night.clock.tick(10.0)
    run: Run = replace(finished(work, failure, night.clock.now), own_word=True)
    return night.call("record", agent, night.fences[agent], run)


@pytest.mark.parametrize("failure", [Failure.INFRASTRUCTURE, Failure.STALL])
def test_the_second_such_end_of_a_code_is_its_own(night: Night, failure: Failure) -> None:
    experiment = night.draft("gpu0", 0)
    first = night.measure("gpu0")
    assert blame(night, "gpu0", first, failure) is None, "once it may have been the machine"
    again = night.measure("gpu0")
    assert (again.run, again.attempt, again.source) == (first.run, 2, first.source)
    verdict = blame(night, "gpu0", again, failure)
    assert verdict and verdict.outcome is Outcome.UNDECIDED, "a crash of the code, which may be mended once"
    row = night.row(experiment)
    assert row["failure"] == "code" and "nobody but itself blames the machine" in row["reason"]
    assert [run["state"] for run in night.runs("purpose = 'first'")] == ["lost", "crashed"]


def test_whatever_it_says_the_second_time(night: Night) -> None:
    night.draft("gpu0", 0)
    assert blame(night, "gpu0", night.measure("gpu0"), Failure.STALL) is None
    assert blame(night, "gpu0", night.measure("gpu0"), Failure.INFRASTRUCTURE)


def test_what_a_witness_says_is_rerun_as_ever(night: Night) -> None:
    night.draft("gpu0", 0)
    assert blame(night, "gpu0", night.measure("gpu0")) is None
    assert night.run("gpu0", Failure.INFRASTRUCTURE) is None
    assert night.run("gpu0", Failure.INFRASTRUCTURE) is None, "three faults, and not one of the code's"
    assert not night.runs("failure = 'code'")


def test_a_gpu_on_which_one_code_after_the_other_ends_so_is_in_doubt(night: Night) -> None:
    for knob in (0, 1):
        night.draft("gpu0", knob)
        blame(night, "gpu0", night.measure("gpu0"))
        assert blame(night, "gpu0", night.measure("gpu0")), "others ran well here"
        night.call("mend", "gpu0", night.fences["gpu0"], f"apr5-gpu0-000{knob + 1}", None)
    night.draft("gpu0", 2)
    for _ in range(3):
        assert blame(night, "gpu0", night.measure("gpu0")) is None, "it may well be the GPU"
    assert night.state("apr5-gpu0-0003") == "abandoned"
    night.draft("gpu0", 3)
    night.run("gpu0", 1.5)
    night.draft("gpu0", 4)
    assert blame(night, "gpu0", night.measure("gpu0")) is None
    assert blame(night, "gpu0", night.measure("gpu0")), "another ran well there since"


def test_where_nothing_ran_well_yet_the_machine_is_to_blame(make_night) -> None:
    night = make_night(agents=1)
    night.join()
    for _ in range(2):
        assert blame(night, "gpu0", night.measure("gpu0")) is None
    blame(night, "gpu0", night.measure("gpu0"))
    stop = night.next("gpu0")
    assert isinstance(stop, Stop) and "lost 3 times" in stop.reason


def test_runs_that_judge_nothing_say_so_too(night: Night) -> None:
    """An agent rests its GPU after faults in a row: it has to hear that these are none."""
    night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1)
    work = night.measure("gpu0")
    assert work.purpose == "closing" and blame(night, "gpu0", work) is None
    again = night.measure("gpu0")
    while again.source != work.source:
        night.record("gpu0", again, 1.0)
        again = night.measure("gpu0")
    verdict = blame(night, "gpu0", again)
    assert verdict and verdict.status is None and verdict.outcome is Outcome.CRASHED
