"""The table that `swarm bench` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def table(result: Mapping[str, Any]) -> Table:
    """Agents against the sequential loop on the same work: one row per number of agents."""
    title = f"{result['budget']:g} s per run, a researcher that thinks {result['think']:g} s"
    drawn = Table("agents", "experiments/h", "times one agent", "train share", "trainer alone", title=title)
    drawn.add_row("loop", f"{result['sequential_per_hour']:.0f}", "", *_shares(result, "sequential_"))
    for count in result["agents"]:
        scaling = f"{result[f'scaling_{count}']:.2f}"
        drawn.add_row(str(count), f"{result[f'per_hour_{count}']:.0f}", scaling, *_shares(result, "", f"_{count}"))
    return drawn


def _shares(result: Mapping[str, Any], before: str, after: str = "") -> tuple[str, str]:
    return (f"{result[f'{before}train_share{after}']:.1%}", f"{result[f'{before}pure_share{after}']:.1%}")
