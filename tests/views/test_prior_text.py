"""The report tells which share of the keeps came from what was known elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from swarm.snapshot.records import KnownView, Snapshot
from swarm.views.experiment import render_experiment
from swarm.views.prior_text import prior_section
from swarm.views.report import write_report
from swarm.wording.verdict_text import judged


def labelled(snapshot: Snapshot, *labels: str) -> Snapshot:
    """With these labels in turn: first the keeps, then the others."""
    keeps, rest = cycle(labels[:3]), cycle(labels[3:])
    ideas = {view.id for view in judged(snapshot)}
    views = (
        replace(view, novelty=next(keeps if view.status == "keep" else rest)) if view.id in ideas else view
        for view in snapshot.experiments
    )
    return replace(snapshot, experiments=tuple(views))


def test_the_report_tells_the_share_of_keeps_that_was_known(
    make_swarm: Callable[..., Snapshot], tmp_path: Path
) -> None:
    swarm = labelled(make_swarm(), "known", "new", "new", "known-negative")
    keeps = [view for view in judged(swarm) if view.status == "keep" and not view.quarantine]
    known = [view for view in keeps if view.novelty == "known"]
    assert len(keeps) > len(known) > 0
    text = prior_section(swarm)
    assert f"Of {len(keeps)} keeps, {len(known)} ({len(known) / len(keeps):.0%}) came from what was known" in text
    assert f"{len(known)} known, 0 known-negative, {len(keeps) - len(known)} new" in text
    report, _ = write_report(swarm, tmp_path, None, {})
    assert "## Prior art" in report.read_text()


def test_it_names_what_was_known_and_whether_anybody_measured_it(make_swarm: Callable[..., Snapshot]) -> None:
    swarm = labelled(make_swarm(), "known", "known", "new", "new")
    known = [view for view in judged(swarm) if view.status == "keep" and view.novelty == "known"]
    kinds = {
        known[0].id: KnownView("half <b>batch", "a paper", 0.0119, False),
        known[1].id: KnownView("x", "y", 1, True),
    }
    views = (replace(view, known=kinds.get(view.id)) for view in swarm.experiments)
    text = prior_section(replace(swarm, experiments=tuple(views)))
    assert "gain +0.0119 there, measured; a paper)" in text and "gain +1 there, estimated; y)" in text
    assert "half \\<b>batch" in text and "Of 1 of these the effect elsewhere is an estimate." in text
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(render_experiment(replace(known[1], known=kinds[known[1].id]), [], "", ""))
    assert "known elsewhere: x: gain +1 there, estimated; y" in console.export_text()


def test_without_prior_art_nothing_is_said(make_swarm: Callable[..., Snapshot]) -> None:
    assert prior_section(make_swarm()) == ""
