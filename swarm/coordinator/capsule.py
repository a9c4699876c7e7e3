"""Makes a capsule of an experiment: its change and what fresh runs of it should give, from the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

from swarm.errors import UsageError
from swarm.history.repository import History
from swarm.launch.capsule import FORMAT, Capsule, digest, expected, write_capsule
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiment
from swarm.ledger.measurements import Which, noise, values
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import Transaction, of_swarm


def make_capsule(root: Path, ledger: Ledger, tag: str, name: str, seeds: int, place: Path, patch: str) -> Capsule:
    """Writes the capsule of this experiment to `place`. UsageError where nothing can be expected of fresh runs."""
    tx, row = of_swarm(ledger, tag), experiment(ledger, name)
    swarm, base = tx.swarm, load_source(ledger, tx.swarm.base_source)
    source = load_source(ledger, row.source or "")
    files = source.edit_from(base).files
    if not files or row.baseline:
        raise UsageError(f"{name} is the untouched code: there is nothing to put into a capsule")
    known, found = noise(tx), _values(tx, row.source or "", Which.UNSELECTED)
    fresh = len(found) > 1
    found = found if fresh else _values(tx, row.source or "", Which.ALL)
    if not found or known.sigma is None:
        raise UsageError(f"{name} was not measured often enough to say what fresh runs of it should give: `confirm` it")
    untouched, sign, mean = _values(tx, swarm.base_source, Which.ALL), swarm.sign, fmean(found)
    low, high = sorted(sign * end for end in expected(mean, known.sigma, len(found), seeds, known.df))
    capsule = Capsule(
        format=FORMAT,
        tag=tag,
        experiment=name,
        title=row.title,
        metric=swarm.metric,
        direction=swarm.direction,
        base_commit=swarm.base_commit,
        budget=swarm.budget,
        seeds=seeds,
        mean=sign * mean,
        low=low,
        high=high,
        runs=len(found),
        fresh=fresh,
        baseline=sign * fmean(untouched) if untouched else None,
        gain=fmean(untouched) - mean if untouched else None,
        key=json.loads(swarm.key),
        files={path: digest(content) for path, content in files.items()},
        below=History(root).prefix.rstrip("/") or ".",
    )
    write_capsule(place, capsule, files, patch)
    return capsule


def _values(tx: Transaction, source: str, which: Which) -> list[float]:
    return values(tx, noise(tx), source, which)
