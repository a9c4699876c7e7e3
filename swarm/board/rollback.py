"""A step that later runs show to be a loss is taken back, inside the board's transaction: by a step that restores.

The trunk only ever grows. Going back is a keep of its own, with its own experiment and commit, whose code is that of
the earlier step; whatever is drafted or tested on the lost one is carried over to it as after any other keep.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarm.board.verdicts import close
from swarm.judge.confirm import around
from swarm.judge.loss import Loss, loss
from swarm.ledger import transitions, trunk
from swarm.ledger.experiments import baseline, experiment
from swarm.ledger.measurements import Which, noise, values
from swarm.ledger.rows import ExperimentState, TrunkStep
from swarm.ledger.transaction import Transaction
from swarm.records import Idea, Outcome, Rung, Status, Verdict

LOOK_BACK = 2  # steps: a challenger of a lost step is kept all too easily, so the one before counts as well


def reconsider(tx: Transaction) -> None:
    """Takes the trunk's newest step back where it has lost against one of the last before it, or the champion."""
    newest, best = trunk.tip(tx.ledger, tx.tag), trunk.champion(tx.ledger, tx.tag)
    if newest.position == 0 or (best and best.source == newest.source) or not tx.policy.rolls_back:
        return
    floor = best.position if best else 0  # no champion is undone by runs
    clean = trunk.clean_steps(tx, newest.position, newest.source, LOOK_BACK)
    before = [step for step in clean if step.position >= floor]
    known = noise(tx)
    ours = values(tx, known, newest.source, Which.UNSELECTED)
    for earlier in (*before, *([best] if best else [])):
        lost = loss(ours, values(tx, known, earlier.source, Which.UNSELECTED), known.sigma, known.df)
        if lost:
            why = f"later runs of {newest.experiment} show a loss against {place(earlier)}"
            go_back(tx, newest, earlier, why, _verdict(lost))
            return


def place(step: TrunkStep) -> str:
    """A step of the trunk, as people read it."""
    return f"step {step.position}" if step.position else "the baseline"


def _verdict(lost: Loss) -> Verdict:
    half = around(0.0, lost.se)[1]
    reason = f"the undone code lost {lost.gain:.6f} ± {half:.6f} over {lost.runs} runs that nobody had selected"
    return Verdict(Status.KEEP, lost.gain, lost.se, lost.runs, reason, Outcome.RESTORED)


def go_back(
    tx: Transaction, newest: TrunkStep, earlier: TrunkStep, why: str, verdict: Verdict, rung: Rung = Rung.KEPT
) -> None:
    """A new step with the code of `earlier`, with this verdict as its evidence; the steps between are undone."""
    undone = experiment(tx.ledger, newest.experiment or "")
    name = transitions.add_experiment(
        tx,
        undone.agent,
        Idea(f"roll back to {place(earlier)}: undo {_titles(tx, newest, earlier)}", why, "rollback"),
        ExperimentState.TESTING,
        newest.source,
        newest.position,
        intent=f"roll back {newest.position} of {tx.tag}",
        source=earlier.source,
        restores=trunk.original(tx.ledger, earlier) if earlier.position else baseline(tx.ledger, tx.tag),
        started=tx.now,
    )
    transitions.undo_after(tx, earlier.position)
    row = experiment(tx.ledger, name)
    trunk.advance(tx, row, newest.position + 1)
    close(tx, row, replace(verdict, status=Status.KEEP, outcome=Outcome.RESTORED, rung=rung))


def _titles(tx: Transaction, newest: TrunkStep, earlier: TrunkStep) -> str:
    """The steps that are undone, as people read them: what they brought, not what a step that restored is called."""
    line = trunk.line_to(tx.ledger, tx.tag, newest.position)
    sources = [step.source for step in line]
    after = sources.index(earlier.source) + 1 if earlier.source in sources else -1
    first, *more = [experiment(tx.ledger, trunk.original(tx.ledger, step)).title for step in line[after:]]
    return f"{first} and {len(more)} more" if more else first
