"""The loss of a run while it trained beside its parent's, as a small picture."""

from __future__ import annotations

from collections.abc import Sequence

from swarm.web.html import Html, el

WIDTH, HEIGHT, EDGE = 300, 90, 4
_STEEP = 1.5  # times the lowest loss: what is above is the start, which would flatten all that differs

Curve = Sequence[tuple[float, float]]


def curves(own: Curve, parents: Curve) -> Html | None:
    """The picture; None where there is nothing to draw a line through."""
    if len(own) < 2:
        return None
    points = [*own, *parents]
    low = min(loss for _, loss in points)
    high = min(max(loss for _, loss in points), low + (abs(low) or 1.0) * (_STEEP - 1))
    end = max(seconds for seconds, _ in points) or 1.0
    last = f"{own[-1][1]:.3f}" + (f", its parent's {parents[-1][1]:.3f}" if parents else "")
    return el(
        "figure",
        el(
            "svg",
            _line(parents, end, low, high, "theirs") if len(parents) > 1 else None,
            _line(own, end, low, high, "ours"),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            class_="curves",
        ),
        el("figcaption", el("span", "training loss", class_="ours"), f" ends at {last}"),
    )


def _line(curve: Curve, end: float, low: float, high: float, kind: str) -> Html:
    points = []
    for seconds, loss in curve:
        share = (min(loss, high) - low) / ((high - low) or 1.0)
        x = EDGE + (WIDTH - 2 * EDGE) * seconds / end
        points.append(f"{x:.0f},{HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * share:.0f}")
    return el("polyline", class_=kind, points=" ".join(points))
