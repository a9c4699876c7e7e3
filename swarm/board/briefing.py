"""What a researcher knows before it has an idea, from one consistent state of the ledger."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from swarm.board import program, repeats
from swarm.board.findings import finding, findings
from swarm.board.limits import plateau
from swarm.ledger import experiments, measurements, run_results, trunk
from swarm.ledger.agents import agent_row
from swarm.ledger.database import Ledger
from swarm.ledger.events import notes
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import Transaction
from swarm.project.prior import stored
from swarm.records import Briefing, Dossier, Idea, Run


def brief(tx: Transaction, agent: str, text: str) -> Briefing:
    """The briefing of one agent; `text` is program.md, of which it reads what is for it."""
    ledger, swarm, newest = tx.ledger, tx.swarm, trunk.tip(tx.ledger, tx.tag)
    known, live, tally = findings(tx), _live(ledger, tx.tag), _tally(ledger)
    categories = swarm.categories
    tried = {category for category, _, _ in tally} | {idea.category for _, idea in live}
    noise = measurements.noise(tx)
    read, assigned = program.read(text, agent, swarm.researcher_of(agent), categories)
    return Briefing(
        tag=tx.tag,
        agent=agent,
        parent=load_source(ledger, newest.source),
        position=newest.position,
        metric=swarm.metric,
        direction=swarm.direction,
        budget=swarm.budget,
        baseline=measurements.mean(tx, noise, swarm.base_source),
        best=measurements.mean(tx, noise, newest.source),
        sigma=noise.sigma,
        program=read,
        findings=known,
        live=live,
        notes=tuple(text for _, text in notes(ledger, tx.tag)),
        category=assigned or agent_row(ledger, tx.tag, agent).category,
        untried=tuple(category for category in categories if category not in tried),
        device=swarm.device.split(":")[0],
        plateau=plateau(ledger, tx.tag),
        last=_last(tx, agent),
        tally=tally,
        prior=stored(swarm.settings),
    )


def _tally(ledger: Ledger) -> tuple[tuple[str, str, int], ...]:
    """How many experiments there were by category and status, the most first; a keep in quarantine is none."""
    counts = Counter[tuple[str, str]]()
    for category, status, number in experiments.count_by_outcome(ledger):
        counts[category, status] = number
    for category, rung in experiments.flagged_keeps(ledger):
        counts[category, "keep"] -= 1
        counts[category, rung] += 1
    return tuple((category, status, number) for (category, status), number in counts.most_common() if number)


def dossier(tx: Transaction, name: str) -> Dossier | None:
    """Everything about one judged experiment, of any swarm; None where there is none of that id, or it was imported."""
    ledger = tx.ledger
    row = experiments.judged_with_source(ledger, name)
    if row is None or row.source is None:
        return None
    changes = repeats.changes_since(ledger, tx.tag, row.tag, row.position)
    return Dossier(
        finding(tx.swarm, row, experiments.own_mean(ledger, name), changes),
        row.rationale,
        load_source(ledger, row.parent),
        load_source(ledger, row.source),
        _without_hidden(run_results.newest_run_of(ledger, row)),
        _without_hidden(run_results.newest_parent_run(ledger, row)),
    )


def _without_hidden(run: Run | None) -> Run | None:
    """A run as researchers may see it: without the hidden split's number."""
    return replace(run, metrics=replace(run.metrics, hidden=None)) if run and run.metrics else run


def _last(tx: Transaction, agent: str) -> Dossier | None:
    """The agent's newest verdict."""
    name = experiments.newest_of(tx.ledger, tx.tag, agent)
    return dossier(tx, name) if name else None


def _live(ledger: Ledger, tag: str) -> tuple[tuple[str, Idea], ...]:
    """Who tries what now. An idea never changes, so each is read once: with many agents, each gets many."""
    live = experiments.live(ledger, tag)
    known: dict[str, Idea] = ledger.memory.get("live", {})
    ideas = {name: known.get(name) or experiments.experiment(ledger, name).idea for name, _ in live}
    ledger.memory["live"] = ideas
    return tuple((owner, ideas[name]) for name, owner in live)
