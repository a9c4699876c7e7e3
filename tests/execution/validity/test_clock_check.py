"""Seconds before, within and after the clock, and which of them are too many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarm.execution.reading.progress import Heartbeat
from swarm.execution.slot import Overhead, limits_for
from swarm.execution.spec import Spec, Step, StepResult
from swarm.execution.validity.clock_check import Phases, over_time, phases_of, recorded
from swarm.records import Check, Failure

KNOWN = Overhead(start=1.8, end=0.2)
GPU = Overhead(start=12.0, end=2.0)
STEPS = (Heartbeat(step=60),)


def run(budget: float, device: str, known: Overhead | None, before: float, within: float, after: float, **more: Any):
    """A spec and what a trainer took by it, as the device counts."""
    limits = limits_for(budget, device, known)
    step = Step("trainer", ["x"], "/", {}, "/log", wall=limits.wall, cpu=limits.cpu)
    spec = Spec("t.1", 1, [step], "/", "/", budget=budget, start=limits.start, cold=limits.cold, free=limits.free)
    taken: dict[str, Any] = {"start": before, "start_cpu": before, "last": before + within, "last_cpu": before + within}
    total = before + within + after
    spec = replace(spec, slack=limits.slack, end=limits.end)
    return spec, StepResult("trainer", "x", 0.0, total, cpu_seconds=total, **taken | more)


@pytest.mark.parametrize("budget", [2.0, 6.0, 20.0, 300.0])
@pytest.mark.parametrize("load", [1.0, 1.4])
def test_an_honest_run_passes_also_where_others_share_its_machine(budget: float, load: float) -> None:
    assert over_time(*run(budget, "cpu", KNOWN, 1.8 * load, budget, 0.2 * load), STEPS) is None
    assert over_time(*run(budget, "cpu", KNOWN, 2 * 1.8, budget - 0.9, 0.3 * load), STEPS) is None, (
        "it paid for its start"
    )
    assert over_time(*run(budget, "mps", GPU, 12 * load, budget, 2 * load), STEPS) is None
    assert over_time(*run(budget, "cuda", GPU, 24, budget, 2 * load), STEPS) is None, "twice the start"
    assert over_time(*run(budget, "cuda", GPU, 200, budget, 2 * load, compiled=True), STEPS) is None, "a cold compile"


@pytest.mark.parametrize("budget", [2.0, 6.0, 20.0, 300.0])
@pytest.mark.parametrize(
    ("before", "within", "after"),
    [(1.0, 1.0, 0.0), (0.0, 2.0, 0.0), (0.0, 1.0, 1.0), (0.4, 1.0, 0.5), (0.7, 1.0, 0.7), (3.0, 0.0, 0.0)],
)
def test_time_outside_the_clock_is_found_wherever_it_is_spent(
    budget: float, before: float, within: float, after: float
) -> None:
    """In budgets, beside what the untouched code needs. Half a start is free: at two seconds that is much of it."""
    spec, trainer = run(budget, "cpu", KNOWN, 2.7 + before * budget, within * budget, 0.2 + after * budget)
    found = over_time(spec, trainer, STEPS)
    assert found and (found.failure, found.check) == (Failure.INVALID, Check.CLOCK)
    assert found.reason.startswith("clock: it trained for ") and f"budget of {budget:g}" in found.reason


def test_a_twelfth_of_a_real_budget_is_found_wherever_it_is() -> None:
    steps = (Heartbeat(step=1000),)
    for before, within, after in ((1.8 + 25, 300, 0.2), (1.8, 325, 0.2), (1.8, 300, 25)):
        assert over_time(*run(300, "cpu", KNOWN, before, within, after), steps)
    for before, within, after in ((12 + 25, 300, 2), (12, 325, 2), (12, 300, 25)):
        assert over_time(*run(300, "cuda", GPU, before, within, after), steps)


def test_a_start_is_as_long_as_it_may_be_only_where_something_was_compiled() -> None:
    for compiled in (True, False):
        found = over_time(*run(300, "cuda", GPU, 100, 300, 2, compiled=compiled), STEPS)
        assert (found is None) is compiled, found
    found = over_time(*run(300, "cuda", GPU, 260, 300, 2, compiled=True), STEPS)
    assert found and "260.0 seconds until its first heartbeat, where 240.0 are allowed" in found.reason


def test_a_long_step_that_began_in_time_is_no_cheat_and_gives_no_more_than_a_step() -> None:
    long, short = (Heartbeat(step=10),), (Heartbeat(step=1000),)
    assert over_time(*run(20, "cpu", KNOWN, 1.8, 22, 0.2), long) is None
    assert over_time(*run(20, "cpu", KNOWN, 1.8, 22, 0.2), short)
    assert over_time(*run(20, "cpu", KNOWN, 1.8, 26, 0.2), long)


@pytest.mark.parametrize("step", [1, None])
def test_the_steps_are_those_that_the_fixed_clock_counts(step: int | None) -> None:
    """Whoever says that it is at its first step all the time would get a tenth of its budget for it."""
    said = (Heartbeat(step=step, laps=500, seconds=10.0), Heartbeat(step=step, laps=1000, seconds=20.0))
    assert over_time(*run(20, "cpu", KNOWN, 1.8, 20.3, 0.2), said) is None
    assert over_time(*run(20, "cpu", KNOWN, 1.8, 22, 0.2), said)
    assert over_time(*run(20, "cpu", KNOWN, 1.8, 22, 0.2), (Heartbeat(step=5000, laps=10, seconds=21.9),)) is None


@pytest.mark.parametrize(("device", "most"), [("cpu", 1), ("mps", 2), ("cuda", 2)])
def test_once_the_budget_is_spent_there_is_one_step_more_to_be_told(device: str, most: int) -> None:
    """The step that spent it, and one in a queue."""
    spec, trainer = run(20, device, GPU, 12, 20, 2)

    def beats(*late: float) -> tuple[Heartbeat, ...]:
        return tuple(Heartbeat(step=1, laps=1, seconds=seconds) for seconds in (5.0, 19.9999, 20.0004, *late))

    late = (20.4, 20.8, 21.2)[: most + 1]
    assert over_time(spec, trainer, beats(*late[:most])) is None
    found = over_time(spec, trainer, beats(*late))
    assert found and (found.failure, found.check) == (Failure.INVALID, Check.CLOCK)
    assert found.reason == f"clock: {most + 1} heartbeats came after its budget of 20 was spent, of {most} that may"


@pytest.mark.parametrize("budget", [2.0, 6.0, 20.0])
def test_what_an_end_may_take_longer_is_not_there_to_train_in(budget: float) -> None:
    """Another model trained in a thread beside the counted one, or a clock that runs a little slow: both were free as
    long as a long end was, which is a third of a short budget."""
    known = Overhead(start=1.8, end=0.3)
    assert over_time(*run(budget, "cpu", known, 1.8, 1.02 * budget + 0.1, 0.3), STEPS) is None
    assert over_time(*run(budget, "cpu", known, 1.8, budget, 0.6), STEPS) is None, "an end may be twice as long"
    assert over_time(*run(budget, "cpu", known, 1.8, budget + 0.3, 0.0), STEPS) is None, "seen late"
    for within, after in ((1.1 * budget + 0.4, 0.3), (1.1 * budget + 0.7, 0.0)):
        assert over_time(*run(budget, "cpu", known, 1.8, within, after), (Heartbeat(step=1000),))


def test_a_run_without_heartbeats_has_all_its_time_before_them() -> None:
    spec, trainer = run(6, "cpu", KNOWN, 5.0, 0, 0, start=None, start_cpu=None, last=None, last_cpu=None)
    assert phases_of(spec, trainer) == Phases(5.0, 0.0, 0.0)
    found = over_time(spec, trainer, ())
    assert found and "it counted no step" in found.reason


def test_the_phases_are_kept_beside_the_metric() -> None:
    spec, trainer = run(6, "cpu", KNOWN, 1.8, 6.0, 0.2, counted_by="control group")
    kept = {"seconds_before": 1.8, "seconds_within": 6.0, "seconds_after": 0.2, "compiled": 0}
    assert recorded(spec, trainer) == kept | {"seconds_of": "CPU, control group"}
    assert recorded(replace(spec, budget=None), trainer) == {}, "what others count is not known"
