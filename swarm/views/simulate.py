"""The tables of `swarm simulate`: every policy beside the truth, and the figures beside their aims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from rich.console import Group
from rich.table import Table

from swarm.simulation.figures import Figure, mean, share
from swarm.simulation.night import Night, Outcome
from swarm.simulation.study import REFERENCE, Results, false_keeps

AIMS = {  # what the figures of the standard study should reach, by the beginning of their names
    "progress_ratio_0006": ">= 1",
    "progress_ratio_0012": ">= 1.15",
    "progress_ratio_1gpu": ">= 0.9",
    "false_keeps_0006_default": "<= 0.1",
    "false_keeps_0012_default": "<= 0.16",
    "false_keeps_0006_klike": "<= half of greedy's",
    "false_keeps_0012_klike": "<= 0.7 of greedy's",
    "false_champions": "<= 0.01",
    "optimism_sigma": "-0.3 to 0.3",
    "null_nights_clean": ">= 0.95",
    "duplicates_run": "<= 0.01",
    "wrongly_refused": "<= 0.01",
    "speedup_8_12h": ">= 5.5",
    "speedup_8": ">= 6.5",
    "board_ops_per_s": ">= 1000",
    "board_p99_ms": "< 20",
    "board_open_s": "< 1",
}


def tables(results: Results, flat: Mapping[str, float | None]) -> Group:
    """Every cell of the study by policy, then all figures."""
    return Group(_cells(results), _figures(flat))


def night(what: Night, outcome: Outcome, seconds: float) -> Table:
    """One night in full; `seconds` is how long it took to simulate."""
    drawn = Table(show_header=False, title=f"{what.gpus} agents, {what.hours:g} hours, {what.policy}")
    for name, value in asdict(outcome).items():
        if name != "progress":
            drawn.add_row(name.replace("_", " "), _number(value))
    drawn.add_row("true gain of the trunk", f"{outcome.gain:.5f}")
    drawn.add_row("simulated in", f"{seconds:.1f} s, {outcome.runs / seconds:.0f} runs a second")
    return drawn


def _cells(results: Results) -> Table:
    study = results.study
    title = f"{study.nights} nights of {study.hours:g} hours on {study.gpus} GPUs, {study.repeats:.0%} repeats proposed"
    drawn = Table("landscape", "sigma", "policy", "true gain, 1e-3", "headline, sigmas off", "false keeps", title=title)
    for more in ("false champions", "time on new ideas", "repeats run", "wrongly refused"):
        drawn.add_column(more)
    for sigma, landscape in study.cells:
        for policy in dict.fromkeys((study.policy, REFERENCE)):
            cell = results.of(sigma, landscape, policy)
            drawn.add_row(landscape, f"{sigma:g}", policy, *map(_shown, _columns(cell, policy)))
    return drawn


def _columns(cell: list[Outcome], policy: str) -> Iterator[Figure]:
    """greedy's headline is its record; the others' is the closing wave."""
    claims = [o.record_optimism if policy == REFERENCE else o.optimism for o in cell]
    yield mean([1e3 * o.gain for o in cell])
    yield mean([claim for claim in claims if claim is not None])
    yield false_keeps(cell)
    yield share(cell, lambda o: o.false_champions, lambda o: o.crowned)
    yield mean([o.new_share for o in cell])
    yield share(cell, lambda o: o.repeats_run, lambda o: o.repeats)
    yield share(cell, lambda o: o.wrongly_refused, lambda o: o.new_ideas)


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
