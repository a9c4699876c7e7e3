"""What a planned swarm comes to, before it starts: verdicts, time and money. Estimated, and None where nobody knows."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from swarm.judge.closing import closing_runs
from swarm.judge.decide import Policy, read_policy
from swarm.launch.plan import Plan, no_trial
from swarm.researchers.registry import REGISTRY, profile_of

RAY = 30.0  # seconds that Ray, the board and the agents take to start on a quiet machine
AROUND = 1.1  # budgets that a run takes without its start: what is not counted as training
START = 1.0  # seconds that a program takes to start
REFEREED = 10.0  # the same with a referee: on two CPU cores our trainer starts in 5, and is measured in 5 more
FREE = ("sweep", "scripted")  # researchers that cost nothing


@dataclass(frozen=True, slots=True)
class Estimate:
    """Times are seconds of a quiet machine; `money` is at most what models cost, None where somebody else bills it."""

    run_seconds: float | None  # of one whole run
    measured: bool  # the trial run told it; else it follows from the budget
    first_verdict_seconds: float | None  # from the launch until the first idea is judged
    experiments_per_hour: float | None
    experiments: int | None  # until the limit; None where it runs until told
    seconds: float | None  # until it ends by itself
    models_usd: float | None
    machine_usd: float | None  # what --gpu-usd-per-hour makes of `seconds`; None without a price or an end


def estimate(plan: Plan) -> Estimate:
    """The estimate of a plan: ideas are taken to be thought out while others train."""
    config, policy, agents = plan.config, read_policy(plan.config.policy), max(len(plan.slots), 1)
    run = _run_seconds(plan)
    money = _models_usd(plan)
    if run is None:
        seconds = config.hours * 3600 if config.hours else None
        machine = _machine_usd(plan, seconds)
        return Estimate(None, False, None, None, config.max_experiments, seconds, money, machine)
    each = run * _runs_of_each(config.policy)
    before = RAY + run * _baselines(plan, policy) + (0 if plan.trial or no_trial(plan) else run)
    known = [] if config.max_experiments is None else [config.max_experiments]
    if config.hours:
        known.append(_within(config.hours * 3600 - before, each, run, agents, policy))
    experiments = min(known, default=None)
    seconds = None
    if experiments is not None:
        seconds = before + each * math.ceil(experiments / agents) + run * _closing(policy, experiments, agents)
        seconds = min(seconds, config.hours * 3600) if config.hours else seconds
    return Estimate(
        run,
        plan.trial is not None,
        before + each,
        3600 * agents / each,
        experiments,
        seconds,
        money,
        _machine_usd(plan, seconds),
    )


def _run_seconds(plan: Plan) -> float | None:
    if plan.trial and plan.trial.run.seconds:
        return plan.trial.run.seconds
    if plan.code.unread:  # the code does not read a budget: nobody knows before it ran
        return None
    return plan.budget * AROUND + (REFEREED if plan.project.referee else START)


def _runs_of_each(policy: str) -> float:
    """How many runs an idea takes on average, those that measure steps of the trunk again among them."""
    return {"race": 2.0, "carry": 1.25}.get(policy.partition(":")[0], 1.0)


def _baselines(plan: Plan, policy: Policy) -> int:
    """How many runs each agent makes before the first idea."""
    if plan.config.resume:
        return 0
    of_each = policy.baselines_of_each(len(plan.slots), plan.device.split(":")[0] in plan.project.sigma)
    return max(of_each - (1 if plan.trial and len(plan.slots) == 1 else 0), 0)


def _closing(policy: Policy, experiments: int, agents: int) -> int:
    """How many runs one after the other the end takes, on each agent."""
    wave = 2 * closing_runs(policy.closing_runs, policy.closing_part, experiments)
    return math.ceil((wave + policy.dawn * experiments) / agents)


def _within(seconds: float, each: float, run: float, agents: int, policy: Policy) -> int:
    """How many experiments fit into this time, with the runs at the end."""
    left = seconds - run * _closing(policy, int(max(seconds, 0) / each * agents), agents)
    return max(int(left / each) * agents, 0)


def _models_usd(plan: Plan) -> float | None:
    """What models cost at most: the limit holds with all calls in flight. None where one of them is not paid here."""
    names: Collection[str] = set(plan.researchers.values())
    if names <= set(FREE):
        return 0.0
    paid = [name for name in names if name not in FREE]
    return plan.config.max_usd if all(name in REGISTRY and profile_of(name).pays for name in paid) else None


def _machine_usd(plan: Plan, seconds: float | None) -> float | None:
    price = plan.config.gpu_usd_per_hour
    return None if price is None or seconds is None else price * len(plan.slots) * seconds / 3600
