"""How much a training used before, while and after its clock ran, measured from outside; and whether that is too much.

Whatever a training says of its time, its seconds are counted by the guard: until the first heartbeat, until the last
one, and until the end. A start is free as far as the untouched code needs one, and half more; on a CPU what it takes
longer is training, which the fixed harness takes off the budget. So nothing is gained by learning before the clock, and
an idea that needs a longer start pays for it, and is not refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarm.execution.reading.progress import Heartbeat, read_heartbeats
from swarm.execution.reading.summary import Value
from swarm.execution.spec import HEARTBEAT, Spec, StepResult
from swarm.execution.validity.counter_check import Counted, are_counted, find_miscount
from swarm.execution.validity.diagnosis import Failed
from swarm.records import Check, Failure

OVER = 1.02  # times its budget that a training may take by the clock outside, beside its last step and its end
PAID = 3.0  # times what is free of a start that it may take where the rest is taken off the budget
CHANCE = 0.2  # CPU-seconds by which what is counted may be off
LONG_STEP = 0.1  # share of the budget up to which a last step, begun in time, may take longer
ROUNDED = 0.001  # seconds by which a heartbeat may be off


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds until the first heartbeat, from there to the last one, and after it, as the budget is counted: of the CPU
    by the whole process tree, or else by the clock on the wall. Without a heartbeat all are before."""

    before: float
    within: float
    after: float

    @property
    def training(self) -> float:
        """All since the first heartbeat."""
        return self.within + self.after


def phases_of(spec: Spec, trainer: StepResult) -> Phases:
    """The phases of a run's training."""
    if spec.steps[0].cpu is None:
        total, first, last = trainer.seconds, trainer.start, trainer.last
    else:
        total, first, last = trainer.cpu_seconds, trainer.start_cpu, trainer.last_cpu
    if first is None or last is None:
        return Phases(total, 0.0, 0.0)
    return Phases(first, last - first, max(0.0, total - last))


def recorded(spec: Spec, trainer: StepResult) -> dict[str, Value]:
    """The phases of a run with a budget, as its record keeps them beside its metric; and what they were counted by."""
    if spec.budget is None:
        return {}
    phases = phases_of(spec, trainer)
    by = "wall clock" if spec.steps[0].cpu is None else f"CPU, {trainer.counted_by}"
    seconds = {"before": phases.before, "within": phases.within, "after": phases.after}
    found: dict[str, Value] = {f"seconds_{name}": round(value, 2) for name, value in seconds.items()}
    return found | {"seconds_of": by, "compiled": int(trainer.compiled)}


def over_time(spec: Spec, trainer: StepResult, heartbeats: Sequence[Heartbeat]) -> Failed | None:
    """A training that took more time than its budget by the clock outside, or too long before it was counted."""
    if spec.budget is None:
        return None
    phases = phases_of(spec, trainer)
    unit = "seconds" if spec.steps[0].cpu is None else "CPU-seconds"
    charged = 0.0 if spec.free is None else max(0.0, phases.before - spec.free)
    trained = charged + phases.training
    most = OVER * spec.budget + _last_step(spec.budget, phases, heartbeats)
    if trained > most + spec.slack or _runs_slow(spec, charged, phases, most):
        how = f"{phases.within:.1f} while it counted and {phases.after:.1f} after that"
        if charged:
            how = f"{phases.before:.1f} before its clock, of which {spec.free:.1f} are a start, {how}"
        return _by_clock(f"it trained for {trained:.1f} {unit} with a budget of {spec.budget:g}: {how}")
    counted = [beat for beat in heartbeats if beat.laps is not None]  # by the fixed clock: what others count is theirs
    after = sum((beat.seconds or 0.0) > spec.budget + ROUNDED for beat in counted)
    last = 2 if spec.steps[0].cpu is None else 1  # of the step that spent it, and of one from a GPU's queue
    if after > last:
        return _by_clock(f"{after} heartbeats came after its budget of {spec.budget:g} was spent, of {last} that may")
    allowed = _allowed_start(spec, trainer)
    if phases.before > allowed:
        return _by_clock(f"{phases.before:.1f} {unit} until its first heartbeat, where {allowed:.1f} are allowed")
    if spec.free is not None and trainer.start is None:
        return _by_clock(f"{phases.before:.1f} {unit} without a heartbeat: it counted no step")
    return None


def _runs_slow(spec: Spec, charged: float, phases: Phases, most: float) -> bool:
    """Whether more was trained while it counted than that counts. The time that an edit may take longer to end is for
    its end alone: of a budget of two seconds it would be a third. A last heartbeat that was seen late makes the end
    shorter by as much as the training gets longer."""
    if spec.end is None:
        return False
    return charged + phases.within + min(phases.after, spec.end) > most + spec.end + CHANCE


def _allowed_start(spec: Spec, trainer: StepResult) -> float:
    if spec.free is not None:
        return PAID * spec.free
    return spec.cold if trainer.compiled and spec.cold is not None else spec.start


def _last_step(budget: float, phases: Phases, heartbeats: Sequence[Heartbeat]) -> float:
    """How long its last step may take that began in time: as its steps do, by the fixed harness's count of them where
    that counts, else by its own word; and within bounds."""
    steps = max((beat.step or 0 if beat.laps is None else beat.laps for beat in heartbeats), default=0)
    return min(LONG_STEP * budget, phases.within / steps if steps > 1 else LONG_STEP * budget)


def kept_heartbeats(spec: Spec) -> tuple[Heartbeat, ...]:
    """The heartbeats of a run's training, as its guard kept them while they came; of a run from before guards did, as
    they stand in its folder."""
    kept = spec.steps[0].beats
    return read_heartbeats(Path(kept) if kept else Path(spec.run_folder, HEARTBEAT))


def miscounted(
    spec: Spec, trainer: StepResult, heartbeats: Sequence[Heartbeat], printed: Mapping[str, Value]
) -> Failed | None:
    """A training whose counts contradict each other, or are kept from being looked at; what a foreign program counts is
    not known."""
    if spec.budget is None:
        return None
    if spec.counted and not are_counted(heartbeats):
        return Failed(Failure.INVALID, "its heartbeats are not those of the fixed harness, which counts its steps")
    if trainer.rewritten and are_counted(heartbeats):
        return Failed(Failure.INVALID, "its heartbeats were rewritten, by which its steps and tokens are counted")
    miscount = find_miscount(heartbeats, printed)
    if miscount is None:
        return None
    return Failed(Failure.INVALID, str(miscount), Check.CLOCK if miscount.counted is Counted.CLOCK else None)


def _by_clock(what: str) -> Failed:
    return Failed(Failure.INVALID, f"clock: {what}", Check.CLOCK)
