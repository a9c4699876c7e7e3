"""The verb `verify`: the experiment of a capsule beside the untouched code, on this machine, with nothing recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import Any

from swarm.agent.edit_check import fault
from swarm.coordinator.pair_runs import paired, run_pairs
from swarm.errors import SwarmError, UsageError
from swarm.history.repository import History
from swarm.judge.comparison import Comparison, compare
from swarm.launch.capsule import MOST, SEEDS, Capsule, opened, read_capsule
from swarm.launch.plan import Plan, make_plan
from swarm.ledger.home import ledger_path, make_home
from swarm.project.settings import Config
from swarm.records import Edit, Run

Say = Callable[[str], None]
CANDIDATE, BASELINE = "capsule", "baseline"


class Claim(StrEnum):
    """What became of a capsule's claim here."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Verified:
    """A capsule beside its runs here: `differs` names the parts of the comparability key that are others. Where
    there are some, or the untouched code itself measures otherwise (`shifted`), means cannot be compared, and the gain
    alone tells."""

    capsule: Capsule
    key: Mapping[str, Any]
    differs: tuple[str, ...]
    mean: float
    baseline: float
    shifted: bool
    comparison: Comparison  # lower is better in it
    claim: Claim


def verify_capsule(root: Path, place: Path, places: Config, seeds: int | None, say: Say) -> Verified:
    """Runs it. UsageError, and nothing done, where this is not the project that it is of, or not at its commit."""
    with opened(place) as folder:
        capsule, files = read_capsule(folder)
    count = capsule.seeds if seeds is None else seeds
    if not 2 <= count <= MOST:
        raise UsageError(f"--seeds {count}: give 2 to {MOST}")
    history = History(root)
    if history.head() != capsule.base_commit:
        raise UsageError(
            f"the capsule is of commit {capsule.base_commit[:12]!r}, and this is {history.head()[:12]}:"
            f" `git checkout {capsule.base_commit[:12]}` first, in a clone that has it"
        )
    plan = make_plan(root, _config(capsule, places), thinks=False)
    parent = plan.code.source
    if wrong := fault(Edit(files), parent, plan.project):
        raise UsageError(f"the capsule's change cannot be run here: it {wrong}")
    values: dict[tuple[str, int], float] = {}

    def hear(agent: str, name: str, seed: int, run: Run) -> None:
        if run.metrics:
            values[name, seed] = run.metrics.value
        told = f"{capsule.metric} {run.metrics.value:.6f}" if run.metrics else f"{run.failure}: {run.reason}"
        say(f"{agent} {name} seed {seed - SEEDS + 1}: {told}")

    make_home(ledger_path(plan.root).parent)
    sources = {CANDIDATE: parent.edited(Edit(files)), BASELINE: parent}
    pairs = paired((CANDIDATE, BASELINE), range(SEEDS, SEEDS + count))
    run_pairs(plan, plan.root / ".swarm" / "verify", sources, pairs, hear)
    return conclude(capsule, plan, values)


def _config(capsule: Capsule, places: Config) -> Config:
    device = "auto" if not str(capsule.key.get("device", "")).startswith("sim") else "sim"
    return Config(
        device=device, gpus=places.gpus, agents=places.agents, sandbox=places.sandbox, budget=capsule.budget
    ).check()


def conclude(capsule: Capsule, plan: Plan, values: Mapping[tuple[str, int], float]) -> Verified:
    """What the runs say. SwarmError where too few gave a number."""
    seeds = sorted(seed for name, seed in values if name == CANDIDATE and (BASELINE, seed) in values)
    if len(seeds) < 2:
        raise SwarmError("too few runs gave a number to compare: their logs are in .swarm/verify")
    sign = 1 if capsule.direction == "lower" else -1
    ours, theirs = ([sign * values[name, seed] for seed in seeds] for name in (CANDIDATE, BASELINE))
    key = json.loads(plan.key)
    differs = tuple(sorted(name for name in {*key, *capsule.key} if key.get(name) != capsule.key.get(name)))
    comparison = compare(ours, theirs)
    mean, baseline = sign * fmean(ours), sign * fmean(theirs)
    shifted = not differs and is_shifted(capsule, baseline)
    verdict = claim(capsule, mean, comparison, elsewhere=bool(differs) or shifted)
    return Verified(capsule, key, differs, mean, baseline, shifted, comparison, verdict)


def is_shifted(capsule: Capsule, baseline: float) -> bool:
    """Whether the untouched code measures otherwise here, beyond the noise that the capsule knows of: a busy processor
    does less in the same CPU time, for every code alike."""
    return capsule.baseline is not None and abs(baseline - capsule.baseline) > (capsule.high - capsule.low) / 2


def claim(capsule: Capsule, mean: float, comparison: Comparison, elsewhere: bool) -> Claim:
    """Under an equal key the mean must be as good as the interval says. Elsewhere a gain must be seen again."""
    if not elsewhere:
        as_good = mean <= capsule.high if capsule.direction == "lower" else mean >= capsule.low
        return Claim.HOLDS if as_good else Claim.FAILS
    if comparison.low > 0:
        return Claim.HOLDS
    return Claim.FAILS if comparison.high < (capsule.gain or 0.0) else Claim.UNCLEAR
