"""Keep, discard, or one more run: the rules by which an experiment advances the trunk (decide.py chooses among them).

Values are sign-normalised: lower is better, so a gain is the parent's mean less the candidate's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean

from msgspec import Struct

from swarm.judge import student
from swarm.judge.confirm import around
from swarm.judge.noise import pooled
from swarm.judge.rounding import gain_over
from swarm.records import Outcome, Rung, Status, Verdict

NORMAL = NormalDist()


class Arm(Struct, frozen=True):
    """All runs of a candidate and of the parent it was tested on. Rebased experiments have several, newest last."""

    candidate: tuple[float, ...]
    parent: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.candidate, *self.parent))):
            raise ValueError("a run without a finite metric is no evidence: leave it out")


class Rules(Struct, frozen=True):
    """The parameters of `race`. z is the gain in standard errors; sizes are syntax-tree nodes added, net."""

    keep_z: float = 1.5
    drop_z: float = 0.4
    keep_runs: int = 2  # fewest runs of a keep
    max_runs: int = 5  # then it is a near miss
    parent_runs: int = 6  # the parent is measured again up to so many runs: all its challengers are compared with them
    outlier: float = 10.0  # sigmas: a larger gain needs `outlier_runs`
    outlier_gain: float = 0.0  # the same limit in units of the metric, where the preset has one; the larger counts
    outlier_runs: int = 3
    outlier_share: float = (
        0.1  # of the metric: what an outlier must exceed too before it is marked where no referee measured it
    )
    held_share: float = 0.25  # of the metric: a gain beyond it is held for a person even if a referee measured it
    simpler_size: int = 10  # removing so many nodes is simpler; less is another spelling of a number
    simpler_runs: int = 4
    simpler_loss: float = 0.5  # sigmas: simpler code may at most lose this, at the upper 80% bound
    toll: float = 0.25  # sigmas of gain asked for `toll_size` nodes added, and again with every doubling
    toll_size: int = 100
    carry_gain: float = 0.1  # sigmas of gain to expect that put a step on the trunk
    kept_from: float = 0.5  # chance of a real gain from which on a step of the trunk is called kept


STANDARD = Rules()
SIMPLER_BOUND = NORMAL.inv_cdf(0.8)
SCALE_DF = 2  # repeats needed before an experiment's own spread may stand in for sigma


class _WeightedGain(Struct, frozen=True):
    """All arms in one number. `scale` is sigma, or the runs' own deviation (with `df`), or None without either."""

    gain: float
    runs: int
    scale: float | None
    df: float
    weight: float  # 1 / weight is the variance of the gain, in sigmas squared
    toll: float  # sigmas of gain that the added code costs

    @property
    def se(self) -> float | None:
        return None if self.scale is None else self.scale / math.sqrt(self.weight)

    @property
    def z(self) -> float | None:
        """The gain less the toll, in standard errors."""
        if self.scale is None or self.se is None:
            return None
        gain = self.gain - self.toll * self.scale
        if self.se:
            return gain / self.se
        return math.copysign(math.inf, gain) if gain else 0.0

    def __str__(self) -> str:
        runs = f"{self.runs} run" if self.runs == 1 else f"{self.runs} runs"
        if not self.se:
            return f"gain {self.gain:.4g} over {runs}, noise {'unknown' if self.se is None else 'unmeasured'}"
        half = around(0.0, self.se)[1]
        decimals = min(9, max(0, 1 - math.floor(math.log10(half))))
        toll = " after the toll for added code" if self.toll else ""
        z = f" (z {self.z:.1f}{toll})"
        own = "" if math.isinf(self.df) else ", noise judged from these runs alone"
        return f"gain {self.gain:.{decimals}f} ± {half:.{decimals}f} over {runs}{z}{own}"


def race(arms: Sequence[Arm], sigma: float | None, rules: Rules = STANDARD, added_size: int = 0) -> Verdict:
    """The lenient, replicated rule. `sigma` is None in a project whose noise is not known yet.

    A first run that is not better than its parent is discarded at once; a better one is repeated, and its parent
    too, until the gain over all arms can be distinguished from noise. Added code must pay a toll, and code that becomes
    simpler (`added_size` below zero) need not gain.
    """
    evidence = _weigh(arms, sigma, toll_of(added_size, rules))
    if evidence is None:
        return unseen(arms)
    simpler = added_size <= -rules.simpler_size
    needed = _runs_needed(evidence, rules)
    if evidence.runs >= needed and evidence.z is not None and evidence.z >= _keep_z(evidence, rules):
        return _verdict(Outcome.GAINED, evidence, str(evidence))
    if simpler and evidence.runs >= rules.simpler_runs and _no_worse(evidence, rules):
        return _verdict(Outcome.SIMPLER, evidence, f"simpler by {-added_size} nodes and no worse: {evidence}")
    if _hopeless(evidence, rules, simpler):
        return _verdict(Outcome.NO_GAIN, evidence, f"not better than its parent: {evidence}")
    if evidence.runs >= rules.max_runs:
        return _verdict(Outcome.NEAR_MISS, evidence, f"near miss: {evidence}")
    why = "runs again" if needed == rules.keep_runs else f"so large a gain needs {needed} runs"
    return _verdict(Outcome.UNDECIDED, evidence, f"{why}: {evidence}", refresh=len(arms[-1].parent) < rules.parent_runs)


def toll_of(added_size: int, rules: Rules) -> float:
    """The sigmas of gain that are asked for so many nodes of added code."""
    return rules.toll * math.log2(1 + max(0, added_size) / rules.toll_size)


def greedy(arms: Sequence[Arm], sigma: float | None, rules: Rules = STANDARD, added_size: int = 0) -> Verdict:
    """Karpathy's rule: one run on the newest parent, kept if it beats what is recorded for that parent."""
    evidence = _weigh([arm for arm in arms if arm.candidate][-1:], sigma)
    if evidence is None:
        return unseen(arms)
    if evidence.gain > 0:
        return _verdict(Outcome.GAINED, evidence, f"better than its parent: {evidence}")
    return _verdict(Outcome.NO_GAIN, evidence, f"not better than its parent: {evidence}")


def _weigh(arms: Sequence[Arm], sigma: float | None, toll: float = 0.0) -> _WeightedGain | None:
    """The gain over all arms that have runs on both sides, each weighted by its inverse variance."""
    measured = [arm for arm in arms if arm.candidate and arm.parent]
    if not measured:
        return None
    weights = [1 / (1 / len(arm.candidate) + 1 / len(arm.parent)) for arm in measured]
    gains = [gain_over(fmean(arm.parent), fmean(arm.candidate)) for arm in measured]
    scale, df = (sigma, math.inf) if sigma is not None else _own_scale(measured)
    runs = sum(len(arm.candidate) for arm in measured)
    return _WeightedGain(fmean(gains, weights), runs, scale, df, math.fsum(weights), toll)


def _own_scale(arms: Sequence[Arm]) -> tuple[float | None, float]:
    """The deviation between the runs at hand: all there is in a project that never repeated anything before."""
    scale, df = pooled(side for arm in arms for side in (arm.candidate, arm.parent))
    return (scale, df) if df >= SCALE_DF else (None, df)


def _keep_z(evidence: _WeightedGain, rules: Rules) -> float:
    """What z it takes to keep: more where the scale is a guess from a few runs."""
    return rules.keep_z if math.isinf(evidence.df) else _student(rules.keep_z, evidence.df)


def _student(z: float, df: float) -> float:
    """The quantile of Student's t that is as rare as `z` is under the normal law."""
    return student.quantile(df, NORMAL.cdf(z))


def _runs_needed(evidence: _WeightedGain, rules: Rules) -> int:
    """Fewest runs of a keep: a gain that is hard to believe is repeated once more."""
    limit = max(rules.outlier * evidence.scale, rules.outlier_gain) if evidence.scale else math.inf
    return max(rules.keep_runs, rules.outlier_runs) if evidence.gain > limit else rules.keep_runs


def incredible(gain: float, level: float, sigma: float | None, rules: Rules) -> bool:
    """Whether a gain over a parent at `level` is so large that a person should look, where no referee measured it.

    It is an outlier, and it is also a large part of the metric itself: where noise is small, honest gains of many
    sigmas are common. Where no noise was seen the share alone says it, and where the metric stands at 0 the noise.
    """
    return gain > max(rules.outlier * (sigma or 0.0), rules.outlier_gain, rules.outlier_share * abs(level)) > 0


def impossible(gain: float, level: float, sigma: float | None, rules: Rules) -> bool:
    """Whether a gain over a parent at `level` is so large that no honest edit makes it, whoever measured it.

    It is an outlier, and more than `held_share` of the metric. Twice the training gives 6 to 8% of val_bpb on a CPU and
    2 to 3% on an H100, and a whole night of honest edits 3 to 10%: a quarter in one step is worth sixteen times the
    training at least. Predictions read off the held-out text gain four fifths, a model that sees the next token more.
    Where no noise is known the share alone decides.
    """
    return gain > max(rules.outlier * (sigma or 0.0), rules.outlier_gain, rules.held_share * abs(level)) > 0


def _no_worse(evidence: _WeightedGain, rules: Rules) -> bool:
    """Non-inferiority: the upper bound of the loss is small, or without any noise there is no loss."""
    if evidence.scale is None or evidence.se is None:
        return False
    if not evidence.scale:
        return evidence.gain >= 0
    return SIMPLER_BOUND * evidence.se - evidence.gain < rules.simpler_loss * evidence.scale


def _hopeless(evidence: _WeightedGain, rules: Rules, simpler: bool) -> bool:
    """Whether another run is a waste. Simpler code may lose a little while its bound is still open."""
    if simpler and evidence.runs < rules.max_runs:
        if not evidence.scale:  # no noise is known: what is no worse may still be shown to be so
            return evidence.gain < 0
        return evidence.gain <= -rules.simpler_loss * evidence.scale
    if evidence.runs == 1 or evidence.z is None:
        return evidence.gain <= 0
    return evidence.z < rules.drop_z


STATUS = {
    Outcome.GAINED: Status.KEEP,
    Outcome.SIMPLER: Status.KEEP,
    Outcome.NO_GAIN: Status.DISCARD,
    Outcome.NEAR_MISS: Status.DISCARD,
}


def _verdict(outcome: Outcome, evidence: _WeightedGain, reason: str, refresh: bool = False) -> Verdict:
    status = STATUS.get(outcome)
    rung = Rung.KEPT if status is Status.KEEP else Rung.SEEN
    se = evidence.se or None  # an error of 0 is one that was never seen
    return Verdict(status, evidence.gain, se, evidence.runs, reason, outcome, rung, refresh)


def unseen(arms: Sequence[Arm]) -> Verdict:
    """The verdict while a run of either side is missing."""
    runs = sum(len(arm.candidate) for arm in arms)
    orphan = bool(arms) and not arms[-1].parent
    reason = "its parent has no run yet" if orphan else "no run yet"
    return Verdict(None, None, None, runs, reason, Outcome.UNDECIDED, refresh=orphan)
