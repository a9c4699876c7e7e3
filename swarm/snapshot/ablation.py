"""The newest ablation of the leader, as views show it: its table, and how much smaller the patch becomes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from swarm.ledger import ablations
from swarm.ledger.ablations import AblationState
from swarm.ledger.database import Ledger
from swarm.ledger.rows import AblationRow, AblationStepRow, SwarmRow
from swarm.ledger.sources import load_source
from swarm.ledger.trunk import leader
from swarm.records import Source
from swarm.snapshot.records import AblationStepView, AblationView


def leaders_ablation(ledger: Ledger, swarm: SwarmRow, titles: Mapping[str, str]) -> AblationView | None:
    """That of the code that leads now; None where nobody has asked yet what of it matters."""
    best = leader(ledger, swarm.tag).source
    row = ablations.newest(ledger, swarm.tag, AblationState.ENDED, source=best)
    return ablation_view(ledger, swarm, row, titles) if row else None


def ablation_view(ledger: Ledger, swarm: SwarmRow, row: AblationRow, titles: Mapping[str, str]) -> AblationView:
    """One ablation that has ended."""
    base, full = (load_source(ledger, sha) for sha in (swarm.base_source, row.source))
    minimal = load_source(ledger, row.minimal) if row.minimal else full
    undone = {code.wanted for code in ablations.codes_of(ledger, row.id) if code.source == row.source}
    return AblationView(
        experiment=row.experiment,
        asked=row.asked,
        steps=tuple(_step(step, titles, step.experiment in undone) for step in ablations.steps_of(ledger, row.id)),
        minimal=row.minimal,
        verified=row.verified,
        loss=row.loss,
        low=row.low,
        high=row.high,
        pairs=row.pairs,
        lines=changed_lines(base, full),
        minimal_lines=changed_lines(base, minimal),
        ended=row.ended or row.began,
    )


def changed_lines(before: Source, after: Source) -> int:
    """How many lines a patch from one to the other removes and adds."""
    return sum(
        line.startswith(("+", "-"))
        for path in before.files.keys() | after.files.keys()
        for line in _changes(before.files.get(path, b""), after.files.get(path, b""))
    )


def _changes(before: bytes, after: bytes) -> list[str]:
    if before == after:
        return []
    old, new = (content.decode("utf-8", "replace").splitlines() for content in (before, after))
    return list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]


def _step(step: AblationStepRow, titles: Mapping[str, str], undone: bool) -> AblationStepView:
    return AblationStepView(
        experiment=step.experiment,
        title=titles.get(step.experiment, step.experiment),
        gain=step.gain,
        low=step.low,
        high=step.high,
        runs=step.runs,
        dropped=step.dropped,
        together=tuple(step.together.split()),
        undone=undone,
    )
