"""A scale ladder: means, gain and compute multiplier at each budget, for a terminal, the report, or as JSON."""

from __future__ import annotations

from typing import Any

from msgspec import structs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.judge.ladder import Ladder, LadderRung, LadderVerdict, Multiplier
from swarm.project.durations import write_duration
from swarm.snapshot.records import LadderView, Snapshot
from swarm.wording.formatting import UNKNOWN, Portable, Scale, clean, short_id
from swarm.wording.markdown import escape, table

_STYLES = {"holds": "green", "shrinks": "yellow", "gone": "red", "unclear": "yellow"}
_SAYS = {
    LadderVerdict.HOLDS: "holds: there is a gain at the longest budget, and it saves as much training there",
    LadderVerdict.SHRINKS: "shrinks: there is a gain at the longest budget, and it saves clearly less training there",
    LadderVerdict.GONE: "gone: at the longest budget no gain is to be seen, and clearly less than at the shortest",
    LadderVerdict.UNCLEAR: "unclear: these runs do not tell; more seeds would",
}
HEADINGS = ("budget", "baseline", "experiment", "gain", "baseline must train", "n")
BEYOND = "* read off a straight line beyond the baseline's own ladder"


def render_ladder(snapshot: Snapshot, view: LadderView) -> RenderableType:
    """One row a budget, and the verdict."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in HEADINGS:
        drawn.add_column(heading, justify="right")
    for rung in view.ladder.rungs:
        drawn.add_row(*map(Text, _cells(snapshot, rung)))
    verdict = view.ladder.verdict
    parts: list[RenderableType] = [
        Text(f"{clean(view.experiment)}  {clean(view.title)}  against {clean(view.rival)}", "bold"),
        drawn,
        Text(_SAYS[verdict], _STYLES[verdict]),
    ]
    if _beyond(view.ladder):
        parts.append(Text(BEYOND, "dim"))
    return Portable(Group(*parts))


def ladders_section(snapshot: Snapshot) -> str:
    """All ladders of the swarm for the report; "" where there is none."""
    parts = []
    for view in snapshot.ladders:
        rows = [dict(zip(HEADINGS, _cells(snapshot, rung), strict=True)) for rung in view.ladder.rungs]
        beyond = [BEYOND.replace("*", "\\*", 1)] if _beyond(view.ladder) else []
        what = f"{short_id(view.experiment, snapshot.tag)} {escape(view.title)}: **{_SAYS[view.ladder.verdict]}**."
        parts.append("\n\n".join([what, table(rows), *beyond]))
    return "\n\n".join(parts)


def ladder_json(snapshot: Snapshot, view: LadderView) -> dict[str, Any]:
    """The same as an object, with means in the metric's own direction; gains above 0 are better."""
    sign = 1 if snapshot.direction == "lower" else -1
    rungs = [
        structs.asdict(rung) | {"ours": sign * rung.ours, "theirs": sign * rung.theirs} for rung in view.ladder.rungs
    ]
    return {
        "experiment": view.experiment,
        "against": view.rival,
        "metric": snapshot.metric,
        "direction": snapshot.direction,
        "rungs": rungs,
        "verdict": view.ladder.verdict,
    }


def _cells(snapshot: Snapshot, rung: LadderRung) -> tuple[str, ...]:
    scale, sign = Scale.of(snapshot), 1 if snapshot.direction == "lower" else -1
    return (
        write_duration(rung.budget),
        scale.value(sign * rung.theirs),
        scale.value(sign * rung.ours),
        scale.interval(rung.gain, rung.low, rung.high),
        times(rung.multiplier),
        f"{rung.pairs} + {rung.pairs}",
    )


def times(multiplier: Multiplier | None) -> str:
    """`1.42x (1.2 to 1.7)`."""
    if multiplier is None:
        return UNKNOWN
    mark = "*" if multiplier.beyond else ""
    return f"{multiplier.value:.3g}x{mark} ({multiplier.low:.2g} to {multiplier.high:.2g})"


def _beyond(ladder: Ladder) -> bool:
    return any(rung.multiplier and rung.multiplier.beyond for rung in ladder.rungs)
