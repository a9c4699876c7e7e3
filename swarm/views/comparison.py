"""The result of the verb `confirm`: both arms, the gain with its interval and two tests, as a table or as JSON."""

from __future__ import annotations

from typing import Any

from msgspec import structs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.judge.comparison import Comparison
from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.wording.formatting import Portable, Scale, clean

_STYLES = {"better": "green", "worse": "red", "inconclusive": "yellow"}
_FEW = 6  # pairs under which Wilcoxon's test cannot fall below 0.05 whatever they say


def render_comparison(
    snapshot: Snapshot, view: ExperimentView, rival: ExperimentView, comparison: Comparison
) -> RenderableType:
    """Mean, deviation and number of runs of each arm, and what the pairs say."""
    scale = Scale.of(snapshot)
    sign = 1 if snapshot.direction == "lower" else -1
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading, justify in (
        ("experiment", "left"),
        (f"mean {scale.metric}", "right"),
        ("std", "right"),
        ("n", "right"),
        ("what", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for arm, mean, std in (
        (view, comparison.mean, comparison.std),
        (rival, comparison.rival_mean, comparison.rival_std),
    ):
        cells = (clean(arm.id), scale.value(sign * mean), f"{std:.2g}", str(comparison.pairs), clean(arm.title))
        table.add_row(*map(Text, cells))
    change = scale.interval(comparison.gain, comparison.low, comparison.high)
    student, wilcoxon = f"{comparison.t_p:.2g}", f"{comparison.wilcoxon_p:.2g}"
    parts: list[RenderableType] = [
        table,
        Text(f"change {change} (95% interval of {comparison.pairs} pairs, {scale.direction} is better)"),
        Text(f"paired t test p {student}, Wilcoxon signed-rank test p {wilcoxon} (both two-sided)"),
        Text(_verdict(comparison), _STYLES[comparison.outcome]),
    ]
    if comparison.pairs < _FEW:
        parts.append(Text(f"with fewer than {_FEW} seeds Wilcoxon's p cannot fall below 0.05: ask for 8", "dim"))
    return Portable(Group(*parts))


def _verdict(comparison: Comparison) -> str:
    if comparison.outcome == "inconclusive":
        return "inconclusive at this scale: the interval contains 0"
    return f"{comparison.outcome} than its rival: the interval excludes 0"


def comparison_json(
    snapshot: Snapshot, view: ExperimentView, rival: ExperimentView, comparison: Comparison
) -> dict[str, Any]:
    """The same as one flat object, with means in the metric's own direction; `n` is of each arm."""
    sign = 1 if snapshot.direction == "lower" else -1
    figures = structs.asdict(comparison)
    return {
        "experiment": view.id,
        "against": rival.id,
        "metric": snapshot.metric,
        "direction": snapshot.direction,
        "budget": snapshot.budget,
        "n": figures.pop("pairs"),
        **figures,
        "mean": sign * comparison.mean,
        "rival_mean": sign * comparison.rival_mean,
        "outcome": comparison.outcome,
        "verdict": _verdict(comparison),
    }
