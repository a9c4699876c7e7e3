"""A step that later runs show to be a loss is taken back, inside the board's transaction: by a step that restores.

The trunk only ever grows. Going back is a keep of its own, with its own experiment and commit, whose code is that of
the earlier step; whatever is drafted or tested on the lost one is carried over to it as after any other keep.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from swarm.board.confirmations import baseline
from swarm.board.verdicts import advance, close
from swarm.judge.loss import Loss, loss
from swarm.ledger.database import Ledger
from swarm.ledger.measurements import noise, values
from swarm.ledger.queries import FLAGGED, FLAGGED_SOURCES, champion, next_id, original, tip
from swarm.records import Rung, Status, Verdict

LOOK_BACK = 2  # steps: a challenger of a lost step is kept all too easily, so the one before counts as well
UNSELECTED = "purpose NOT IN ('first', 'replicate')"


def reconsider(ledger: Ledger, swarm: sqlite3.Row, now: float) -> None:
    """Takes the trunk's newest step back where it has lost against one of the last before it, or the champion."""
    tag, newest, best = swarm["tag"], tip(ledger, swarm["tag"]), champion(ledger, swarm["tag"])
    if newest["position"] == 0 or (best and best["source"] == newest["source"]) or swarm["policy"].startswith("greedy"):
        return
    before = ledger.rows(
        "SELECT * FROM trunk WHERE tag = ? AND position < ? AND source != ?"
        f" AND source NOT IN {FLAGGED_SOURCES} ORDER BY position DESC LIMIT ?",  # nor in a step that restored it
        *(tag, newest["position"], newest["source"], tag, LOOK_BACK),
    )
    known = noise(ledger, swarm)
    ours = values(ledger, swarm, known, newest["source"], UNSELECTED)
    for earlier in (*before, *([best] if best else [])):
        lost = loss(ours, values(ledger, swarm, known, earlier["source"], UNSELECTED), known.sigma, known.df)
        if lost:
            where = f"step {earlier['position']}" if earlier["position"] else "the baseline"
            why = f"later runs of {newest['experiment']} show a loss against {where}"
            go_back(ledger, swarm, newest, earlier, why, _verdict(lost), now)
            return


def _verdict(lost: Loss) -> Verdict:
    reason = f"the undone code lost {lost.gain:.6f} ± {lost.se:.6f} over {lost.runs} runs that nobody had selected"
    return Verdict(Status.KEEP, lost.gain, lost.se, lost.runs, reason)


def go_back(
    ledger: Ledger, swarm: sqlite3.Row, newest: sqlite3.Row, earlier: sqlite3.Row, why: str, told: Verdict, now: float
) -> None:
    """A new step with the code of `earlier`, whose evidence is what is `told`; the steps between are undone."""
    tag = swarm["tag"]
    undone = ledger.one("SELECT * FROM experiments WHERE id = ?", newest["experiment"])
    agent, position = undone["agent"], earlier["position"]
    sequence, name = next_id(ledger, tag, agent)
    where = f"step {position}" if position else "the baseline"
    ledger.insert(
        "experiments",
        id=name,
        tag=tag,
        agent=agent,
        owner=agent,
        sequence=sequence,
        state="testing",
        key=swarm["key"],
        intent=f"roll back {newest['position']} of {tag}",
        title=f"roll back to {where}: undo {undone['title']}",
        rationale=why,
        category="rollback",
        knobs="{}",
        parent=newest["source"],
        position=newest["position"],
        source=earlier["source"],
        restores=original(ledger, earlier) if position else baseline(ledger, tag),
        created=now,
        started=now,
    )
    ledger.execute(
        "UPDATE experiments SET rung = ? WHERE tag = ? AND status = 'keep' AND baseline = 0 AND position > ?"
        f" AND rung NOT IN {FLAGGED}",
        *(Rung.UNDONE, tag, position),
    )
    row = ledger.one("SELECT * FROM experiments WHERE id = ?", name)
    advance(ledger, swarm, row, newest["position"] + 1, now)
    close(ledger, swarm, row, replace(told, status=Status.KEEP, rung=Rung.KEPT), now)
