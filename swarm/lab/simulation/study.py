"""The study behind `swarm simulate`: many simulated swarms under two policies, and the figures they give."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, fields, replace
from typing import Any

from swarm.errors import UsageError
from swarm.judge.decide import DEFAULT, read_policy
from swarm.lab.simulation.bare_loop import bare_gain
from swarm.lab.simulation.figures import Figure, mean, ratio, share, speedup
from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.simulated_swarm import RESEARCHERS, Outcome, SimulatedSwarm, simulate
from swarm.lab.simulation.store import Store

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
        return _first(self)[0]

    def cell(self, sigma: float, landscape: str) -> list[SimulatedSwarm]:
        """The swarms of one cell, under the study's own policy."""
        return _cell(self, sigma, landscape, self.policy, self.gpus)

    @property
    def cells(self) -> list[tuple[float, str]]:
        return [(sigma, landscape) for landscape in self.landscapes for sigma in self.sigmas]


@dataclass(frozen=True)
class Results:
    """The outcomes of a study's swarms, of all or of those there was time for, and the figures computed from them.

    What is compared is paired: a swarm counts where the other side's, on the same ideas, is there too.
    """

    study: Study
    outcomes: Mapping[SimulatedSwarm, Outcome]

    def of(self, sigma: float, landscape: str, policy: str, gpus: int | None = None) -> list[Outcome]:
        """The outcomes of one cell, in pairs with the other policy's; of the study's GPUs if nobody says how many."""
        policies = dict.fromkeys((policy, self.study.policy, REFERENCE))
        cells = [_cell(self.study, sigma, landscape, each, gpus or self.study.gpus) for each in policies]
        return self._outcomes(*cells)[0]

    def flat(self) -> dict[str, float | None]:
        """One flat object: every figure under its name, its standard error under `se_` and the name."""
        named = dict(self._figures())
        return {name: figure.value for name, figure in named.items()} | {
            f"se_{name}": figure.se for name, figure in named.items()
        }

    def counts(self) -> dict[int, int]:
        """How many swarms of the first cell there are under each number of GPUs, in pairs."""
        sigma, landscape = self.study.cells[0]
        return {gpus: len(self.of(sigma, landscape, self.study.policy, gpus)) for gpus in _sizes(self.study)}

    def _outcomes(self, *cells: list[SimulatedSwarm]) -> list[list[Outcome]]:
        """The outcomes of each cell, of those swarms that all of these cells have."""
        return [[self.outcomes[swarm] for swarm in cell] for cell in self._paired(*cells)]

    def _paired(self, *cells: list[SimulatedSwarm]) -> list[list[SimulatedSwarm]]:
        rows = [row for row in zip(*cells, strict=True) if all(swarm in self.outcomes for swarm in row)]
        return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in cells]

    def _bare(self, sigma: float, landscape: str) -> Figure:
        """What the loop without a swarm gains on one GPU, beside the reference."""
        cells = (_cell(self.study, sigma, landscape, policy, 1) for policy in (REFERENCE, self.study.policy))
        swarms = self._paired(*cells)[0]
        return ratio([bare_gain(swarm) for swarm in swarms], [self.outcomes[swarm].gain for swarm in swarms])

    def _figures(self) -> Iterator[tuple[str, Figure]]:
        study = self.study
        for gpus in dict.fromkeys((study.gpus, 1)):
            yield from self._of_size(gpus, "" if gpus == study.gpus else "_1gpu")
        first = f"{key(study.sigmas[0])}_{study.landscapes[0]}"
        yield "progress_ratio_1gpu", dict(self._of_size(1, ""))[f"progress_ratio_{first}"]
        if study.researcher == RESEARCHERS[0]:
            for sigma, landscape in study.cells:
                yield f"bare_loop_{key(sigma)}_{landscape}_1gpu", self._bare(sigma, landscape)
        one, many = self._outcomes(*_races(study))
        yield f"speedup_{study.gpus}", speedup(one, many, LONG)
        yield f"speedup_{study.gpus}_12h", speedup(one, many, SHORT)

    def _of_size(self, gpus: int, end: str) -> Iterator[tuple[str, Figure]]:
        """All figures of swarms with so many GPUs; `end` is what their names end in."""
        study = self.study
        ours, theirs = list[Outcome](), list[Outcome]()
        for sigma, landscape in study.cells:
            mine, greedy = (self.of(sigma, landscape, policy, gpus) for policy in (study.policy, REFERENCE))
            ours, theirs = ours + mine, theirs + greedy
            cell = f"{key(sigma)}_{landscape}{end}"
            yield f"progress_ratio_{cell}", ratio([o.gain for o in mine], [o.gain for o in greedy])
            yield f"false_keeps_{cell}", false_keeps(mine)
            yield f"greedy_false_keeps_{cell}", false_keeps(greedy)
        yield f"false_champions{end}", share(ours, lambda o: o.false_champions, lambda o: o.crowned)
        yield f"optimism_sigma{end}", mean([o.optimism for o in ours if o.optimism is not None])
        record = [o.record_optimism for o in theirs if o.record_optimism is not None]
        yield f"greedy_optimism_sigma{end}", mean(record)
        (nulls,) = self._outcomes(_nulls(study, gpus))
        yield f"null_nights_clean{end}", mean([float(o.crowned == 0) for o in nulls])
        yield f"null_nights_kept{end}", mean([float(o.keeps > 0) for o in nulls])
        yield f"duplicates_run{end}", share(ours, lambda o: o.repeats_run, lambda o: o.repeats)
        yield f"wrongly_refused{end}", share(ours, lambda o: o.wrongly_refused, lambda o: o.new_ideas)
        yield f"new_share{end}", mean([o.new_share for o in ours])
        yield f"refused{end}", share(ours, lambda o: o.refused, lambda o: o.proposals)
        yield f"moves{end}", mean([float(o.steps) for o in ours])
        yield f"rebases{end}", mean([float(o.rebases) for o in ours])


def false_keeps(outcomes: Sequence[Outcome]) -> Figure:
    return share(outcomes, lambda o: o.false_keeps, lambda o: o.keeps)


def key(sigma: float) -> str:
    """A sigma as a key spells it: 0.0006 is 0006."""
    return f"{sigma:.10f}".rstrip("0").partition(".")[2]


MINUTE = 60.0  # that --quick takes: as many swarms of full length as end within it


def read_study(flags: Mapping[str, Any]) -> Study:
    """The study that the flags of `swarm simulate` ask for; UsageError where they make no sense."""
    typed = {name: value for name, value in flags.items() if name in _FIELDS and value is not None}
    if flags.get("sigma"):
        typed["sigmas"] = tuple(dict.fromkeys(_number(text) for text in flags["sigma"].split(",")))
    if flags.get("landscape"):
        typed["landscapes"] = tuple(dict.fromkeys(flags["landscape"].split(",")))
    return Study(**typed)


_FIELDS = {field.name for field in fields(Study)}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"--sigma {text!r} is not a number") from error


def run(
    study: Study,
    on_progress: Callable[[int, int], Any] = lambda done, of: None,
    store: Store | None = None,
    patience: float = math.inf,
) -> Results:
    """Simulates the swarms of the study on all cores, those of one GPU first; calls `on_progress(done, of)` after each.

    What the `store` has is not simulated again, and what is simulated is put there at once. No swarm is begun more
    than `patience` seconds from now on.
    """
    swarms = list(dict.fromkeys(_swarms(study)))
    known = {swarm: outcome for swarm in swarms if store and (outcome := store.of(swarm))}
    missing, until = (swarm for swarm in swarms if swarm not in known), time.monotonic() + patience
    workers = study.workers or os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        begun: dict[Future[Outcome], SimulatedSwarm] = {}
        while True:
            while len(begun) < workers and time.monotonic() < until and (swarm := next(missing, None)):
                begun[pool.submit(simulate, swarm)] = swarm
            if not begun:
                return Results(study, known)
            for future in wait(begun, return_when=FIRST_COMPLETED).done:
                swarm = begun.pop(future)
                known[swarm] = future.result()
                if store:
                    store.add(swarm, known[swarm])
                on_progress(len(known), len(swarms))


# -- the swarms of each question -----------------------------------------------------------------------------------


def _sizes(study: Study) -> tuple[int, ...]:
    """The numbers of GPUs, the fewest first: their swarms take the least."""
    return tuple(sorted({1, study.gpus}))


def _swarms(study: Study) -> Iterator[SimulatedSwarm]:
    """All of them, in the order in which they are simulated: wherever that ends, cells and policies are level."""
    for gpus in _sizes(study):
        cells = [
            _cell(study, sigma, landscape, policy, gpus)
            for sigma, landscape in study.cells
            for policy in (study.policy, REFERENCE)
        ]
        for row in zip(*cells, _nulls(study, gpus), strict=True):
            yield from row
    for row in zip(*_races(study), strict=True):
        yield from row


def _cell(study: Study, sigma: float, landscape: str, policy: str, gpus: int) -> list[SimulatedSwarm]:
    swarm = SimulatedSwarm(
        LANDSCAPES[landscape],
        sigma,
        policy,
        gpus=gpus,
        hours=study.hours,
        repeats=study.repeats,
        offset=study.offset,
        budget=study.budget,
        think=study.think,
        researcher=study.researcher,
    )
    return [replace(swarm, seed=study.seed + number) for number in range(study.swarms)]


def _first(study: Study) -> list[SimulatedSwarm]:
    """The swarms of the first cell: its sigma and landscape stand for all where a question is asked once."""
    return _cell(study, *study.cells[0], study.policy, study.gpus)


def _nulls(study: Study, gpus: int) -> list[SimulatedSwarm]:
    """Swarms in which no idea gains, from all cells in turn."""
    cells = [_cell(study, sigma, landscape, study.policy, gpus) for sigma, landscape in study.cells]
    chosen = [cells[number % len(cells)][number] for number in range(study.swarms)]
    return [replace(swarm, landscape=swarm.landscape.null()) for swarm in chosen]


def _races(study: Study) -> tuple[list[SimulatedSwarm], list[SimulatedSwarm]]:
    """One agent for a day, and many for as long as it takes them to get as far."""
    one = [replace(swarm, gpus=1, hours=LONG, open_end=True) for swarm in _first(study)]
    many = [replace(swarm, gpus=study.gpus, hours=LONG / SLOWEST) for swarm in one]
    return one, many
