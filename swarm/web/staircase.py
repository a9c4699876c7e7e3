"""The staircase as SVG: every judged experiment, and the steps of those that were kept. Each point leads to its row."""

from __future__ import annotations

import math
from collections.abc import Sequence

from swarm.snapshot.records import ExperimentView, Snapshot, TrunkView
from swarm.web.html import Html, el
from swarm.wording.formatting import Scale, clean, short_id
from swarm.wording.stairs import Window, band, window
from swarm.wording.verdict_text import judged, outcome_word, tried

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 58, 10, 14, 34
_NAMED = 50  # characters of a title beside a point
# The classes of points; all others are discards.
_KINDS = {"kept": "k", "carried": "k", "crashed": "c", "near miss": "m", "held": "h"}


def staircase(snapshot: Snapshot) -> Html:
    """The picture; without experiments only its axes."""
    experiments = judged(snapshot)
    false = {experiment.id for experiment in experiments if experiment.quarantine}
    steps = [step for step in snapshot.trunk if step.experiment not in false and step.value is not None]
    scale, view = Scale.of(snapshot), window(snapshot, experiments)
    plane = _Plane(view, max(len(experiments), 8))
    told = f"{len(tried(snapshot))} experiments and {max(len(steps) - 1, 0)} steps of the trunk, by {scale.metric}"
    return el(
        "svg",
        el("title", told),
        _axes(plane, scale, len(experiments)),
        _baseline(plane, snapshot, scale),
        _steps(plane, steps, experiments),
        [_point(plane, place, each, snapshot, scale) for place, each in enumerate(experiments, 1)],
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="stairs",
    )


class _Plane:
    """Where a value and the number of a verdict lie in the picture."""

    def __init__(self, view: Window, count: int):
        margin = 0.04 * (view.high - view.low)
        self.view, self.low, self.high, self.count = view, view.low - margin, view.high + margin, count

    def x(self, place: float) -> str:
        return _short(LEFT + (WIDTH - LEFT - RIGHT) * place / (self.count + 1))

    def y(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return _short(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(max(share, 0.0), 1.0))


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within an interval, about `count` of them."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return []
    rough = span / count
    size = 10.0 ** math.floor(math.log10(rough))
    pitch = next((size * factor for factor in (1, 2, 5) if size * factor >= rough), size * 10)
    first = math.ceil(low / pitch)
    return [number * pitch for number in range(first, first + count * 3) if number * pitch <= high]


def _axes(plane: _Plane, scale: Scale, count: int) -> Html:
    lines = [
        [
            el("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=plane.y(value), y2=plane.y(value)),
            el("text", scale.value(value), x=LEFT - 8, y=plane.y(value), dy=".33em", text_anchor="end"),
        ]
        for value in ticks(plane.low, plane.high)
    ]
    places = [round(place) for place in ticks(0, count) if place == round(place)]
    numbers = [el("text", str(place), x=plane.x(place), y=HEIGHT - 12, text_anchor="middle") for place in places]
    return el("g", *lines, numbers, class_="axis")


def _baseline(plane: _Plane, snapshot: Snapshot, scale: Scale) -> Html | None:
    if snapshot.baseline is None:
        return None
    height = plane.y(snapshot.baseline)
    sigma = snapshot.sigma or 0.0
    top, bottom = plane.y(snapshot.baseline + sigma), plane.y(snapshot.baseline - sigma)
    noise = el(
        "rect", class_="noise", x=LEFT, width=WIDTH - LEFT - RIGHT, y=top, height=_short(float(bottom) - float(top))
    )
    return el(
        "g",
        noise if sigma else None,
        el("line", class_="base", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height),
        el("text", f"baseline {scale.value(snapshot.baseline)}", x=WIDTH - RIGHT - 4, y=height, dy="-.5em",
           text_anchor="end"),
        class_="baseline",
    )  # fmt: skip


def _steps(plane: _Plane, steps: Sequence[TrunkView], experiments: Sequence[ExperimentView]) -> Html | None:
    if len(steps) < 2:
        return None
    places = {experiment.id: place for place, experiment in enumerate(experiments, 1)}
    along = [places.get(step.experiment, 0) for step in steps]
    ends = [plane.x(place) for place in (*along[1:], plane.count + 0.6)]
    line, upper, lower = "", "", []
    for step, place, end in zip(steps, along, ends, strict=True):
        low, high = band(step)
        start = plane.x(place)
        line += f"{'L' if line else 'M'}{start},{plane.y(step.value or 0.0)}H{end}"
        upper += f"{'L' if upper else 'M'}{start},{plane.y(high)}H{end}"
        lower.append(f"L{end},{plane.y(low)}H{start}")
    return el(
        "g", el("path", class_="band", d=f"{upper}{''.join(reversed(lower))}Z"), el("path", class_="step", d=line)
    )


def _point(plane: _Plane, place: int, each: ExperimentView, snapshot: Snapshot, scale: Scale) -> Html:
    word = outcome_word(each, snapshot.sigma)
    name = short_id(clean(each.id), snapshot.tag)
    value, x = (None if each.quarantine else each.value), plane.x(place)
    figures = f" {scale.value(value)} ({scale.change(each.gain)})" if value is not None else ""
    told = el("title", f"{name} {word}{figures}: {clean(each.title)[:_NAMED]}")
    if value is None:
        ended = each.status != "crash" and not each.quarantine
        mark = el("path", class_="d" if ended else "c", d=f"M{x},{HEIGHT - BOTTOM - 5}v10")
    else:
        mark = el("circle", class_=_KINDS.get(word, "d"), cx=x, cy=plane.y(plane.view.hold(value)))
    return el("a", told, mark, href=f"#{name}")
