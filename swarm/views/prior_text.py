"""What prior art says of a swarm's ideas: how many were known elsewhere, and which share of the keeps was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.wording.formatting import plural, share, short_id
from swarm.wording.markdown import escape
from swarm.wording.prior_art import known_text
from swarm.wording.verdict_text import judged

KINDS = ("known", "known-negative", "new")


def prior_section(snapshot: Snapshot) -> str:
    """The section of the report; "" where there is no prior art, or nothing was judged."""
    ideas = [view for view in judged(snapshot) if view.novelty]
    if not ideas:
        return ""
    keeps = [view for view in ideas if view.status == "keep" and not view.quarantine]
    known = [view for view in keeps if view.novelty != "new"]
    lines = [
        f"Of {plural(len(ideas), 'judged idea')}, {_counted(ideas)}."
        " Known means that it paid somewhere else, known-negative that it only lost there."
    ]
    if keeps:
        part = f"{len(known)} ({share(len(known) / len(keeps))})"
        lines.append(
            f"Of {plural(len(keeps), 'keep')}, {part} came from what was known: {_counted(keeps)}.{_estimates(known)}"
        )
    lines += [f"- {short_id(view.id, snapshot.tag)} {escape(view.title)}: {_label(view)}" for view in keeps]
    return "\n".join([lines[0], "", *lines[1:2], "", *lines[2:]]).strip()


def _counted(views: Iterable[ExperimentView]) -> str:
    counts = Counter(view.novelty for view in views)
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)


def _label(view: ExperimentView) -> str:
    return f"{view.novelty} ({escape(known_text(view.known))})" if view.known else view.novelty


def _estimates(known: Sequence[ExperimentView]) -> str:
    """How much of what was known nobody measured."""
    number = sum(view.known is not None and view.known.estimated for view in known)
    return f" Of {number} of these the effect elsewhere is an estimate." if number else ""
