"""What the trunk carries, inside the board's transaction: the levels of its states, and what follows from every run.

The levels are kept in memory, and follow the ledger: whoever asks has them read what is new there. After a resume, or
where a change was taken back, they are reckoned anew from all of it, to the same last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from swarm.board.rollback import go_back, place
from swarm.judge.trunk_levels import Belief, TrunkLevels
from swarm.ledger import ablations, events, fresh_runs, run_counts, transitions, trunk
from swarm.ledger.ablations import AblationState
from swarm.ledger.experiments import experiment
from swarm.ledger.swarms import measured_runs
from swarm.ledger.transaction import Transaction
from swarm.ledger.trunk_events import events_after, flagged
from swarm.records import Outcome, Rung, Status, Verdict

LOOKS = 16  # standing steps whose chance is looked at again at every run, in turn, beside those that it touched
NEWS = 0.005  # a change of a step's chance that is written down
UNSURE = 0.02  # how much less another run of a state leaves undecided, below which it is not made


@dataclass
class _Known:
    """The levels as far as the ledger was read."""

    levels: TrunkLevels
    recorded: int = 0
    position: int = 0
    written: dict[str, float] = field(default_factory=dict)  # the chances of steps as they stand in the ledger


def levels_of(tx: Transaction) -> TrunkLevels:
    """The levels of the swarm's trunk, as of this moment."""
    return _known(tx).levels


def _known(tx: Transaction) -> _Known:
    invalid = flagged(tx)
    memory: dict[str, _Known] = tx.ledger.memory.setdefault("levels", {})
    known = memory.get(tx.tag)
    if known is None or known.levels.excluded != invalid:
        known = memory[tx.tag] = _Known(TrunkLevels(tx.swarm.base_source, tx.swarm.sigma_prior, invalid))
    for recorded, position, event in events_after(tx, known.recorded, known.position):
        known.levels.add(event)
        known.recorded, known.position = recorded, position
    return known


def belief(tx: Transaction, name: str) -> Belief | None:
    """What all runs say of an experiment; None where the policy does not ask, or there is no noise to reckon with."""
    return levels_of(tx).belief(name) if tx.policy.levels else None


def follow(tx: Transaction) -> None:
    """After a run: steps that turn out to lose are undone, and the labels of those that stand are renewed."""
    if tx.policy.levels:
        _undo(tx)
        _label(tx)


def uncertain(tx: Transaction) -> str | None:
    """The state of the trunk of which one more run decides most about what stands; None where none decides much."""
    levels, unsure = levels_of(tx), dict[str, float]()
    for step in levels.line():
        known = levels.belief(step.idea)
        if known is None:
            continue
        doubt = known.effect.real * (1 - known.effect.real)
        for source in (step.source, step.parent):
            unsure[source] = unsure.get(source, 0.0) + doubt
    best, most = None, UNSURE
    for source, doubt in unsure.items():
        made = run_counts.tried(tx, source)
        if (less := doubt / ((made + 1) * (made + 2))) > most:
            best, most = source, less
    return best


def _undo(tx: Transaction) -> None:
    newest, best = trunk.tip(tx.ledger, tx.tag), trunk.champion(tx.ledger, tx.tag)
    if newest.position == 0 or fresh_runs.begun_closing(tx, [newest.source]):  # its last word is being asked for
        return
    if ablations.newest(tx.ledger, tx.tag, AblationState.OPEN, AblationState.ENDED, source=newest.source):  # the same
        return
    levels = levels_of(tx)
    source = levels.losing(best.source if best else tx.swarm.base_source)
    if source is None:
        return
    earlier, step = trunk.step_of(tx, source), levels.line()[0]
    known = levels.belief(step.idea)
    assert known, f"{step.idea} is undone without a word"
    gain, se = known.sigma * known.effect.mean, known.sigma * known.effect.variance**0.5
    reason = f"all runs until now make it a loss: {gain:+.6f} ± {se:.6f} expected of {step.idea}"
    verdict = Verdict(Status.KEEP, gain, se, 0, reason, Outcome.RESTORED)
    go_back(tx, newest, earlier, f"{reason}; back to {place(earlier)}", verdict, Rung.CARRIED)


def _label(tx: Transaction) -> None:
    """The chance of each standing step that this run touched, and of some others in turn."""
    known = _known(tx)
    levels = known.levels
    standing = {step.idea: None for step in levels.line()}
    ideas, turn = list(standing), measured_runs(tx)
    others = (ideas[(LOOKS * turn + number) % len(ideas)] for number in range(min(LOOKS, len(ideas))))
    for name in dict.fromkeys([*(name for name in levels.take_touched() if name in standing), *others]):
        belief = levels.belief(name)
        if belief and _is_news(tx, known, name, belief.effect.real):
            _write(tx, name, belief.effect.real)
            known.written[name] = belief.effect.real


def _is_news(tx: Transaction, known: _Known, name: str, real: float) -> bool:
    """Whether a step's chance is clearly another one than in the ledger, or calls it otherwise."""
    if name not in known.written:
        known.written[name] = experiment(tx.ledger, name).real or 0.0
    before, kept_from = known.written[name], tx.policy.rules.kept_from
    return abs(real - before) >= NEWS or (real >= kept_from) != (before >= kept_from)


def _write(tx: Transaction, name: str, real: float) -> None:
    moved = transitions.set_chance(tx, name, real, tx.policy.rules.kept_from)
    if moved and not events.was_told(tx, moved, name):
        title = experiment(tx.ledger, name).title
        tx.event("swarm", moved, f"{title}: a real gain with p={real:.2f}, as later runs tell", name)
