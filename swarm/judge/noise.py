"""How noisy the metric is: one sigma for repeats of the same code, and each GPU's own offset.

The model is `value = mean of the state + offset of the GPU + noise`. Values are sign-normalised: lower is better.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

PRIOR_DF = 4.0  # degrees of freedom that the prior sigma counts for
TAU = 0.5  # expected spread of the GPUs' offsets, in sigmas
WILD = 5.0  # sigmas from where on a value is an accident, not noise
ROBUST_DF = 6  # below it there is too little data to call anything wild
MEDIAN_OF_CHI2 = 0.455  # median of a squared normal deviate: the robust form of its mean, 1

Cells = Mapping[str, Mapping[str, Sequence[float]]]  # state -> GPU -> values, one a seed


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured run: its sign-normalised value, the sha of the source it ran, where, and with which seed."""

    value: float
    state: str
    gpu: str
    seed: int


@dataclass(frozen=True, slots=True)
class Noise:
    """What is known about the noise: `sigma` is the deviation between repeats of the same code on the same GPU.

    `df` is the weight of evidence behind sigma, the prior's included; sigma is None while there is neither a prior
    nor a repeat. `offsets` holds the GPUs that differ from the others, already shrunken towards none.
    """

    sigma: float | None
    df: float
    offsets: Mapping[str, float]
    prior: float | None

    def corrected(self, observation: Observation) -> float:
        """The value as an average GPU would have measured it."""
        return observation.value - self.offsets.get(observation.gpu, 0.0)


def calibrate(observations: Iterable[Observation], prior: float | None) -> Noise:
    """Sigma and offsets from all repeats there are; `prior` is the sigma expected of this device, if any.

    Runs of a state that was measured once teach nothing here, and may be left out.
    """
    cells = _cells(observations)
    sigma, df = _sigma(cells, prior)
    return Noise(sigma, df, _offsets(cells, sigma) if sigma else {}, prior)


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
    """Sum of squares about the mean, and its degrees of freedom."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values), len(values) - 1.0


def _offsets(cells: Cells, sigma: float) -> dict[str, float]:
    """Best linear unbiased predictions of the GPUs' offsets, from the states that several GPUs measured.

    The states' means are eliminated from the mixed-model equations, which leaves one small system over GPUs; a GPU
    with n runs among many keeps n / (n + 1 / TAU**2) of what it seems to differ.
    """
    shared = [gpus for _, gpus in sorted(cells.items()) if len(gpus) > 1]
    names = sorted({gpu for gpus in shared for gpu in gpus})
    if not names:
        return {}
    index = {gpu: i for i, gpu in enumerate(names)}
    known = [[0.0] * len(names) for _ in names]  # what is known of each offset, in runs
    pull = [0.0] * len(names)  # how far each GPU's runs lie above their states' means, summed
    for gpus in shared:
        counts = {gpu: len(values) for gpu, values in gpus.items()}
        sums = _tamed_sums(gpus, sigma)
        total = sum(counts.values())
        mean = math.fsum(sums.values()) / total
        for gpu, count in counts.items():
            row = known[index[gpu]]
            row[index[gpu]] += count
            pull[index[gpu]] += sums[gpu] - count * mean
            for other, others in counts.items():
                row[index[other]] -= count * others / total
    for i in range(len(names)):
        known[i][i] += 1 / TAU**2
    offsets = _solve(known, pull)
    middle = math.fsum(offsets) / len(offsets)
    return {gpu: offset - middle for gpu, offset in zip(names, offsets, strict=True)}


def _tamed_sums(gpus: Mapping[str, Sequence[float]], sigma: float) -> dict[str, float]:
    """Each GPU's sum over one state, with wild values pulled in, so that one accident does not slander a GPU."""
    centre = median(value for values in gpus.values() for value in values)
    low, high = centre - WILD * sigma, centre + WILD * sigma
    return {gpu: math.fsum(min(max(value, low), high) for value in values) for gpu, values in gpus.items()}


def _solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Gaussian elimination; no pivoting is needed, because the matrix is symmetric and positive definite."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i, pivot in enumerate(rows):
        for below in rows[i + 1 :]:
            factor = below[i] / pivot[i]
            for j in range(i, len(pivot)):
                below[j] -= factor * pivot[j]
    solution = [0.0] * len(rows)
    for i in range(len(rows) - 1, -1, -1):
        rest = math.fsum(rows[i][j] * solution[j] for j in range(i + 1, len(rows)))
        solution[i] = (rows[i][-1] - rest) / rows[i][i]
    return solution
