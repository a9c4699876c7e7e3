"""The study behind `swarm simulate`: many simulated swarms under two policies, and the figures they give."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

from swarm.errors import UsageError
from swarm.judge.decide import DEFAULT, read_policy
from swarm.lab.simulation.figures import Figure, mean, ratio, share, speedup
from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.simulated_swarm import RESEARCHERS, Outcome, SimulatedSwarm, simulate

REFERENCE = "greedy"  # what every policy is compared with, on the same ideas
LONG, SHORT = 24.0, 12.0  # hours of one agent whose gain many agents try to reach
SLOWEST = 3.0  # a speed-up below this is not resolved: so much shorter are the swarms of many agents


@dataclass(frozen=True, slots=True)
class Study:
    """What to simulate: `swarms` swarms of `hours` for each sigma, landscape and policy, from `seed` on."""

    swarms: int = 100
    hours: float = 12.0
    gpus: int = 8
    sigmas: tuple[float, ...] = (0.0006, 0.0012)
    landscapes: tuple[str, ...] = tuple(LANDSCAPES)
    policy: str = DEFAULT
    seed: int = 0
    repeats: float = 0.3
    offset: float = 0.5
    budget: float = 300.0
    think: float = 60.0
    workers: int = 0  # processes; 0: one per core
    researcher: str = RESEARCHERS[0]

    def __post_init__(self) -> None:
        """UsageError for what cannot be simulated."""
        unknown = sorted({*self.landscapes} - {*LANDSCAPES})
        if unknown:
            raise UsageError(f"--landscape {unknown[0]}: it is one of {', '.join(LANDSCAPES)}")
        if self.researcher not in RESEARCHERS:
            raise UsageError(f"--researcher {self.researcher}: it is one of {', '.join(RESEARCHERS)}")
        read_policy(self.policy)
        counts = {"nights": self.swarms, "gpus": self.gpus}
        lengths = {"hours": self.hours, "budget": self.budget} | {f"sigma {sigma:g}": sigma for sigma in self.sigmas}
        for name, value in (counts | lengths).items():
            if not 0 < value < math.inf:
                raise UsageError(f"--{name} must be above 0, and finite, not {value:g}")
        if not 0 <= self.repeats < 1:
            raise UsageError(f"--repeats is a share from 0 up to 1, not {self.repeats:g}")
        for name, value in {"offset": self.offset, "think": self.think, "workers": self.workers}.items():
            if not 0 <= value < math.inf:
                raise UsageError(f"--{name} must be 0 or more, and finite, not {value:g}")

    def first(self) -> SimulatedSwarm:
        """The study's very first swarm."""
        return replace(_first(self, self.policy)[0])

    def cell(self, sigma: float, landscape: str) -> list[SimulatedSwarm]:
        """The swarms of one cell, under the study's own policy."""
        return _cell(self, sigma, landscape, self.policy)

    @property
    def cells(self) -> list[tuple[float, str]]:
        return [(sigma, landscape) for landscape in self.landscapes for sigma in self.sigmas]


@dataclass(frozen=True)
class Results:
    """The outcome of every swarm of a study, and the figures computed from them."""

    study: Study
    outcomes: Mapping[SimulatedSwarm, Outcome]

    def of(self, sigma: float, landscape: str, policy: str) -> list[Outcome]:
        """The outcomes of one cell."""
        return [self.outcomes[swarm] for swarm in _cell(self.study, sigma, landscape, policy)]

    def flat(self) -> dict[str, float | None]:
        """One flat object: every figure under its name, its standard error under `se_` and the name."""
        named = dict(self._figures())
        return {name: figure.value for name, figure in named.items()} | {
            f"se_{name}": figure.se for name, figure in named.items()
        }

    def _figures(self) -> Iterator[tuple[str, Figure]]:
        study = self.study
        ours, theirs = [], []
        for sigma, landscape in study.cells:
            mine, greedy = (self.of(sigma, landscape, policy) for policy in (study.policy, REFERENCE))
            ours, theirs = ours + mine, theirs + greedy
            cell = f"{key(sigma)}_{landscape}"
            yield f"progress_ratio_{cell}", ratio([o.gain for o in mine], [o.gain for o in greedy])
            yield f"false_keeps_{cell}", false_keeps(mine)
            yield f"greedy_false_keeps_{cell}", false_keeps(greedy)
        yield "progress_ratio_1gpu", self._one_gpu()
        yield "false_champions", share(ours, lambda o: o.false_champions, lambda o: o.crowned)
        yield "optimism_sigma", mean([o.optimism for o in ours if o.optimism is not None])
        yield "greedy_optimism_sigma", mean([o.record_optimism for o in theirs if o.record_optimism is not None])
        nulls = [self.outcomes[swarm] for swarm in _nulls(study)]
        yield "null_nights_clean", mean([float(o.crowned == 0) for o in nulls])
        yield "duplicates_run", share(ours, lambda o: o.repeats_run, lambda o: o.repeats)
        yield "wrongly_refused", share(ours, lambda o: o.wrongly_refused, lambda o: o.new_ideas)
        yield "new_share", mean([o.new_share for o in ours])
        yield "refused", share(ours, lambda o: o.refused, lambda o: o.proposals)
        one, many = ([self.outcomes[swarm] for swarm in race] for race in _races(study))
        yield f"speedup_{study.gpus}", speedup(one, many, LONG)
        yield f"speedup_{study.gpus}_12h", speedup(one, many, SHORT)

    def _one_gpu(self) -> Figure:
        mine, greedy = ([self.outcomes[n].gain for n in _alone(self.study, p)] for p in (self.study.policy, REFERENCE))
        return ratio(mine, greedy)


def false_keeps(outcomes: Sequence[Outcome]) -> Figure:
    return share(outcomes, lambda o: o.false_keeps, lambda o: o.keeps)


def key(sigma: float) -> str:
    """A sigma as a key spells it: 0.0006 is 0006."""
    return f"{sigma:.10f}".rstrip("0").partition(".")[2]


QUICK = {"swarms": 3, "hours": 3.0}


def read_study(flags: Mapping[str, Any]) -> Study:
    """The study that the flags of `swarm simulate` ask for; UsageError where they make no sense."""
    typed = {name: value for name, value in flags.items() if name in _FIELDS and value is not None}
    if flags.get("sigma"):
        typed["sigmas"] = tuple(dict.fromkeys(_number(text) for text in flags["sigma"].split(",")))
    if flags.get("landscape"):
        typed["landscapes"] = tuple(dict.fromkeys(flags["landscape"].split(",")))
    return Study(**(QUICK if flags.get("quick") else {}) | typed)


_FIELDS = {field.name for field in fields(Study)}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"--sigma {text!r} is not a number") from error


def run(study: Study, on_progress: Callable[[int, int], Any] = lambda done, of: None) -> Results:
    """Simulates all swarms of the study, on all cores; calls `on_progress(done, of)` after each."""
    swarms = sorted(set(_swarms(study)), key=lambda swarm: -swarm.gpus * swarm.hours)
    outcomes: dict[SimulatedSwarm, Outcome] = {}
    with ProcessPoolExecutor(study.workers or os.cpu_count()) as pool:
        for swarm, outcome in zip(swarms, pool.map(simulate, swarms), strict=True):
            outcomes[swarm] = outcome
            on_progress(len(outcomes), len(swarms))
    return Results(study, outcomes)


# -- the swarms of each question -----------------------------------------------------------------------------------


def _swarms(study: Study) -> Iterator[SimulatedSwarm]:
    for sigma, landscape in study.cells:
        for policy in (study.policy, REFERENCE):
            yield from _cell(study, sigma, landscape, policy)
    for policy in (study.policy, REFERENCE):
        yield from _alone(study, policy)
    yield from _nulls(study)
    for race in _races(study):
        yield from race


def _cell(study: Study, sigma: float, landscape: str, policy: str) -> list[SimulatedSwarm]:
    swarm = SimulatedSwarm(
        LANDSCAPES[landscape],
        sigma,
        policy,
        gpus=study.gpus,
        hours=study.hours,
        repeats=study.repeats,
        offset=study.offset,
        budget=study.budget,
        think=study.think,
        researcher=study.researcher,
    )
    return [replace(swarm, seed=study.seed + number) for number in range(study.swarms)]


def _first(study: Study, policy: str) -> list[SimulatedSwarm]:
    """The swarms of the first cell: its sigma and landscape stand for all where a question is asked once."""
    sigma, landscape = study.cells[0]
    return _cell(study, sigma, landscape, policy)


def _alone(study: Study, policy: str) -> list[SimulatedSwarm]:
    """The same with one GPU."""
    return [replace(swarm, gpus=1) for swarm in _first(study, policy)]


def _nulls(study: Study) -> list[SimulatedSwarm]:
    """Swarms in which no idea gains, from all cells in turn."""
    cells = [_cell(study, sigma, landscape, study.policy) for sigma, landscape in study.cells]
    chosen = [cells[number % len(cells)][number] for number in range(study.swarms)]
    return [replace(swarm, landscape=swarm.landscape.null()) for swarm in chosen]


def _races(study: Study) -> tuple[list[SimulatedSwarm], list[SimulatedSwarm]]:
    """One agent for a day, and many for as long as it takes them to get as far."""
    one = [replace(swarm, gpus=1, hours=LONG, open_end=True) for swarm in _first(study, study.policy)]
    many = [replace(swarm, gpus=study.gpus, hours=LONG / SLOWEST) for swarm in one]
    return one, many
