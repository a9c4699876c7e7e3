"""What a person can decide about an experiment, and by which verbs."""

from __future__ import annotations

from collections.abc import Mapping

from swarm.snapshot.records import ExperimentView
from swarm.wording.verdict_text import is_held, is_large


def decisions(view: ExperimentView, name: str) -> Mapping[str, str]:
    """The verbs that are open for it, typed as they are, and what each does. `name` is how it is called there."""
    if is_held(view):
        return {f"swarm accept {name}": "keeps it", f"swarm reject {name}": "turns it down"}
    if is_large(view):
        return {f"swarm reject {name}": "takes it back with what was built on it"}
    return {}
