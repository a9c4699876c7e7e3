"""What the page shows of an experiment beside its numbers: change, losses beside its parent's, last words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import SwarmError
from swarm.history.repository import History
from swarm.ledger.curves import Key, LeftByRun, left_by_runs
from swarm.ledger.database import Ledger
from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.text import whole

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """Of one experiment, whatever of it there is. Curves are (counted seconds, mean training loss until then)."""

    patch: str = ""
    curve: Curve = ()
    parents_curve: Curve = ()
    log_tail: str = ""  # of a run that failed


class DetailReader:
    """Reads the details of a swarm; what it has read once it does not read again."""

    def __init__(self, root: Path, ledger: Ledger, tag: str):
        self._root, self._ledger, self._tag = root, ledger, tag
        self._runs: dict[Key, LeftByRun] = {}
        self._patches: dict[str, str] = {}  # by commit

    def read(self, snapshot: Snapshot) -> dict[str, Detail]:
        """The details by experiment; where git cannot say what changed, without its patch."""
        with self._ledger.reading():
            self._runs |= {(run.run, run.attempt): run for run in left_by_runs(self._ledger, self._tag, self._runs)}
        judged = [view for view in snapshot.experiments if view.status and not view.baseline]
        self._read_patches(judged)
        by_experiment: dict[str, list[LeftByRun]] = {}
        by_source: dict[str, list[LeftByRun]] = {}
        for run in self._runs.values():
            by_experiment.setdefault(run.experiment, []).append(run)
            if run.measured and run.curve:
                by_source.setdefault(run.source, []).append(run)
        return {view.id: self._detail(view, by_experiment.get(view.id, []), by_source) for view in judged}

    def _detail(self, view: ExperimentView, runs: list[LeftByRun], by_source: Mapping[str, list[LeftByRun]]) -> Detail:
        own = next((run for run in runs if run.curve and run.source != run.parent and run.purpose == "first"), None)
        beside = by_source.get(own.parent, []) if own else []
        parent = next((run for run in beside if own and run.seed == own.seed), next(iter(beside), None))
        return Detail(
            patch=self._patches.get(view.commit or "", ""),
            curve=own.curve if own else (),
            parents_curve=parent.curve if parent else (),
            log_tail=next((run.log_tail for run in reversed(runs) if run.log_tail), "") if view.failure else "",
        )

    def _read_patches(self, judged: list[ExperimentView]) -> None:
        wanted = {
            view.commit: view.parent
            for view in judged
            if view.commit and view.parent and view.commit != view.parent and view.commit not in self._patches
        }
        if not wanted:
            return
        try:
            found = History(self._root).diffs(wanted)
        except SwarmError:  # the repository was cleaned up, or moved away: everything else can still be shown
            found = {}
        self._patches |= {commit: whole(found.get(commit, "")) for commit in wanted}
