"""A record judged again, for people: what stands out of the noise, keep by keep, and a picture of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from swarm.judge.record import JudgedKeep, JudgedRecord, Recorded
from swarm.views.columns import Column, fitting_table
from swarm.wording.formatting import Scale, clean, plural, share

_GREEN, _GREY, _INK, _FAINT = "#2a9d5c", "#b9bfc6", "#24292f", "#6e7781"
_SIZE = (12.0, 6.0)  # inches, at 150 dots each


def scale_for(metric: str, direction: str, judged: JudgedRecord) -> Scale:
    """Enough decimals to see a third of a sigma."""
    return Scale(clean(metric), direction, min(12, max(2, 1 - math.floor(math.log10(judged.sigma)))))


def heading(name: str, judged: JudgedRecord, scale: Scale) -> str:
    """What the record is, in one line."""
    return (
        f"{clean(name)}: {scale.metric}, {scale.direction} is better; {plural(judged.ideas, 'experiment')},"
        f" {plural(len(judged.keeps), 'keep')} after the baseline"
    )


def summary(judged: JudgedRecord, scale: Scale, said: bool) -> Iterator[str]:
    """What came of it in a few sentences. `said` is whether sigma is known, and no guess."""
    keeps = len(judged.keeps)
    if not keeps:
        return
    known = "with" if said else "if"
    yield (
        f"{known} sigma {'' if said else 'is '}{judged.sigma:.2g}: {judged.likely} of the {plural(keeps, 'keep')} stand"
        f" out of the noise, as more likely a gain than none; about {judged.expected:.0f} of them are gains in all"
    )
    yield (
        f"the last state is recorded as {scale.value(_shown(judged.recorded, scale))};"
        f" all runs together put it at {scale.value(_shown(judged.level, scale))}"
        f" ± {scale.value((judged.high - judged.low) / 2)}: {_overstated(judged, scale)}"
    )


def _overstated(judged: JudgedRecord, scale: Scale) -> str:
    if judged.overstated > 0:
        return f"the record flatters it by {scale.value(judged.overstated)}"
    return "the record does not flatter it"


def keeps_table(ladder: Sequence[JudgedRecord], chosen: JudgedRecord, scale: Scale, width: int) -> Table:
    """A row per keep: as recorded, what is believed of it under the chosen sigma, and its chance under each."""
    chances = [
        Column(
            f"real at {judged.sigma:.2g}" if len(ladder) > 1 else "real",
            partial(_chance, {keep.line: keep.real for keep in judged.keeps}),
            1 if judged is chosen else 4,
            right=True,
        )
        for judged in ladder
    ]
    columns: list[Column[JudgedKeep]] = [
        Column("line", lambda keep: Text(str(keep.line), "dim"), 3, right=True),
        Column(scale.metric, lambda keep: Text(scale.value(_shown(keep.value, scale))), 0, right=True),
        Column("recorded as", lambda keep: Text(scale.change(keep.claimed), "dim"), 2, right=True),
        Column("believed (95%)", lambda keep: Text(scale.interval(keep.gain, keep.low, keep.high)), 1, right=True),
        *chances,
        Column("keep", lambda keep: Text(clean(keep.text)), 2, cells=16, stretch=1),
    ]
    return fitting_table(columns, chosen.keeps, width)


def _chance(real: Mapping[int, float], keep: JudgedKeep) -> Text:
    return Text(share(real[keep.line]), "green" if real[keep.line] >= 0.5 else "dim")


def as_json(judged: JudgedRecord, scale: Scale) -> dict[str, Any]:
    """The same as plain values, in the metric's own direction; a positive gain is better."""
    low, high = sorted((_shown(judged.low, scale), _shown(judged.high, scale)))
    return {
        "sigma": judged.sigma,
        "experiments": judged.ideas,
        "keeps": [
            {
                "line": keep.line,
                "description": keep.text,
                "value": _shown(keep.value, scale),
                "claimed": keep.claimed,
                "gain": keep.gain,
                "low": keep.low,
                "high": keep.high,
                "real": keep.real,
            }
            for keep in judged.keeps
        ],
        "likely": judged.likely,
        "expected": judged.expected,
        "recorded": _shown(judged.recorded, scale),
        "level": _shown(judged.level, scale),
        "low": low,
        "high": high,
        "overstated": judged.overstated,
    }


def _shown(value: float, scale: Scale) -> float:
    """A sign-normalised value as people wrote it."""
    return value if scale.direction == "lower" else -value


def draw(rows: Sequence[Recorded], judged: JudgedRecord, scale: Scale, title: str, path: Path) -> None:
    """Writes a picture: every run, the recorded keeps by their chance of being real, and where the last state is."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.08, 0.11, 0.89, 0.78))
    places = {row.line: place for place, row in enumerate(rows)}
    best = [row.value for row in rows if row.kept or row is rows[0]]
    spread = max(best) - min(best) + 4 * judged.sigma
    worst = max(best) + 0.15 * spread
    axes.scatter(
        [places[row.line] for row in rows if not row.kept],
        [_shown(min(row.value, worst), scale) for row in rows if not row.kept],
        s=12, color=_GREY, label="discarded",
    )  # fmt: skip
    kept = [(0, rows[0].value), *((places[keep.line], keep.value) for keep in judged.keeps)]
    axes.step(
        [place for place, _ in kept] + [len(rows)],
        [_shown(value, scale) for _, value in kept] + [_shown(kept[-1][1], scale)],
        where="post", color=_FAINT, linewidth=1.2, label="as recorded",
    )  # fmt: skip
    for likely, label in ((True, "kept, at least even odds to be real"), (False, "kept, within the noise")):
        chosen = [keep for keep in judged.keeps if (keep.real >= 0.5) == likely]
        axes.scatter(
            [places[keep.line] for keep in chosen], [_shown(keep.value, scale) for keep in chosen], s=46, zorder=3,
            facecolor=_GREEN if likely else "white", edgecolor=_GREEN, label=f"{label}: {len(chosen)}",
        )  # fmt: skip
    level, half = _shown(judged.level, scale), (judged.high - judged.low) / 2
    axes.errorbar([len(rows)], [level], yerr=[half], fmt="D", color=_INK, capsize=4, label="where the last state is")
    axes.set_ylim(*sorted((_shown(worst + 0.03 * spread, scale), _shown(min(best) - 0.08 * spread, scale))))
    axes.set_xlabel("experiment")
    axes.set_ylabel(f"{scale.metric} ({scale.direction} is better)")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper right" if scale.direction == "lower" else "lower right")
    figure.text(0.08, 0.94, clean(title), fontsize=12, color=_INK)
    figure.savefig(path, format="png")
