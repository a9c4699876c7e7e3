"""Draws progress.png: every judged experiment of a swarm, and the staircase that the kept ones make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.wording.formatting import Scale, clean, duration, plural, shorten
from swarm.wording.headline import title
from swarm.wording.stairs import Window, band
from swarm.wording.stairs import window as window_of
from swarm.wording.verdict_text import judged, tried

_GREEN, _GREY, _RED, _INK, _FAINT = "#2a9d5c", "#b9bfc6", "#d1495b", "#24292f", "#6e7781"
_LISTED = 22  # kept steps named beside the picture
_APART = 26  # dots between two step numbers, so that they can be read
_SIZE = (12.0, 6.4)  # inches, at 150 dots each


def draw_progress(snapshot: Snapshot, path: Path) -> Path:
    """Writes the picture to `path` and returns it. Discards are grey, and grey ticks where they were ended early; steps
    are green and numbered, crashes red ticks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    experiments, scale = judged(snapshot), Scale.of(snapshot)
    false = {experiment.id for experiment in experiments if experiment.quarantine}  # no step of the stairs
    snapshot = replace(snapshot, trunk=tuple(step for step in snapshot.trunk if step.experiment not in false))
    figure = Figure(figsize=_SIZE, dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.075, 0.105, 0.615, 0.765))
    window = window_of(snapshot, experiments)
    _frame(axes, snapshot, window, len(experiments), scale)
    _baseline(axes, snapshot, scale)
    _trunk(axes, snapshot, experiments)
    _points(axes, experiments, window, better=-1 if snapshot.direction == "lower" else 1)
    _title(figure, snapshot)
    _list_steps(figure, snapshot, scale)
    figure.savefig(path, format="png")
    return path


def _frame(axes: Any, snapshot: Snapshot, window: Window, count: int, scale: Scale) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0, max(count, 8) + 1)
    margin = 0.05 * (window.high - window.low)
    axes.set_ylim(window.low - margin, window.high + margin)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#d0d7de")
    axes.tick_params(colors=_FAINT, length=0, labelsize=9)
    axes.grid(axis="y", color="#eef1f4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: scale.value(value))
    axes.set_xlabel("experiment, in the order of verdicts", color=_FAINT, fontsize=9.5, labelpad=8)
    axes.set_ylabel(f"{scale.metric} ({scale.direction} is better)", color=_FAINT, fontsize=9.5, parse_math=False)


def _baseline(axes: Any, snapshot: Snapshot, scale: Scale) -> None:
    if snapshot.baseline is None:
        return
    if snapshot.sigma:
        axes.axhspan(snapshot.baseline - snapshot.sigma, snapshot.baseline + snapshot.sigma, color="#f3f4f6", zorder=0)
    axes.axhline(snapshot.baseline, color=_FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    label = f"baseline {scale.value(snapshot.baseline)}" + (", grey: one sigma" if snapshot.sigma else "")
    axes.annotate(
        label, (1, snapshot.baseline), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
        color=_FAINT, fontsize=8.5, ha="right", parse_math=False,
    )  # fmt: skip


def _trunk(axes: Any, snapshot: Snapshot, experiments: Sequence[ExperimentView]) -> None:
    """The staircase with the 95% interval of each state, and the step's number at its corner."""
    places = {experiment.id: place for place, experiment in enumerate(experiments, 1)}
    steps = [(places.get(s.experiment, 0), s) for s in snapshot.trunk if s.value is not None]
    if len(steps) < 2:
        return
    places_along = [place for place, _ in steps] + [len(experiments) + 0.5]
    values = [step.value for _, step in steps] + [steps[-1][1].value]
    bands = [band(step) for _, step in steps]
    bands.append(bands[-1])
    axes.fill_between(
        places_along, [low for low, _ in bands], [high for _, high in bands], step="post", color=_GREEN, alpha=0.10,
        linewidth=0, zorder=1, label="95% interval of a kept state",
    )  # fmt: skip
    axes.step(places_along, values, where="post", color=_GREEN, linewidth=2, zorder=3, solid_joinstyle="round")
    beyond = -1 if snapshot.direction == "lower" else 1
    numbered: list[Any] = []
    for place, step in steps[1:]:
        corner = axes.transData.transform((place, step.value))
        if any(abs(x - corner[0]) < _APART and abs(y - corner[1]) < _APART for x, y in numbered):
            continue
        numbered.append(corner)
        axes.annotate(
            str(step.position), (place, step.value), (-7, beyond * 8), textcoords="offset points", color=_GREEN,
            fontsize=8.5, fontweight="bold", ha="center", va="center", zorder=5,
        )  # fmt: skip


def _points(axes: Any, experiments: Sequence[ExperimentView], window: Window, better: int) -> None:
    bottom = axes.get_ylim()[0]
    groups: dict[str, list[tuple[int, float]]] = {"keep": [], "discard": [], "beyond": [], "ended": [], "crash": []}
    for place, experiment in enumerate(experiments, 1):
        if experiment.status == "crash" or experiment.quarantine:
            groups["crash"].append((place, bottom))
        elif experiment.value is None:
            groups["ended"].append((place, bottom))
        elif experiment.status == "keep":
            groups["keep"].append((place, window.hold(experiment.value)))
        else:
            inside = window.holds(experiment.value)
            groups["discard" if inside else "beyond"].append((place, window.hold(experiment.value)))
    count = {name: len(points) for name, points in groups.items()}
    count["keep"] -= sum(experiment.restores is not None for experiment in experiments)  # no idea of anybody
    discarded = f"discard ({count['discard'] + count['beyond'] + count['ended']})"
    small = 18 if len(experiments) < 150 else 9
    styles = {
        "discard": {
            "s": small,
            "linewidths": 0,
            "color": _GREY,
            "label": discarded,
            "zorder": 2,
        },
        "beyond": {"s": small, "color": _GREY, "marker": "v" if better > 0 else "^", "zorder": 2},
        "ended": {"s": 60, "color": _GREY, "marker": "|", "clip_on": False}
        | ({} if groups["discard"] else {"label": discarded}),
        "crash": {"s": 60, "color": _RED, "marker": "|", "label": f"crash ({count['crash']})", "clip_on": False},
        "keep": {"s": 34, "color": _GREEN, "edgecolor": "white", "linewidths": 0.8, "label": f"keep ({count['keep']})"},
    }
    for name, style in styles.items():
        if groups[name]:
            axes.scatter(*zip(*groups[name], strict=True), **({"linewidths": 1.2, "zorder": 4} | style))
    if axes.get_legend_handles_labels()[1]:  # results beyond the picture's edge alone have no label
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=5, frameon=False, fontsize=9, labelcolor=_FAINT,
            handletextpad=0.2, columnspacing=1.2, borderpad=0,
        )  # fmt: skip


def _title(figure: Any, snapshot: Snapshot) -> None:
    details = [
        plural(len(tried(snapshot)), "experiment"),
        plural(len(snapshot.agents), "agent"),
        clean(snapshot.device),
        duration((snapshot.ended or snapshot.now) - snapshot.started),
    ]
    figure.text(0.03, 0.945, title(snapshot), color=_INK, fontsize=14, fontweight="bold", parse_math=False)
    figure.text(
        0.97, 0.945, "  ·  ".join(filter(None, details)), color=_FAINT, fontsize=9.5, ha="right", parse_math=False
    )


def _list_steps(figure: Any, snapshot: Snapshot, scale: Scale) -> None:
    """The steps in order beside the picture, each with the gain of the whole trunk up to it; pale those that were taken
    back, and those that took them back."""
    steps = [step for step in snapshot.trunk if step.position > 0]
    left, top, pitch = 0.715, 0.885, 0.0335
    if not steps:
        figure.text(left, top, "no step was kept", color=_FAINT, fontsize=9)
        return
    figure.text(left, top, f"steps, and {scale.metric} from the baseline", color=_FAINT, fontsize=9, parse_math=False)
    shown = steps[-_LISTED:]
    hidden = [step for step in steps[:-_LISTED] if step.experiment == snapshot.champion]
    shown = [*hidden, *shown[len(hidden) :]]
    standing = set(snapshot.standing) or {step.experiment for step in steps}
    for row, step in enumerate(shown, 1):
        height = top - 0.01 - row * pitch
        green, ink = (_GREEN, _INK) if step.experiment in standing else (_GREY, _GREY)
        figure.text(left + 0.018, height, str(step.position), color=green, fontsize=8.5, fontweight="bold", ha="right")
        star, weight = ("★ ", "bold") if step.experiment == snapshot.champion else ("", "normal")
        name = star + shorten(clean(step.title), 30)
        figure.text(left + 0.026, height, name, color=ink, fontsize=8.5, fontweight=weight, parse_math=False)
        figure.text(0.985, height, scale.change(step.gain), color=_FAINT, fontsize=8.5, ha="right", parse_math=False)
    if len(steps) > len(shown):
        earlier = f"and {plural(len(steps) - len(shown), 'earlier step')}"
        figure.text(left + 0.026, top - 0.01 - (len(shown) + 1) * pitch, earlier, color=_FAINT, fontsize=8.5)
