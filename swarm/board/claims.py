"""From idea to edit, inside the board's transaction: who has the right to an idea, and whose a piece of code is."""

from __future__ import annotations

import functools
import math

from msgspec.structs import replace

from swarm.board.repeats import account, refusal
from swarm.ledger import experiments, transitions, trunk
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiment
from swarm.ledger.rows import ExperimentState
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import Transaction
from swarm.novelty.code import constants
from swarm.novelty.intent import intent
from swarm.records import Change, Claim, Duplicate, Idea, Source
from swarm.text import one_line, printable

TITLE, RATIONALE, AGAIN = 200, 10_000, 2_000  # characters of an idea that are kept
NEIGHBOURS = 400  # experiments, the newest, that a new change is compared with


def claim(tx: Transaction, agent: str, fence: int, idea: Idea, position: int) -> Claim | Duplicate:
    """The exclusive right to try the idea from that trunk position; or who has it, or had it, and what came of it."""
    idea = legible(idea)
    parent = trunk.source_at(tx, position)
    meant = intent(idea, _constants_of(tx, parent))
    earlier = experiments.same_intent(tx, meant)
    refused = refusal(tx, earlier, idea.again, "idea") if earlier else None
    if refused:
        return refused
    name = transitions.add_experiment(tx, agent, idea, ExperimentState.CLAIMED, parent, position, intent=meant)
    return Claim(name, agent, fence, idea, parent, position)


def _constants_of(tx: Transaction, sha: str) -> dict[str, float | int | str]:
    """The constants of a stored source on this swarm's device, in which ideas name what they turn."""
    return _constants(tuple(sorted(load_source(tx.ledger, sha).files.items())), tx.swarm.device.split(":")[0])


@functools.lru_cache(maxsize=4)  # every idea of every agent starts from the trunk's tip
def _constants(files: tuple[tuple[str, bytes], ...], device: str) -> dict[str, float | int | str]:
    return constants(Source(dict(files)), device)


def free(tx: Transaction, agent: str, why: str, *states: ExperimentState) -> bool:
    """The agent's ideas in these states are free again; gives whether there was any."""
    return transitions.abandon_all(tx, agent, why, *states)


def same_code(tx: Transaction, fingerprint: str, name: str) -> Duplicate | None:
    """Which other experiment is about this very code; None where there is none."""
    row = experiments.same_code(tx, fingerprint, name)
    return Duplicate(row.id, "code", account(row, tx.swarm.sigma)) if row else None


def same_change(tx: Transaction, claim: Claim, changes: tuple[str, ...]) -> Duplicate | None:
    """The experiment that made this very change on another parent, unless there is reason to make it again.

    On the same parent the code itself tells, and tells exactly.
    """
    row = experiments.same_change(tx, changes, claim.parent, claim.experiment)
    return refusal(tx, row, claim.idea.again, "change") if row else None


def like_change(tx: Transaction, claim: Claim, like: str) -> Duplicate | None:
    """The experiment whose change was found alike; it is shown once, and the researcher may insist."""
    if not like or claim.idea.again:
        return None
    advice = "What you have is very like it. Say in `again` what differs and why it matters, or propose something else."
    return Duplicate(like, "likeness", f"{account(experiment(tx.ledger, like), tx.swarm.sigma)}\n{advice}")


def neighbours(ledger: Ledger, key: str) -> tuple[Change, ...]:
    """The newest changes under this key, with their words, those being tested among them."""
    known, lines = ledger.memory.get("neighbours", {}), experiments.newest_changes(ledger, key, NEIGHBOURS)
    ledger.memory["neighbours"] = {line: known.get(line) or _change(ledger, line.split(" ")[0]) for line in lines}
    return tuple(ledger.memory["neighbours"].values())


def _change(ledger: Ledger, name: str) -> Change:
    row = experiment(ledger, name)
    return Change(name, row.diff, f"{row.title} {row.rationale}")


def legible(idea: Idea) -> Idea:
    """The idea as ledger, git and terminals can take it, whatever a researcher made of it."""
    title = one_line(printable(idea.title))[:TITLE] or "an idea without a title"
    category = one_line(printable(idea.category))[:TITLE]
    rationale, again = printable(idea.rationale)[:RATIONALE], one_line(printable(idea.again))[:AGAIN]
    knobs = {printable(str(name)): value if _is_plain(value) else str(value) for name, value in idea.knobs.items()}
    return replace(idea, title=title, rationale=rationale, category=category, knobs=knobs, again=again)


def _is_plain(value: object) -> bool:
    """Whether a knob's value is read back from the ledger as it is."""
    return type(value) in (int, str, bool) or (type(value) is float and math.isfinite(value))
