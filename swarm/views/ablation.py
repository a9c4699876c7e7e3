"""The result of an ablation: which steps of the leader matter, for a terminal, the report, or as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.snapshot.records import AblationView, Snapshot
from swarm.views.strict_json import strict_json
from swarm.wording.ablation import ABOUT, HEADINGS, ablation_sentence, cells
from swarm.wording.formatting import Portable, Scale, clean
from swarm.wording.markdown import escape, table


def render_ablation(snapshot: Snapshot, found: AblationView) -> RenderableType:
    """One row a step, and what can go."""
    scale = Scale.of(snapshot)
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in HEADINGS:
        drawn.add_column(heading, justify="right" if heading in HEADINGS[1:3] else "left", overflow="fold")
    for step in found.steps:
        drawn.add_row(*map(Text, cells(step, scale, snapshot.tag)), style="dim" if step.dropped else "")
    sentence = ablation_sentence(found, scale, snapshot.tag)
    return Portable(Group(Text(clean(found.experiment), "bold"), drawn, Text(sentence)))


def ablation_section(snapshot: Snapshot) -> str:
    """The same for the report; "" where nobody asked what of the leader matters."""
    found = snapshot.ablation
    if found is None or not found.steps:
        return ""
    scale = Scale.of(snapshot)
    rows = [dict(zip(HEADINGS, map(escape, cells(step, scale, snapshot.tag)), strict=True)) for step in found.steps]
    return "\n\n".join([ABOUT, table(rows), ablation_sentence(found, scale, snapshot.tag)])


def ablation_json(snapshot: Snapshot, found: AblationView) -> dict[str, Any]:
    """The same as one object; gains above 0 are better."""
    return {
        "tag": snapshot.tag,
        "metric": snapshot.metric,
        "direction": snapshot.direction,
        **strict_json(found),
        "verdict": ablation_sentence(found, Scale.of(snapshot), snapshot.tag),
    }
