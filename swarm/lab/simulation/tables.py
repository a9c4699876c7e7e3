"""The tables that `swarm simulate` prints: the policies side by side, and the figures with their aims."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import asdict
from statistics import quantiles

from rich.console import Console, Group
from rich.table import Table

from swarm.lab.simulation.figures import Figure, mean, share
from swarm.lab.simulation.simulated_swarm import Effort, Outcome, SimulatedSwarm
from swarm.lab.simulation.study import REFERENCE, Results, false_keeps
from swarm.snapshot.records import Snapshot
from swarm.text import plural
from swarm.views.leaderboard import render

AIMS_OF_ONE_GPU = {
    "progress_ratio_0006_default_1gpu": ">= 1",
    "progress_ratio_0012_default_1gpu": ">= 1.2",
    "progress_ratio_0006_klike_1gpu": ">= 1.2",
    "progress_ratio_0012_klike_1gpu": ">= 1.6",
}
AIMS = AIMS_OF_ONE_GPU | {  # what the figures of the standard study should reach, by the beginning of their names
    "progress_ratio_0006_default": ">= 1.05",
    "progress_ratio_0012_default": ">= 1.25",
    "progress_ratio_0006_klike": ">= 1.2",
    "progress_ratio_0012_klike": ">= 1.5",
    "progress_ratio_1gpu": ">= 1",
    "false_keeps": "<= 0.08",
    "false_champions": "<= 0.01",
    "optimism_sigma": "-0.15 to 0.15",
    "null_nights_clean": ">= 0.99",
    "null_nights_kept": "<= 0.03",
    "duplicates_run": "<= 0.01",
    "wrongly_refused": "<= 0.01",
    "speedup_8_12h": ">= 5.5",
    "speedup_8": ">= 6",
    "board_ops_per_s": ">= 1000",
    "board_usual_p99_ms": "< 20",
    "board_open_s": "< 1",
}


def tables(results: Results, flat: Mapping[str, float | None]) -> Group:
    """Every cell of the study by policy, then all figures."""
    study, counts = results.study, results.counts()
    many = ", ".join(f"{count} on {plural(gpus, 'GPU')}" for gpus, count in counts.items())
    what = (
        f"swarms of {study.hours:g} hours for every policy, the same ideas for all: {many};"
        f" {study.repeats:.0%} of proposals are repeats."
    )
    cells = [(*cell, gpus) for gpus, count in counts.items() if count for cell in study.cells]
    return Group(what, *(_cell(results, *cell) for cell in cells), _figures(flat), *_missing(flat))


def _missing(flat: Mapping[str, float | None]) -> list[str]:
    """Which figures there was no time for, in one line; none where all are there."""
    names = [name for name, value in flat.items() if value is None and not name.startswith("se_")]
    return [f"too few swarms for: {', '.join(names)}; without --quick they are simulated too"] if names else []


def swarm_table(swarm: SimulatedSwarm, outcome: Outcome, effort: Effort) -> Table:
    """One swarm in full, and what it took to simulate."""
    drawn = Table(show_header=False, title=f"{swarm.gpus} agents, {swarm.hours:g} hours, {swarm.policy}")
    for name, value in asdict(outcome).items():
        if name not in ("progress", "judged"):
            drawn.add_row(name.replace("_", " "), _number(value))
    drawn.add_row("true gain of the trunk", f"{outcome.gain:.5f}")
    drawn.add_row("simulated in", f"{effort.seconds:.1f} s, {outcome.runs / effort.seconds:.0f} runs a second")
    drawn.add_row("an hour of it in", f"{effort.seconds / swarm.hours:.1f} s")
    median, slow = (quantiles(effort.calls, n=100)[place] for place in (49, 98))
    drawn.add_row("a call to the board", f"{1e3 * median:.3g} ms, one in a hundred {1e3 * slow:.3g} ms or more")
    drawn.add_row("the leaderboard drawn in", f"{1e3 * _frame(effort.snapshot):.0f} ms, of {swarm.gpus} agents")
    return drawn


def _frame(snapshot: Snapshot) -> float:
    """Seconds that one picture of the leaderboard takes on a screen with a row for every agent."""
    width, height = 120, len(snapshot.agents) + 40
    screen, begun = Console(file=io.StringIO(), width=width, height=height), time.perf_counter()
    screen.print(render(snapshot, width, height))
    return time.perf_counter() - begun


def _cell(results: Results, sigma: float, landscape: str, gpus: int) -> Table:
    """One landscape, sigma and number of GPUs: the policies side by side."""
    policies = list(dict.fromkeys((results.study.policy, REFERENCE)))
    columns = [_column(results.of(sigma, landscape, policy, gpus), policy) for policy in policies]
    drawn = Table(
        "", *policies, title=f"{landscape} landscape, sigma {sigma:g}, {plural(gpus, 'GPU')}", title_justify="left"
    )
    for name in columns[0]:
        drawn.add_row(name, *(_shown(column[name]) for column in columns))
    return drawn


def _column(cell: list[Outcome], policy: str) -> Mapping[str, Figure]:
    """greedy's headline is its record; the others' is the closing wave."""
    claims = [o.record_optimism if policy == REFERENCE else o.optimism for o in cell]
    return {
        "true gain of the trunk, 1e-3": mean([1e3 * o.gain for o in cell]),
        "headline better than the truth by, sigmas": mean([claim for claim in claims if claim is not None]),
        "steps that the trunk took, and took back": mean([o.steps for o in cell]),
        "steps that stand at the end": mean([o.standing for o in cell]),
        "edits carried onto a moved trunk": mean([o.rebases for o in cell]),
        "of these kept": mean([o.keeps for o in cell]),
        "false keeps": false_keeps(cell),
        "false champions": share(cell, lambda o: o.false_champions, lambda o: o.crowned),
        "GPU time on new ideas": mean([o.new_share for o in cell]),
        "repeats that were run": share(cell, lambda o: o.repeats_run, lambda o: o.repeats),
        "proposals refused": share(cell, lambda o: o.refused, lambda o: o.proposals),
        "new ideas refused": share(cell, lambda o: o.wrongly_refused, lambda o: o.new_ideas),
    }


def _figures(flat: Mapping[str, float | None]) -> Table:
    drawn = Table("figure", "value", "standard error", "aim")
    for name, value in flat.items():
        if not name.startswith("se_"):
            aim = next((aim for start, aim in AIMS.items() if name.startswith(start)), "")
            drawn.add_row(name, _number(value), _number(flat.get(f"se_{name}")), aim)
    return drawn


def _shown(figure: Figure) -> str:
    return _number(figure.value) + (f" ± {figure.se:.2g}" if figure.se is not None else "")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
