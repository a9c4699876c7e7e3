"""The next value of one knob to try: Optuna's TPE on all values that were measured."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

_NAME = "knob"


@dataclass(frozen=True, slots=True)
class Observation:
    """A value that was measured: `worth` is its gain in units of the noise, None where the run crashed."""

    value: float
    worth: float | None


def suggest(
    low: float, high: float, log: bool, seen: Sequence[Observation], pending: Sequence[float], seed: int
) -> float:
    """The next value in [low, high] to try. Values in `pending` are being measured now, and are kept away from.

    The study is rebuilt for every question: the board's findings are its only memory, so a restarted agent knows as
    much as one that never stopped, and the same findings and seed give the same answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Few looks per knob is the rule: with its defaults (ten random trials, then a tenth of all counted as good) TPE
    # would search a parabola's ends for a night. Two trials, half of them good: the top found twice as soon.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `gamma` goes in Optuna 6, which pyproject.toml keeps out
        sampler = TPESampler(seed=seed, n_startup_trials=2, gamma=lambda n: min(math.ceil(n / 2), 6))
    study = optuna.create_study(sampler=sampler, direction="maximize")
    space = FloatDistribution(low, high, log=log)
    worst = min((o.worth for o in seen if o.worth is not None), default=0.0)
    for observation in seen:
        if low <= observation.value <= high:
            # A crash must repel, and TPE ignores failed trials: it counts as a little worse than the worst result.
            worth = worst - 1.0 if observation.worth is None else observation.worth
            study.add_trial(_trial(space, observation.value, TrialState.COMPLETE, worth))
    for value in pending:
        if low <= value <= high:
            study.add_trial(_trial(space, value, TrialState.RUNNING, None))
    return study.ask({_NAME: space}).params[_NAME]


def _trial(space: FloatDistribution, value: float, state: TrialState, worth: float | None) -> FrozenTrial:
    return create_trial(state=state, params={_NAME: value}, distributions={_NAME: space}, value=worth)
