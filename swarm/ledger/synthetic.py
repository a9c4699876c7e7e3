"""Experiments of a past that never was, as a swarm would have left them: for benchmarks of a large ledger."""

from __future__ import annotations

from swarm.codec import encode
from swarm.ledger.database import Ledger
from swarm.ledger.sources import store_source
from swarm.records import Code, Idea, Run


def add_past_experiment(
    ledger: Ledger, tag: str, agent: str, number: int, idea: Idea, intent: str, code: Code, parent: str, run: Run
) -> None:
    """One discarded experiment with its one measured run. `number` is its place among the agent's and the swarm's."""
    assert run.metrics is not None
    name, key, value = f"{tag}-{agent}-{number:06d}", "simulated", run.metrics.value
    sha = store_source(ledger, code.source)
    common = {"tag": tag, "agent": agent, "source": sha, "parent": parent, "started": run.started}
    ledger.insert(
        "experiments", id=name, owner=agent, sequence=number, state="judged", key=key, intent=intent, diff=code.diff,
        title=idea.title, rationale=idea.rationale, category=idea.category, knobs="{}", position=0, status="discard",
        outcome="no gain", gain=1.0 - value, se=1.0, n=1, created=run.started, judged=run.started, verdict=number,
        **common,
    )  # fmt: skip
    ledger.insert("fingerprints", fingerprint=code.fingerprint, key=key, experiment=name)
    ledger.insert("changes", change=code.changes[0], key=key, experiment=name)
    ledger.insert(
        "runs", id=f"{name}.1", attempt=1, experiment=name, purpose="first", seed=1001, state="measured", fence=1,
        seconds=run.seconds, training_seconds=run.training_seconds, value=value, audited=1, result=encode(run),
        **common,
    )  # fmt: skip
    ledger.insert("events", tag=tag, at=run.started, agent=agent, kind="discard", text=idea.title, experiment=name)
