"""The strict tests: which state of the trunk earns one, its fresh runs, and who is champion after it.

A confirmation is a row of its own, and its runs carry its number: they decide nothing else, and nothing that was
measured before decides it. One is open at a time. All of this happens inside the board's transaction.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from statistics import fmean

from swarm.board.carrying import levels_of
from swarm.judge import closing
from swarm.judge.comparison import Comparison, compare
from swarm.judge.confirm import EARNED, FRESH_RUNS, LEVEL, Confirmation, affordable, confirm, deserves_confirmation
from swarm.judge.levels import Level
from swarm.judge.noise import NOISELESS
from swarm.judge.pairs import Half, next_half
from swarm.judge.rounding import gain_over
from swarm.ledger import confirmations, fresh_runs, runs, transitions, trunk
from swarm.ledger.confirmations import Asker, ConfirmationState, Figures, Question
from swarm.ledger.experiments import baseline, experiment
from swarm.ledger.measurements import Which, noise, values, values_in_confirmation
from swarm.ledger.rows import ConfirmationRow, RunRow
from swarm.ledger.swarms import measured_in_this_life, measured_runs
from swarm.ledger.transaction import Transaction
from swarm.records import Measure, Purpose


def consider(tx: Transaction, last: bool = False) -> None:
    """Opens a confirmation of the trunk's tip against the champion where the tip has earned one.

    One test is left for the swarm's end: only then `last` is true.
    """
    if earned(tx, last):
        newest, best = trunk.tip(tx.ledger, tx.tag), trunk.champion(tx.ledger, tx.tag)
        rival = (best.experiment or "", best.source) if best else _untouched(tx)
        question = Question(trunk.original(tx.ledger, newest), newest.source, *rival)
        confirmations.open_new(tx.ledger, tx.tag, question, Asker.SWARM, FRESH_RUNS, tx.now)


def earned(tx: Transaction, last: bool) -> bool:
    """Whether the tip's gain so far over the champion deserves a strict test, and the swarm can pay for it."""
    newest, best = trunk.tip(tx.ledger, tx.tag), trunk.champion(tx.ledger, tx.tag)
    rival = best.source if best else tx.swarm.base_source
    if not tx.policy.confirms or newest.source == rival:
        return False
    known = noise(tx)
    if not known.sigma:
        return False
    if not affordable(*confirmations.spent(tx), measured_runs(tx), last=last, share=tx.policy.confirm_share):
        return False
    if confirmations.was_tested(tx, newest.source, rival, Asker.SWARM):  # nobody is tested until luck helps
        return False
    if tx.policy.levels:
        levels = levels_of(tx)
        return _stands_out(levels.level(newest.source), levels.level(rival), known.sigma)
    ours, theirs = (values(tx, known, source) for source in (newest.source, rival))
    if not ours or not theirs:
        return False
    gain, se = fmean(theirs) - fmean(ours), known.sigma * math.sqrt(1 / len(ours) + 1 / len(theirs))
    return deserves_confirmation(gain, se, known.sigma)


def _stands_out(ours: Level | None, theirs: Level | None, sigma: float) -> bool:
    """Whether a level is so far from another one that a strict test is likely to show it."""
    if ours is None or theirs is None:
        return False
    gain, se = theirs.mean - ours.mean, math.hypot(ours.deviation, theirs.deviation)
    return gain > max(EARNED * sigma, 2 * se)


def closing_runs(tx: Transaction) -> int:
    """How many closing runs each of champion and baseline gets."""
    return closing.closing_runs(tx.policy.closing_runs, tx.policy.closing_part, measured_in_this_life(tx))


def next_run(tx: Transaction, test: ConfirmationRow, agent: str, fence: int, alive: Collection[str]) -> Measure | None:
    """The agent's next fresh run of an open confirmation; None where others do the rest."""
    arms = ((test.experiment, test.source), (test.rival_experiment, test.rival))
    first = runs.confirmation_seed(test.id, 0)
    begun = fresh_runs.begun_of_confirmation(tx.ledger, test.id)
    half = next_half([_half(run, test.rival, first) for run in begun], agent, alive, test.wanted)
    if half is None:
        return None
    name, source = arms[half.arm]
    seed = runs.confirmation_seed(test.id, half.pair)
    row = experiment(tx.ledger, name)
    return runs.begin(tx, agent, fence, row, Purpose.CONFIRM, source, seed=seed, confirmation=test.id)


def _half(run: RunRow, rival: str, first_seed: int) -> Half:
    return Half(run.agent, int(run.source == rival), run.seed - first_seed)


def settle(tx: Transaction, number: int) -> None:
    """Decides the swarm's own confirmation once all of its runs have ended; an unsteady candidate gets more of them."""
    test = confirmations.confirmation(tx.ledger, number)
    if test.state != ConfirmationState.OPEN or test.asked != Asker.SWARM:
        return
    if fresh_runs.ended_of_confirmation(tx.ledger, number) < 2 * test.wanted:
        return
    known = noise(tx)
    ours, theirs = (values_in_confirmation(tx, known, source, number) for source in (test.source, test.rival))
    if min(len(ours), len(theirs)) < 2:
        _conclude(tx, test, None)
        return
    found = confirm(ours, theirs, known.sigma, known.df)
    if found.wanted > test.wanted == min(found.n, found.m):
        confirmations.set_wanted(tx.ledger, number, found.wanted)
        return
    plain = (values_in_confirmation(tx, NOISELESS, source, number) for source in (test.rival, test.source))
    _conclude(tx, test, found, gain_over(*map(fmean, plain)))


def void(tx: Transaction, sources: Collection[str]) -> None:
    """Ends the open tests in which one of these sources takes part: nothing they would say counts."""
    for test in confirmations.open_with(tx, sources):
        confirmations.close(tx.ledger, test.id, ConfirmationState.UNCONFIRMED, Figures(), tx.now)


def close(tx: Transaction) -> None:
    """After the closing wave's last run: where the swarm has no champion yet, it tests the trunk's tip, once."""
    ledger, base = tx.ledger, tx.swarm.base_source
    newest = trunk.tip(ledger, tx.tag)
    if trunk.champion(ledger, tx.tag) or newest.source == base:
        return
    if confirmations.was_tested(tx, newest.source, base, Asker.CLOSING):
        return
    wanted, known = closing_runs(tx), noise(tx)
    ours, theirs = (values(tx, known, source, Which.CLOSING) for source in (newest.source, base))
    if min(len(ours), len(theirs)) < wanted or known.sigma == 0:  # seeds that change nothing confirm nothing
        return
    question = Question(trunk.original(ledger, newest), newest.source, *_untouched(tx))
    number = confirmations.open_new(ledger, tx.tag, question, Asker.CLOSING, wanted, tx.now)
    plain = (values(tx, NOISELESS, source, Which.CLOSING) for source in (base, newest.source))
    found = confirm(ours, theirs, known.sigma, known.df)
    _conclude(tx, confirmations.confirmation(ledger, number), found, gain_over(*map(fmean, plain)))


def _untouched(tx: Transaction) -> tuple[str, str]:
    """The baseline as a rival: its experiment, and its code."""
    return baseline(tx.ledger, tx.tag), tx.swarm.base_source


def ask_for_people(tx: Transaction, name: str, rival: str, seeds: int) -> int:
    """The open confirmation of this very question, which goes on, or a new one; gives its number."""
    source, against = (experiment(tx.ledger, each).source or "" for each in (name, rival))
    question = Question(name, source, rival, against)
    begun = confirmations.open_for_people(tx.ledger, tx.tag, question, seeds)
    return begun or confirmations.open_new(tx.ledger, tx.tag, question, Asker.PEOPLE, seeds, tx.now)


def conclude_for_people(tx: Transaction, number: int) -> Comparison | None:
    """What the pairs say in which both runs gave a number; None where these are fewer than two.

    A kept step that is better at the level of the strict test is confirmed by it; champion it does not become.
    """
    ledger, sign = tx.ledger, tx.swarm.sign
    test = confirmations.confirmation(ledger, number)
    pairs = fresh_runs.pairs_of_confirmation(ledger, number, test.source, test.rival)
    if len(pairs) < 2:
        confirmations.close(ledger, number, ConfirmationState.UNCONFIRMED, Figures(), tx.now)
        return None
    found = compare([sign * ours for ours, _ in pairs], [sign * theirs for _, theirs in pairs])
    better = found.outcome == "better"
    figures = Figures(found.gain, found.low, found.high, found.t_p, found.pairs, found.pairs)
    state = ConfirmationState.CONFIRMED if better else ConfirmationState.UNCONFIRMED
    confirmations.close(ledger, number, state, figures, tx.now)
    if better and found.t_p < 2 * LEVEL:
        transitions.confirm_kept(tx, test.experiment)
    return found


def _conclude(tx: Transaction, test: ConfirmationRow, found: Confirmation | None, plain: float = math.nan) -> None:
    """Writes the outcome down, crowns who won, and tells it with the `plain` gain of the runs, which people can add up
    themselves; None: too few of the runs gave a number."""
    won = found is not None and found.confirmed
    figures = Figures(found.gain, found.low, found.high, found.p, found.n, found.m) if found else Figures()
    state = ConfirmationState.CONFIRMED if won else ConfirmationState.UNCONFIRMED
    confirmations.close(tx.ledger, test.id, state, figures, tx.now)
    if won:
        transitions.crown(tx, test.experiment)
    title, rival = (experiment(tx.ledger, name).title for name in (test.experiment, test.rival_experiment))
    kind = "champion" if won else ConfirmationState.UNCONFIRMED
    tx.event("swarm", kind, f"{title}: {_shown(found, plain)} over {rival}", test.experiment)


def _shown(found: Confirmation | None, plain: float) -> str:
    if found is None:
        return "too many of its fresh runs gave no number to show a gain"
    same = math.isclose(found.gain, plain, rel_tol=1e-3)
    decided = "" if same else f"corrected for GPUs and steps {found.gain:+.6f}, which decided, "
    return f"gain {plain:+.6f} on {found.n} + {found.m} fresh runs ({decided}p {found.p:.2g})"
