"""results.tsv of every agent, written from the ledger: a row per judged experiment, as existing notebooks read it."""

from __future__ import annotations

import math
from pathlib import Path

from swarm.ledger.agents import agents
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import judged, own_mean
from swarm.ledger.imported import SHORT
from swarm.ledger.rows import ExperimentRow
from swarm.ledger.run_counts import peak_memory_mb
from swarm.ledger.transaction import of_swarm
from swarm.records import Outcome, Status
from swarm.text import one_line


def results_header(metric: str) -> str:
    """The first line, with the project's own metric as the name of its column."""
    return f"commit\t{one_line(metric)}\tmemory_gb\tstatus\tdescription"


def write_results(ledger: Ledger, tag: str, folder: Path) -> None:
    """Writes `folder`/gpu<k>/results.tsv of every agent of the swarm, where it changed."""
    swarm = of_swarm(ledger, tag).swarm
    header, only = results_header(swarm.metric), " (demonstration only)" * bool(swarm.settings.get("demonstration"))
    rows = [row for row in judged(ledger, tag) if row.commit_sha]
    for agent in agents(ledger, tag):
        lines = [_line(ledger, row) + only for row in rows if row.agent == agent.agent]
        text = "\n".join([header, *lines]) + "\n"
        path = folder / agent.agent / "results.tsv"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".tmp")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)


def _line(ledger: Ledger, row: ExperimentRow) -> str:
    status = Status.CRASH if row.status is Status.KEEP and row.quarantine else row.status  # its number is false
    crashed = status is Status.CRASH
    mean = None if crashed else own_mean(ledger, row.id)
    memory = peak_memory_mb(ledger, row.restores or row.id)
    gigabytes = memory / 1024 if memory and not crashed else 0.0
    known = [f"n={row.n}"] if row.n > 1 else []
    known += [f"p={row.real_at_verdict:.2f}"] if row.real_at_verdict is not None and not row.quarantine else []
    known += ["ended half way as hopeless, so without a number"] if row.outcome is Outcome.FUTILE else []
    runs = f" ({', '.join(known)})" if known else ""
    value = mean if mean is not None else 0.0 if crashed else math.nan  # 0.0 would be everybody's best
    return f"{(row.commit_sha or '')[:SHORT]}\t{value:.6f}\t{gigabytes:.1f}\t{status}\t{one_line(row.title)}{runs}"
