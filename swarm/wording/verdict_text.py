"""The verdict on an experiment in plain words, and the experiments and failures of a swarm by kind of verdict."""

from __future__ import annotations

from collections import Counter

from swarm.board.repeats import Standing, standing
from swarm.records import Failure, Outcome, Purpose, Rung
from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.wording.formatting import is_exact, plural

FAILURES = {
    "oom": "ran out of memory",
    "nan": "ended in a NaN loss",
    "diverged": "diverged",
    "timeout": "ran past the hard end of its time",
    "stall": "stalled",
    "code": "raised an error",
    "checks": "failed the project's checks",
    "invalid": "gave a number that is not valid",
    "infrastructure": "was lost to a failure of the machine",
    "interrupted": "was interrupted",
    "contention": "was slowed down by something else on its machine",
}


def judged(snapshot: Snapshot) -> list[ExperimentView]:
    """The experiments with a verdict in the order of their verdicts, without the baseline."""
    done = (e for e in snapshot.experiments if e.status is not None and not e.baseline)
    return sorted(done, key=lambda e: e.judged or e.created)


def tried(snapshot: Snapshot) -> list[ExperimentView]:
    """Those of them that were ideas, which is what is counted: a step that brings earlier code back is none."""
    return [view for view in judged(snapshot) if view.restores is None]


def failures(snapshot: Snapshot) -> Counter[str]:
    """How many runs gave no number, by kind; without fillers that gave way to an idea, as they should."""
    return Counter(
        run.failure
        for run in snapshot.runs
        if run.failure
        and run.purpose is not Purpose.CHECK
        and (run.purpose, run.failure) != (Purpose.FILLER, Failure.INTERRUPTED)
    )


def is_near_miss(experiment: ExperimentView) -> bool:
    """Ran out of runs before it could be distinguished from its parent: more runs may decide it."""
    return _standing(experiment, None) is Standing.NEAR_MISS


def broke_guard(experiment: ExperimentView) -> bool:
    """Whether a guard or a check outweighed its number."""
    return _standing(experiment, None) is Standing.BROKE_GUARD


def is_held(experiment: ExperimentView) -> bool:
    """Whether its gain is so large that it waits for a person; what was built on code that was caught waits no more."""
    return not experiment.quarantine and _standing(experiment, None) is Standing.HELD


def is_large(experiment: ExperimentView) -> bool:
    """Whether it stands on the trunk with a gain so large that a person should look at it: no referee measured it."""
    return experiment.outcome is Outcome.LARGE and experiment.rung in (Rung.KEPT, Rung.CONFIRMED, Rung.CHAMPION)


def is_refuted(experiment: ExperimentView, sigma: float | None) -> bool:
    """Even the upper 95% bound of its gain is under half a sigma. A losing run alone refutes nothing."""
    return _standing(experiment, sigma) is Standing.REFUTED


def _standing(experiment: ExperimentView, sigma: float | None) -> Standing | None:
    return standing(experiment.status, experiment.outcome, experiment.high, sigma)


def outcome_word(experiment: ExperimentView, sigma: float | None) -> str:
    """What became of a judged experiment in a word or two: kept, carried, undone, refuted, unproven, near miss, ..."""
    if experiment.status == "keep":
        return str(experiment.rung) if experiment.rung in (Rung.CARRIED, Rung.UNDONE) else "kept"
    if experiment.status != "discard":
        return "crashed"
    if broke_guard(experiment):
        return "broke a guard"
    if is_near_miss(experiment) or is_held(experiment):
        return "held" if is_held(experiment) else "near miss"
    return "refuted" if is_refuted(experiment, sigma) else "unproven"


def verdict_text(experiment: ExperimentView, sigma: float | None) -> str:
    """One or two sentences for a person who never saw the judge's rules."""
    if experiment.baseline:
        return f"The baseline, the untouched code that all gains are counted from; {plural(experiment.n, 'run')}."
    if experiment.status is None:
        return f"No verdict yet: the experiment is {experiment.state}, with {plural(experiment.n, 'run')} so far."
    if experiment.outcome is Outcome.REJECTED and experiment.status != "keep":
        return "Rejected: it was held for a person, who turned it down. Nothing was built on it."
    if experiment.outcome is Outcome.REJECTED:
        return "Rejected: it was kept, and a person took it back, with all that was built on it."
    if experiment.rung == "invalid":
        return "Invalid: it was kept, and a later run was caught cheating. The trunk went back to before it."
    if experiment.rung == "tainted":
        return "Tainted: it was measured beside code that was taken back later, so nothing is known of the idea."
    if experiment.status == "crash":
        return f"Crash: it {FAILURES.get(experiment.failure or '', 'gave no number')}."
    if experiment.status == "keep" and experiment.real is not None and experiment.restores is None:
        return _weighed(experiment)
    if experiment.status == "keep":
        kept = f"Kept after {plural(experiment.n, 'run')}, step {experiment.position} of the trunk."
        return f"{kept} {_evidence(experiment)}"
    if _standing(experiment, sigma) is Standing.NOOP:
        return "Without effect: it trained exactly as its parent did, so the idea itself was not tested."
    if broke_guard(experiment):
        better = (experiment.gain or 0.0) > 0
        reason = experiment.reason[:1].upper() + experiment.reason[1:].rstrip(".")
        kept = "Its number is better, but it is not kept." if better else "It is not kept."
        return f"{reason}. {kept}"
    if is_held(experiment):
        return f"{experiment.reason[:1].upper()}{experiment.reason[1:].rstrip('.')}."
    if is_near_miss(experiment):
        runs = plural(experiment.n, "run")
        return f"Near miss: {runs} could not distinguish it from its parent. It may be worth another look."
    if is_exact(experiment.low, experiment.high):
        return "Refuted by one run: equal code gives equal numbers here, and this one's is no better."
    if is_refuted(experiment, sigma):
        return f"Refuted by {plural(experiment.n, 'run')}: a gain of even half a sigma is unlikely."
    return f"Discarded, unproven: {plural(experiment.n, 'run')} showed no gain, which does not rule out a small one."


def _weighed(experiment: ExperimentView) -> str:
    """Of a step whose chance all runs tell."""
    if experiment.rung == "undone":
        runs = plural(experiment.n, "run")
        return f"Carried after {runs}, step {experiment.position} of the trunk, and undone: later runs made it a loss."
    word = "Carried" if experiment.rung == "carried" else experiment.rung.capitalize()
    real = f"all runs until now make it a real gain with p={experiment.real:.2f}"
    less = ", so it is not claimed to be one" if experiment.rung == "carried" else ""
    fresh = {"champion": ", the best of those confirmed on fresh seeds", "confirmed": " on fresh seeds"}
    return f"{word}{fresh.get(experiment.rung, '')}: step {experiment.position} of the trunk; {real}{less}."


def _evidence(experiment: ExperimentView) -> str:
    if experiment.rung == "champion":
        return "Champion: the best of those confirmed on fresh seeds."
    if experiment.rung == "undone":
        return "Later runs showed it to be a loss: the trunk went back to an earlier step."
    if experiment.rung == "confirmed":
        return "Confirmed on fresh seeds."
    if is_exact(experiment.low, experiment.high):
        return "Equal code gives equal numbers here, so that one run decides."
    if experiment.n < 2:
        return "It was not replicated: one run can be luck."
    return "Replicated, but not confirmed on fresh seeds."
