"""What runs left beside their numbers, for whoever draws them: losses while they trained, and the end of their log."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from swarm.ledger.database import Ledger

Key = tuple[str, int]  # a run and its attempt


class LeftByRun(Struct, frozen=True):
    """What one run left. `curve` is (counted seconds, mean training loss until then)."""

    run: str
    attempt: int
    experiment: str
    source: str
    parent: str
    seed: int
    purpose: str
    measured: bool
    curve: tuple[tuple[float, float], ...]
    log_tail: str


def left_by_runs(ledger: Ledger, tag: str, known: Collection[Key] = ()) -> list[LeftByRun]:
    """Of every run of the swarm that is over and not `known`, oldest first."""
    rows = ledger.rows(
        "SELECT id, attempt, experiment, source, parent, seed, purpose, state FROM runs"
        " WHERE tag = ? AND result IS NOT NULL AND state IN ('measured', 'crashed', 'lost') ORDER BY started, id",
        tag,
    )
    found = []
    for row in rows:
        if (row["id"], row["attempt"]) in known:
            continue
        run = ledger.decoded(
            ledger.value("SELECT result FROM runs WHERE id = ? AND attempt = ?", row["id"], row["attempt"])
        )
        found.append(
            LeftByRun(
                row["id"],
                row["attempt"],
                row["experiment"],
                row["source"],
                row["parent"],
                row["seed"],
                row["purpose"],
                row["state"] == "measured",
                run.curve,
                run.log_tail if run.failure else "",
            )
        )
    return found
