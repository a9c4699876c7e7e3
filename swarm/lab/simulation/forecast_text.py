"""A forecast for people: what edits do in this project, the policies side by side, and what nobody can know."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table

from swarm.lab.simulation.fit import Range
from swarm.lab.simulation.forecast import REFERENCE, Forecast, Foreseen
from swarm.text import plural
from swarm.wording.formatting import clean


def forecast_text(made: Forecast) -> Group:
    """Everything, for a terminal."""
    evidence, setting = made.evidence, made.setting
    next_one = (
        f"the next swarm: {plural(setting.gpus, 'GPU')}, {setting.hours:.3g} hours, {setting.budget:.3g} s a run;"
        f" {plural(made.swarms, 'simulated swarm')} of each policy, the same ideas for all"
    )
    told = f"{clean(evidence.name)}: {clean(evidence.metric)}, {evidence.direction} is better; from"
    ideas = f"{told} {plural(made.fit.ideas, 'idea')} with a number"
    if evidence.crashed:
        ideas = f"{ideas}, and {evidence.crashed} that crashed"
    return Group(ideas, _fitted(made), "", next_one, _policies(made), "", "What this cannot know:", *_unknown(made))


def _fitted(made: Forecast) -> Table:
    drawn = Table("what edits do here", "value", "95% interval")
    fitted, evidence, sigma = made.fit, made.evidence, made.evidence.sigma.value
    rows: list[tuple[str, Range | None, str]] = [
        ("share that gains", fitted.gain, ".0%"),
        ("share that loses", fitted.bad, ".0%"),
        ("a gain, on average", fitted.mean_gain.times(sigma), ".2g"),
        ("a loss, on average", fitted.mean_loss.times(sigma), ".2g"),
        ("noise of one run (sigma)", evidence.sigma, ".2g"),
        ("GPUs lie apart by, in sigmas", evidence.offset, ".2f"),
    ]
    for name, found, shape in rows:
        if found is not None:
            drawn.add_row(name, f"{found.value:{shape}}", f"{found.low:{shape}} to {found.high:{shape}}")
    return drawn


def _policies(made: Forecast) -> Table:
    metric = clean(made.evidence.metric)
    drawn = Table(
        *("policy", f"true gain of {metric}", "between", f"over {REFERENCE}"),
        *("steps that stand", "kept", "of these false", "ideas tried"),
    )
    decimals = max(0, 1 - math.floor(math.log10(made.evidence.sigma.value)))
    for one in made.policies:
        drawn.add_row(*_cells(one, decimals))
    return drawn


def _cells(one: Foreseen, decimals: int) -> tuple[str, ...]:
    over, gain = one.over_greedy, one.gain
    ratio = "-" if over.value is None else f"{over.value:.2f}" + (f" ± {over.se:.2f}" if over.se else "")
    return (
        one.policy,
        f"{gain.value:.{decimals}f}",
        f"{gain.low:.{decimals}f} to {gain.high:.{decimals}f}",
        ratio,
        f"{one.standing:.1f}",
        f"{one.kept:.1f}",
        f"{one.false_kept:.0%}",
        f"{one.ideas:.0f}",
    )


def _unknown(made: Forecast) -> list[Padding]:
    return [Padding(f"- {line}", (0, 0, 0, 2)) for line in made.unknown]


def forecast_json(made: Forecast) -> dict[str, Any]:
    """The same as plain values. Gains are positive where better, in the metric's units."""
    evidence, sigma = made.evidence, made.evidence.sigma.value
    return {
        "source": evidence.name,
        "metric": evidence.metric,
        "direction": evidence.direction,
        "ideas": made.fit.ideas,
        "crashed": evidence.crashed,
        "fitted": {
            "gain_share": _plain(made.fit.gain),
            "loss_share": _plain(made.fit.bad),
            "mean_gain": _plain(made.fit.mean_gain.times(sigma)),
            "mean_loss": _plain(made.fit.mean_loss.times(sigma)),
            "sigma": _plain(evidence.sigma),
            "offset_sigmas": evidence.offset and _plain(evidence.offset),
        },
        "gpus": made.setting.gpus,
        "hours": made.setting.hours,
        "run_seconds": made.setting.budget,
        "swarms": made.swarms,
        "policies": [
            {
                "policy": one.policy,
                "gain": one.gain.value,
                "low": one.gain.low,
                "high": one.gain.high,
                "over_greedy": one.over_greedy.value,
                "se_over_greedy": one.over_greedy.se,
                "standing": one.standing,
                "kept": one.kept,
                "false_kept": one.false_kept,
                "ideas": one.ideas,
            }
            for one in made.policies
        ],
        "unknown": list(made.unknown),
    }


def _plain(found: Range) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}
