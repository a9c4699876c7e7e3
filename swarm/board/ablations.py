"""Ablation of the leader's line, inside the board's transaction: at the swarm's end, or when people ask.

What is asked for next follows from the rows alone (swarm/judge/elimination.py): a swarm that was killed goes on with
the very run that it would have made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from msgspec.structs import replace

from swarm.board.carrying import levels_of
from swarm.board.guards import broken_guard
from swarm.judge.ablation import FRESH, NOTHING, RUNS, Again, Check, Checks, Done, Left, LineStep, Make, Wait
from swarm.judge.effects import Effects, Seen
from swarm.judge.elimination import Elimination
from swarm.judge.noise import Noise
from swarm.ledger import ablations, run_results, runs, trunk
from swarm.ledger.ablations import AblationAsker, AblationState
from swarm.ledger.experiments import experiment
from swarm.ledger.measurements import noise
from swarm.ledger.rows import AblationCodeRow, AblationRow, AblationStepRow, RunRow, RunState, TrunkStep
from swarm.ledger.swarms import life, measured_in_this_life, usual_seconds
from swarm.ledger.transaction import Transaction
from swarm.records import LeaveOut, Measure, Purpose, Rest, Source

SHARE = 0.1  # of a swarm's runs, for the ablation at its end
LOOK = 1 / 60  # of a run: whoever waits for the last runs of others looks so often whether they have ended
FEWEST = RUNS + 2 * FRESH  # runs, below which no step could be left out and verified


def at_the_end(tx: Transaction, agent: str, fence: int, agents: int) -> Measure | LeaveOut | Rest | None:
    """The agent's part of the ablation at the swarm's end; None where there is none, or nothing is left of it."""
    row = _of_the_leader(tx, agents)
    if row is None:
        return None
    if in_time(tx):
        return next_work(tx, row, agent, fence)
    elimination = _elimination(tx, row)
    if elimination.waits():
        return _rest(tx)
    _conclude(tx, row, elimination.so_far())
    return None


def next_work(tx: Transaction, row: AblationRow, agent: str, fence: int) -> Measure | LeaveOut | Rest | None:
    """What an ablation asks of an agent; None where it is over."""
    elimination = _elimination(tx, row)
    match elimination.next():
        case Done() as done:
            _conclude(tx, row, done)
            return None
        case Wait():
            return _rest(tx)
        case Make(wanted, verifies):
            line = tuple((step.experiment, step.before, step.source) for step in ablations.steps_of(tx.ledger, row.id))
            return LeaveOut(row.id, tuple(name for name, *_ in line if name in wanted), line, verifies)
        case Again(steps, seed):
            return _begin(tx, row, agent, fence, steps, seed)
        case Check(steps):
            name, source = _named(tx, row, steps)
            return runs.begin(
                tx, agent, fence, experiment(tx.ledger, name), Purpose.CHECK, source, seed=runs.CHECK_SEED
            )


def _rest(tx: Transaction) -> Rest:
    return Rest("waiting for the last runs of the ablation", max(1.0, usual_seconds(tx) * LOOK))


def enter(tx: Transaction, order: LeaveOut, made: Source | None, steps: tuple[str, ...], fault: str) -> None:
    """The answer to LeaveOut: the code and all that it leaves out, or why there is none. The first answer counts."""
    for code in ablations.codes_of(tx.ledger, order.ablation):
        if (code.wanted.split(), code.verifies) == ([*order.wanted], order.verifies):
            return
    ablations.add_code(tx, order.ablation, order.wanted, steps, None if fault else made, fault, order.verifies)


def settle(tx: Transaction, run: RunRow) -> None:
    """After one of its runs, or one of the closing wave: what is known of the leader, and whether all is decided."""
    row = ablations.open_ablation(tx.ledger, tx.tag, AblationAsker.SWARM)
    if row is None:
        return
    if run.purpose is Purpose.CHECK:
        _tell_of_checks(tx, row, run)
    if run.purpose is Purpose.CLOSING:
        _set_level(tx, row)
    elif isinstance(done := _elimination(tx, row).next(), Done):
        _conclude(tx, row, done)


def _tell_of_checks(tx: Transaction, row: AblationRow, run: RunRow) -> None:
    ended = run_results.newest_try_of_checks(tx, run.source)
    if ended and ended.failure:
        failed = run_results.newest_check(tx, run.source)
        why = failed.reason if failed else f"its checks did not end: {ended.failure}"
        tx.event("swarm", "ablation", f"fewer steps can go: without all that look weak, {why}", row.experiment)


def ask_for_people(tx: Transaction) -> int | None:
    """The open ablation of the leader that people asked for, which goes on, or a new one; gives its number. None where
    nothing was put on the trunk."""
    leader = trunk.leader(tx.ledger, tx.tag)
    begun = ablations.open_ablation(tx.ledger, tx.tag, AblationAsker.PEOPLE)
    if begun and begun.source == leader.source:
        return begun.id
    if begun:
        ablations.void(tx, begun.id)
    return _open(tx, leader, AblationAsker.PEOPLE, None) if leader.source != tx.swarm.base_source else None


def end_runs(tx: Transaction) -> int:
    """About how many runs the ablation at the swarm's end is going to take; 0 where there will be none."""
    if not _wanted(tx) or (room := _share(tx)) < FEWEST or not noise(tx).sigma or not (steps := _standing(tx)):
        return 0
    if ablations.was_asked(tx, trunk.leader(tx.ledger, tx.tag).source, before=life(tx).since):
        return 0
    return min(room, RUNS * steps + RUNS * (steps // 2) + 2 * FRESH)


def _share(tx: Transaction) -> int:
    """How many runs it may take: a share of those of this life, as an earlier one had its own."""
    return math.floor(SHARE * measured_in_this_life(tx))


def _standing(tx: Transaction) -> int:
    """How many steps the tip consists of: asked for at every call near a swarm's end, and new only where it moved."""
    memory, position = tx.ledger.memory.setdefault("standing", {}), trunk.tip(tx.ledger, tx.tag).position
    if memory.get(tx.tag, (-1, 0))[0] != position:
        memory[tx.tag] = position, len(trunk.standing(tx.ledger, tx.tag))
    return memory[tx.tag][1]


def in_time(tx: Transaction) -> bool:
    """Whether another run still ends before the swarm does."""
    return tx.swarm.deadline is None or tx.now + usual_seconds(tx) <= tx.swarm.deadline


def _wanted(tx: Transaction) -> bool:
    return bool(tx.swarm.settings.get("ablation")) and tx.policy.levels


def _of_the_leader(tx: Transaction, agents: int) -> AblationRow | None:
    """The open ablation of the leader; a new one where the swarm has made none of it and there is room for one."""
    leader = trunk.leader(tx.ledger, tx.tag)
    row = ablations.open_ablation(tx.ledger, tx.tag, AblationAsker.SWARM)
    if row and row.source == leader.source:
        return row
    if row:
        ablations.void(tx, row.id)
    if not _wanted(tx) or leader.source == tx.swarm.base_source or not noise(tx).sigma:
        return None
    room = _share(tx)
    if tx.swarm.deadline is not None:
        room = min(room, agents * math.floor((tx.swarm.deadline - tx.now) / usual_seconds(tx)))
    if room < FEWEST or ablations.was_asked(tx, leader.source) or levels_of(tx).level(leader.source) is None:
        return None
    number = _open(tx, leader, AblationAsker.SWARM, room)
    row = ablations.open_ablation(tx.ledger, tx.tag, AblationAsker.SWARM)
    assert row and row.id == number
    _set_level(tx, row)
    tx.event("swarm", "ablation", f"up to {room} runs show what of the leader matters", leader.experiment)
    return ablations.open_ablation(tx.ledger, tx.tag, AblationAsker.SWARM)


def _open(tx: Transaction, leader: TrunkStep, asked: AblationAsker, room: int | None) -> int:
    before, *line = trunk.line_to(tx.ledger, tx.tag, leader.position)
    known, rows = noise(tx), list[AblationStepRow]()
    for place, step in enumerate(line, 1):
        seen = _seen(tx, known, step.experiment or "")
        figures = (seen.x, seen.s) if seen else (None, None)
        rows.append(AblationStepRow(0, place, step.experiment or "", before.source, step.source, *figures))
        before = step
    levels = levels_of(tx).levels if tx.policy.levels else None
    shares = (levels.effects if levels else Effects()).shares
    name = trunk.original(tx.ledger, leader)
    return ablations.open_new(tx, (name, leader.source), asked, rows, shares, room)


def _seen(tx: Transaction, known: Noise, name: str) -> Seen | None:
    """The gain of a step as it was put on, in sigmas; None where nothing says it."""
    if tx.policy.levels:
        belief = levels_of(tx).belief(name)
        return belief.seen if belief else None
    row = experiment(tx.ledger, name)
    if not known.sigma or row.gain is None or not row.se:
        return None
    return Seen(row.gain / known.sigma, row.se / known.sigma)


def _set_level(tx: Transaction, row: AblationRow) -> None:
    """The level of the leader as its fresh runs tell it, and in part all others: but for the runs that verify."""
    if level := levels_of(tx).fresh_level(row.source, ablations.verifying_seeds(row)):
        ablations.set_level(tx, row.id, level.mean, level.deviation)


# -- from rows to the judge, and back ----------------------------------------------------------------------------------


def _elimination(tx: Transaction, row: AblationRow) -> Elimination:
    known = noise(tx)
    line = [
        LineStep(step.experiment, Seen(step.x, step.s) if step.x is not None and step.s is not None else None)
        for step in ablations.steps_of(tx.ledger, row.id)
    ]
    full = ablations.tried(tx, row, row.source)
    level = (row.level, row.deviation) if row.level is not None and row.deviation is not None else None
    return Elimination(
        line,
        _left(tx, row, known, row.source, NOTHING, NOTHING),
        [_code(tx, row, known, code) for code in ablations.codes_of(tx.ledger, row.id)],
        known.sigma if known.sigma is not None else 1.0,  # learned from the first runs, before anything is decided
        Effects(tuple(json.loads(row.shares))),
        level,
        row.room,
        given=len(full.begun - full.own),
        checks=bool(tx.swarm.settings.get("checks")),
        df=known.df,
    )


def _code(tx: Transaction, row: AblationRow, known: Noise, code: AblationCodeRow) -> Left:
    wanted, steps = frozenset(code.wanted.split()), frozenset(code.steps.split())
    if code.source is None:
        return Left(wanted, steps, fault=True, verifies=code.verifies)
    left = _left(tx, row, known, code.source, wanted, steps, verifies=code.verifies)
    if code.source == row.source:
        return replace(left, same=True)
    ended = run_results.newest_try_of_checks(tx, code.source)
    if ended is None:
        return left
    if ended.state is RunState.RUNNING:
        return replace(left, checks=Checks.RUNNING)
    return replace(left, checks=Checks.PASSED) if not ended.failure else replace(left, fault=True)


def _left(
    tx: Transaction,
    row: AblationRow,
    known: Noise,
    source: str,
    wanted: frozenset[str],
    steps: frozenset[str],
    verifies: bool = False,
) -> Left:
    found = ablations.tried(tx, row, source)
    values: Mapping[int, float] = {seed: known.corrected(seen) for seed, seen in found.observations.items()}
    fault = bool(found.crashed or (source != row.source and broken_guard(tx, source)))
    return Left(wanted, steps, values, found.begun, fault, verifies)


def _begin(tx: Transaction, row: AblationRow, agent: str, fence: int, steps: frozenset[str], seed: int) -> Measure:
    """A run of the code that leaves out these steps, under the name of the newest of them; of the leader under its."""
    name, source = _named(tx, row, steps) if steps else (row.experiment, row.source)
    number = ablations.first_seed(row) + seed
    return runs.begin(tx, agent, fence, experiment(tx.ledger, name), Purpose.ABLATE, source, seed=number)


def _named(tx: Transaction, row: AblationRow, steps: frozenset[str]) -> tuple[str, str]:
    """The newest of the steps, under whose name the code without them runs, and that code."""
    known = ablations.codes_of(tx.ledger, row.id)
    source = next(code.source for code in known if frozenset(code.steps.split()) == steps and code.source) or ""
    line = reversed(ablations.steps_of(tx.ledger, row.id))
    return next(step.experiment for step in line if step.experiment in steps), source


def _conclude(tx: Transaction, row: AblationRow, done: Done) -> None:
    """Writes the outcome down, and tells it."""
    minimal = None
    if done.steps:
        codes = ablations.codes_of(tx.ledger, row.id)
        minimal = next((code.source for code in codes if frozenset(code.steps.split()) == done.steps), None)
    ablations.conclude(tx, row.id, done, minimal)
    dropped, whole = len(done.steps), len(done.results)
    if not dropped:
        text = f"every one of the {whole} steps matters, as far as was measured"
    elif done.verified:
        text = f"{dropped} of {whole} steps can go: {done.verified.loss:+.6f} lost on {done.verified.pairs} fresh seeds"
    else:
        text = f"{dropped} of {whole} steps look as if they could go; no fresh runs were made of what is left"
    tx.event("swarm", "ablation", text, row.experiment)


def concluded(tx: Transaction, number: int) -> AblationRow | None:
    """An ablation that people asked for, once no run is left to make: with what is known where it was cut short. None
    where the leader itself gave no number to compare its steps by."""
    row = ablations.ablation(tx.ledger, number)
    if not ablations.tried(tx, row, row.source).observations:
        ablations.void(tx, number)
        return None
    if row.state == AblationState.OPEN:
        _conclude(tx, row, _elimination(tx, row).so_far())
    return ablations.ablation(tx.ledger, number)
