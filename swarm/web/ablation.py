"""The part of the page that says which steps of the leader matter."""

from __future__ import annotations

from swarm.snapshot.records import Snapshot
from swarm.web.experiments import table
from swarm.web.html import Html, el, inline
from swarm.wording.ablation import ABOUT, HEADINGS, ablation_sentence, cells
from swarm.wording.formatting import Scale


def matters(snapshot: Snapshot) -> Html:
    """The table with what can go; hidden where nobody asked."""
    found = snapshot.ablation
    if found is None or not found.steps:
        return el("section", id="matters", hidden=True)
    scale = Scale.of(snapshot)
    rows = [list(cells(step, scale, snapshot.tag)) for step in found.steps]
    return el(
        "section",
        el("h2", "What of it matters"),
        el("p", ABOUT, class_="about"),
        table(list(HEADINGS), rows),
        el("p", inline(ablation_sentence(found, scale, snapshot.tag))),
        id="matters",
    )
