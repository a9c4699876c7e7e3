"""Ablations as rows: which line was asked about, the codes that leave some of its steps out, and what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from swarm.judge.ablation import FRESH, RUNS, Done
from swarm.judge.noise import Observation
from swarm.ledger.database import Ledger
from swarm.ledger.rows import AblationCodeRow, AblationRow, AblationStepRow
from swarm.ledger.runs import ABLATION_SEEDS, CLOSING_SEEDS, SEEDS_EACH
from swarm.ledger.sources import store_source
from swarm.ledger.transaction import Transaction
from swarm.records import Purpose, Source


class AblationState(StrEnum):
    OPEN = "open"
    ENDED = "ended"
    VOID = "void"  # what it was about leads no more


class AblationAsker(StrEnum):
    """Who asked for an ablation."""

    SWARM = "swarm"
    PEOPLE = "people"  # the verb ablate


class Tried(Struct, frozen=True):
    """The runs of one code on an ablation's seeds, which are numbered from 0 on. `own` are the seeds that it was run
    on for the ablation and for nothing else."""

    observations: Mapping[int, Observation]
    begun: frozenset[int]
    own: frozenset[int]
    crashed: str  # why one of its runs gave no number; "" where none failed


def newest(ledger: Ledger, tag: str, *states: AblationState, source: str | None = None) -> AblationRow | None:
    """The newest ablation of a swarm in one of these states, of this code or of any."""
    marks = ", ".join("?" * len(states))
    return ledger.record(
        AblationRow,
        f"WHERE tag = ? AND state IN ({marks}) AND source = ifnull(?, source) ORDER BY id DESC LIMIT 1",
        *(tag, *states, source),
    )


def ablation(ledger: Ledger, number: int) -> AblationRow:
    """The ablation of that number, as it stands now; KeyError where there is none."""
    return ledger.the_record(AblationRow, "WHERE id = ?", number)


def open_ablation(ledger: Ledger, tag: str, asked: AblationAsker) -> AblationRow | None:
    """The one that is not decided yet."""
    return ledger.record(
        AblationRow, "WHERE tag = ? AND state = 'open' AND asked = ? ORDER BY id DESC LIMIT 1", tag, asked
    )


def was_asked(tx: Transaction, source: str, before: float = math.inf) -> bool:
    """Whether the swarm itself has asked about this code, before that moment."""
    asked = "SELECT count(*) FROM ablations WHERE tag = ? AND source = ? AND asked = 'swarm' AND began < ?"
    return bool(tx.ledger.value(asked, tx.tag, source, before))


def steps_of(ledger: Ledger, ablation: int) -> list[AblationStepRow]:
    """The line, oldest step first."""
    return ledger.records(AblationStepRow, "WHERE ablation = ? ORDER BY place", ablation)


def codes_of(ledger: Ledger, ablation: int) -> list[AblationCodeRow]:
    """The codes that were made, in their order."""
    return ledger.records(AblationCodeRow, "WHERE ablation = ? ORDER BY number", ablation)


def open_new(
    tx: Transaction,
    leader: tuple[str, str],
    asked: AblationAsker,
    line: Sequence[AblationStepRow],
    shares: Sequence[float],
    room: int | None,
) -> int:
    """Opens an ablation of the leader (its experiment and code); gives its number."""
    name, source = leader
    tx.ledger.insert(
        "ablations",
        tag=tx.tag,
        experiment=name,
        source=source,
        asked=asked,
        room=room,
        shares=json.dumps(list(shares)),
        began=tx.now,
    )
    number = tx.ledger.value("SELECT last_insert_rowid()")
    for step in line:
        tx.ledger.insert(
            "ablation_steps",
            ablation=number,
            place=step.place,
            experiment=step.experiment,
            before=step.before,
            source=step.source,
            x=step.x,
            s=step.s,
        )
    return number


def set_level(tx: Transaction, ablation: int, mean: float, deviation: float) -> None:
    """What is known of the whole line's level, lower being better."""
    tx.ledger.execute("UPDATE ablations SET level = ?, deviation = ? WHERE id = ?", mean, deviation, ablation)


def add_code(
    tx: Transaction,
    ablation: int,
    wanted: Sequence[str],
    steps: Sequence[str],
    source: Source | None,
    fault: str,
    verifies: bool,
) -> None:
    """A code that leaves these steps out was made, or `fault` says why there is none that may run."""
    number = 1 + (tx.ledger.value("SELECT max(number) FROM ablation_codes WHERE ablation = ?", ablation) or 0)
    tx.ledger.insert(
        "ablation_codes",
        ablation=ablation,
        number=number,
        wanted=" ".join(wanted),
        steps=" ".join(steps),
        source=store_source(tx.ledger, source) if source else None,
        fault=fault,
        verifies=int(verifies),
    )


def conclude(tx: Transaction, ablation: int, done: Done, minimal: str | None) -> None:
    """Writes down what came of it: the table, and the code without what does not matter."""
    found = done.verified
    figures = (found.loss, found.low, found.high, found.pairs, int(found.holds)) if found else (None, None, None, 0, 0)
    tx.ledger.execute(
        "UPDATE ablations SET state = ?, minimal = ?, loss = ?, low = ?, high = ?, pairs = ?, verified = ?, ended = ?"
        " WHERE id = ?",
        *(AblationState.ENDED, minimal, *figures, tx.now, ablation),
    )
    for step in done.results:
        tx.ledger.execute(
            "UPDATE ablation_steps SET gain = ?, low = ?, high = ?, runs = ?, dropped = ?, together = ?"
            " WHERE ablation = ? AND experiment = ?",
            *(step.gain, step.low, step.high, step.runs, int(step.dropped), " ".join(step.together)),
            *(ablation, step.name),
        )


def void(tx: Transaction, ablation: int) -> None:
    tx.ledger.execute("UPDATE ablations SET state = ?, ended = ? WHERE id = ?", AblationState.VOID, tx.now, ablation)


# -- its runs ----------------------------------------------------------------------------------------------------------


def first_seed(row: AblationRow) -> int:
    """Its seed of number 0: at a swarm's end the closing wave's, so that the leader's runs there are beside its own."""
    return CLOSING_SEEDS if row.asked == AblationAsker.SWARM else ABLATION_SEEDS + SEEDS_EACH * row.id


def verifying_seeds(row: AblationRow) -> range:
    """Those of the fresh runs, which nothing is chosen by."""
    first = first_seed(row) + RUNS
    return range(first, first + FRESH)


def tried(tx: Transaction, row: AblationRow, source: str) -> Tried:
    """What was run of one code on the ablation's seeds; lost runs do not count."""
    first = first_seed(row)
    rows = tx.ledger.rows(
        "SELECT value, source, agent, seed, steps, state, failure, purpose FROM runs WHERE tag = ? AND source = ?"
        " AND purpose IN (?, ?) AND seed BETWEEN ? AND ? AND state != 'lost' ORDER BY seed",
        *(tx.tag, source, Purpose.ABLATE, Purpose.CLOSING, first, first + SEEDS_EACH - 1),
    )
    sign = tx.swarm.sign
    seen = {
        run["seed"] - first: Observation(sign * run["value"], run["source"], run["agent"], run["seed"], run["steps"])
        for run in rows
        if run["state"] == "measured"
    }
    own = frozenset(run["seed"] - first for run in rows if run["purpose"] == Purpose.ABLATE)
    begun = frozenset(run["seed"] - first for run in rows)
    return Tried(seen, begun, own, next((run["failure"] for run in rows if run["state"] == "crashed"), "") or "")
