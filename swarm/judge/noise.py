"""How noisy the metric is: one sigma for repeats of the same code, and each GPU's own offset.

The model is `value = mean of the state + offset of the GPU + slope * ln(steps) + noise`, where the steps are those
that a run made more than is usual for its state, and the slope is taken for none until repeats show one. Values are
sign-normalised: lower is better.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from msgspec import Struct, field
from msgspec.structs import replace

from swarm.judge.rounding import all_same

PRIOR_DF = 4.0  # degrees of freedom that the prior sigma counts for
TAU = 0.5  # expected spread of the GPUs' offsets, in sigmas
WILD = 5.0  # sigmas from where on a value is an accident, not noise
ROBUST_DF = 6  # below it there is too little data to call anything wild
SLOPE_DF, SLOPE_T = 8, 3.0  # repeats, and standard errors, from which on the slope in ln(steps) is believed
FRESH = 100  # measured runs, up to which the noise is learned anew from each; then from every hundredth part more
MEDIAN_OF_CHI2 = 0.455  # median of a squared normal deviate: the robust form of its mean, 1

Cells = Mapping[str, Mapping[str, Sequence[float]]]  # state -> GPU -> values, one a seed


class Observation(Struct, frozen=True):
    """One measured run: its sign-normalised value, the sha of the source it ran, where, with which seed, and how many
    steps it made, where that is known."""

    value: float
    state: str
    gpu: str
    seed: int
    steps: float | None = None


class Noise(Struct, frozen=True):
    """What is known about the noise: `sigma` is the deviation between repeats of the same code on the same GPU.

    `df` is the weight of evidence behind sigma, the prior's included; sigma is None while there is neither a prior
    nor a repeat. `offsets` holds the GPUs that differ from the others, already shrunken towards none. `slope` is what
    the metric changes with ln(steps), and `usual` the ln(steps) of the states that were measured more than once.
    """

    sigma: float | None
    df: float
    offsets: Mapping[str, float]
    prior: float | None
    slope: float = 0.0
    usual: Mapping[str, float] = field(default_factory=dict)

    def corrected(self, observation: Observation) -> float:
        """The value as an average GPU would have measured it, in the usual number of steps."""
        return self.steady(observation) - self.offsets.get(observation.gpu, 0.0)

    @property
    def why_none(self) -> str:
        """Why there is no noise to reckon with, where there is none."""
        return "equal code gives equal numbers" if self.sigma == 0 else "no code was run twice"

    def steady(self, observation: Observation) -> float:
        """The value as this GPU would have measured it in the usual number of steps."""
        if not self.slope or not observation.steps or observation.state not in self.usual:
            return observation.value
        return observation.value - self.slope * (math.log(observation.steps) - self.usual[observation.state])


NOISELESS = Noise(0.0, math.inf, {}, None)  # where equal code is known to give equal numbers


def calibrate(observations: Iterable[Observation], prior: float | None) -> Noise:
    """Sigma and offsets from all repeats there are; `prior` is the sigma expected of this device, if any.

    Runs of a state that was measured once teach nothing here, and may be left out.
    """
    seen = list(observations)
    known = _in_steps(seen, prior)
    cells = _cells([replace(one, value=known.steady(one)) for one in seen] if known.slope else seen)
    sigma, df = _sigma(cells, prior)
    return replace(known, sigma=sigma, df=df, offsets=_offsets(cells, sigma) if sigma else {})


def age_of(measured: int) -> int:
    """What of so many measured runs the noise is learned from: while this stays the same, it is not learned anew."""
    return measured if measured < FRESH else FRESH + int(FRESH * math.log(measured / FRESH))


def learned_from(measured: int) -> int:
    """Of how many runs, the first ones, the noise is learned while so many are measured: as many as there were when it
    got this age, whenever somebody asks."""
    age = age_of(measured)
    while measured > 0 and age_of(measured - 1) == age:
        measured -= 1
    return measured


def _in_steps(observations: Iterable[Observation], prior: float | None) -> Noise:
    """How the metric depends on ln(steps) within repeats on one GPU: only where that is clear, and fewer are worse."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    states: dict[str, list[float]] = defaultdict(list)
    for seen in observations:
        if seen.steps:
            groups[seen.state, seen.gpu].append((math.log(seen.steps), seen.value))
            states[seen.state].append(math.log(seen.steps))
    slope, se = _slope(group for group in groups.values() if len(group) > 1)
    if not slope < -SLOPE_T * se:
        return Noise(None, 0.0, {}, prior)
    return Noise(None, 0.0, {}, prior, slope, {state: median(steps) for state, steps in states.items()})


def _slope(groups: Iterable[Sequence[tuple[float, float]]]) -> tuple[float, float]:
    """The common slope within groups of (x, y), and its standard error; infinite where they are too few."""
    xx = xy = yy = df = 0.0
    for group in groups:
        middle_x, middle_y = (math.fsum(values) / len(group) for values in zip(*group, strict=True))
        xx += math.fsum((x - middle_x) ** 2 for x, _ in group)
        xy += math.fsum((x - middle_x) * (y - middle_y) for x, y in group)
        yy += math.fsum((y - middle_y) ** 2 for _, y in group)
        df += len(group) - 1
    if df < SLOPE_DF or not xx:
        return 0.0, math.inf
    return xy / xx, math.sqrt(max(0.0, yy - xy**2 / xx) / (df - 1) / xx)


def pooled(groups: Iterable[Sequence[float]]) -> tuple[float | None, float]:
    """The deviation within groups of repeats and its degrees of freedom; None and 0 where nothing was repeated."""
    return _root(_spread(values) for values in groups if len(values) > 1)


def _cells(observations: Iterable[Observation]) -> Cells:
    """Values by state and GPU. A seed run twice counts once: a deterministic trainer would teach a sigma of zero."""
    seeds: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for seen in observations:
        seeds[seen.state, seen.gpu, seen.seed].append(seen.value)
    cells: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (state, gpu, _), values in sorted(seeds.items()):
        cells[state][gpu].append(math.fsum(values) / len(values))
    return cells


def _sigma(cells: Cells, prior: float | None) -> tuple[float | None, float]:
    """Pooled deviation within the cells, the prior counting as PRIOR_DF repeats, and its degrees of freedom."""
    spreads = [_spread(values) for gpus in cells.values() for values in gpus.values() if len(values) > 1]
    if sum(df for _, df in spreads) >= ROBUST_DF:
        usual = max(median(squares / df for squares, df in spreads) / MEDIAN_OF_CHI2, (prior or 0.0) ** 2)
        if usual:  # where most repeats are equal, the others are all that is known of the noise
            spreads = [(squares, df) for squares, df in spreads if squares / df <= WILD**2 * usual]
    if prior is not None:
        spreads.append((PRIOR_DF * prior**2, PRIOR_DF))
    return _root(spreads)


def _root(spreads: Iterable[tuple[float, float]]) -> tuple[float | None, float]:
    """The one deviation behind several sums of squares."""
    known = list(spreads)
    df = math.fsum(df for _, df in known)
    return (math.sqrt(math.fsum(squares for squares, _ in known) / df), df) if df else (None, 0.0)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Sum of squares about the mean, and its degrees of freedom. Equal values have none: rounding is no noise."""
    if all_same(values):
        return 0.0, len(values) - 1.0
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values), len(values) - 1.0


def _offsets(cells: Cells, sigma: float) -> dict[str, float]:
    """Best linear unbiased predictions of the GPUs' offsets, from the states that several GPUs measured.

    The states' means are eliminated from the mixed-model equations, which leaves one system over GPUs; a GPU with n
    runs among many keeps n / (n + 1 / TAU**2) of what it seems to differ.
    """
    shared = [gpus for _, gpus in sorted(cells.items()) if len(gpus) > 1]
    names = sorted({gpu for gpus in shared for gpu in gpus})
    if not names:
        return {}
    counts = [{gpu: len(values) for gpu, values in gpus.items()} for gpus in shared]
    weight = dict.fromkeys(names, 1 / TAU**2)  # what is known of each offset, in runs
    pull = dict.fromkeys(names, 0.0)  # how far each GPU's runs lie above their states' means, summed
    for gpus, count in zip(shared, counts, strict=True):
        sums = _tamed_sums(gpus, sigma)
        mean = math.fsum(sums.values()) / sum(count.values())
        for gpu, runs in count.items():
            weight[gpu] += runs
            pull[gpu] += sums[gpu] - runs * mean

    def known(offsets: Mapping[str, float]) -> dict[str, float]:
        """The left side of the system, at these offsets."""
        left = {gpu: weight[gpu] * offset for gpu, offset in offsets.items()}
        for count in counts:
            mean = math.fsum(runs * offsets[gpu] for gpu, runs in count.items()) / sum(count.values())
            for gpu, runs in count.items():
                left[gpu] -= runs * mean
        return left

    offsets = _solve(known, pull, weight)
    middle = math.fsum(offsets.values()) / len(offsets)
    return {gpu: offset - middle for gpu, offset in offsets.items()}


def _tamed_sums(gpus: Mapping[str, Sequence[float]], sigma: float) -> dict[str, float]:
    """Each GPU's sum over one state, with wild values pulled in, so that one accident does not slander a GPU."""
    centre = median(value for values in gpus.values() for value in values)
    low, high = centre - WILD * sigma, centre + WILD * sigma
    return {gpu: math.fsum(min(max(value, low), high) for value in values) for gpu, values in gpus.items()}


Vector = dict[str, float]


def _solve(left: Callable[[Vector], Vector], right: Vector, scale: Vector) -> Vector:
    """The x for which `left(x)` is `right`, by conjugate gradients: `left` is symmetric and positive definite.

    `scale` is about its diagonal. A thousand GPUs take a few steps, where elimination would take a thousand cubed.
    """
    found = dict.fromkeys(right, 0.0)
    rest, step = dict(right), {name: right[name] / scale[name] for name in right}
    error = enough = math.fsum(rest[name] * step[name] for name in step)
    for _ in range(2 * len(right)):
        if error <= 1e-24 * enough:
            break
        image = left(step)
        length = error / math.fsum(step[name] * image[name] for name in step)
        found = {name: found[name] + length * step[name] for name in found}
        rest = {name: rest[name] - length * image[name] for name in rest}
        flat = {name: rest[name] / scale[name] for name in rest}
        before, error = error, math.fsum(rest[name] * flat[name] for name in flat)
        step = {name: flat[name] + error / before * step[name] for name in step}
    return found
