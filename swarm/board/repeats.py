"""What was tried before: where an idea stands, the answer to whoever repeats it, and when it may be tried again.

A repetition is always answered with the earlier result, so that nothing is burned and its researcher learns. What is
being tried now is refused. What was tried needs a word on why it should work now (`Idea.again`). Then it may run: a
reason opens it once, and every change of the trunk that could matter to it opens it anew.
"""

from __future__ import annotations

from enum import StrEnum

from swarm.ledger import swarms, trunk
from swarm.ledger.database import Ledger
from swarm.ledger.rows import ExperimentRow, ExperimentState
from swarm.ledger.transaction import Transaction
from swarm.records import Duplicate, Outcome, Rung, Status
from swarm.text import moment

FAR = 3  # changes of the trunk after which what was not refuted may look otherwise
DIFF = 1_200  # characters of an earlier change that are shown
LIVE = {
    ExperimentState.CLAIMED: "being drafted now",
    ExperimentState.DRAFTED: "waits for its GPU",
    ExperimentState.TESTING: "being tested now",
}


class Standing(StrEnum):
    """What is known of an idea after its verdict. One losing run proves nothing: unproven is not refuted."""

    KEPT = "kept"
    CARRIED = "carried"  # on the trunk, and as likely no gain as one
    REFUTED = "refuted"  # a gain of even half a sigma is unlikely
    UNPROVEN = "unproven"  # no gain showed, which does not rule out a small one
    NEAR_MISS = "near miss"  # could not be distinguished from its parent
    HELD = "held"  # measured better than any honest edit: a person looks at it
    BROKE_GUARD = "broke a guard"  # whatever it gained
    NOOP = "no-op"  # its edit did nothing: the idea itself was never tested
    CRASHED = "crashed"


def standing(status: str | None, outcome: Outcome | None, high: float | None, sigma: float | None) -> Standing | None:
    """The standing of an experiment with this verdict; None before there is one.

    `high` is the upper 95% bound of its gain, `sigma` the noise of one run.
    """
    match status:
        case None:
            return None
        case Status.KEEP:
            return Standing.KEPT
        case Status.CRASH:
            return Standing.CRASHED
    if outcome is Outcome.NO_EFFECT:
        return Standing.NOOP
    if outcome is Outcome.BROKE_GUARD:
        return Standing.BROKE_GUARD
    if outcome is Outcome.HELD:
        return Standing.HELD
    if outcome and outcome.is_near_miss:
        return Standing.NEAR_MISS
    return without_gain(high, sigma)


def without_gain(high: float | None, sigma: float | None) -> Standing:
    """Refuted needs an upper 95% bound of the gain under half a sigma, whatever the number of runs.

    Where equal code gives equal numbers, the bound is the gain itself, and half of no noise is nothing.
    """
    refuted = high is not None and sigma is not None and high <= sigma / 2
    return Standing.REFUTED if refuted else Standing.UNPROVEN


def standing_of(row: ExperimentRow, sigma: float | None) -> Standing | None:
    known = standing(row.status, row.outcome, row.interval[1], sigma)
    return Standing.CARRIED if known is Standing.KEPT and row.rung is Rung.CARRIED else known


def refusal(tx: Transaction, earlier: ExperimentRow, again: str, gate: str) -> Duplicate | None:
    """Why the experiment `earlier` may not be repeated, with what came of it; None where it may."""
    sigma = tx.swarm.sigma
    if earlier.baseline or earlier.state is not ExperimentState.JUDGED:
        return Duplicate(earlier.id, gate, account(earlier, sigma))
    if earlier.rung is Rung.TAINTED:  # it was judged beside a number that was false: nobody knows it
        return None
    since = changes_since(tx.ledger, tx.tag, earlier.tag, earlier.position)
    open_again = reopened(since, earlier.category, standing_of(earlier, sigma))
    if again and (open_again or not earlier.again):
        return None
    advice = "Propose something else."
    if open_again or not earlier.again:
        moved = f"The trunk has taken {len(since)} steps since. " if since else ""
        advice = f"{moved}If you know why it should come out otherwise now, propose it again and say so in `again`."
    return Duplicate(earlier.id, gate, f"{account(earlier, sigma)}\n{advice}")


def account(row: ExperimentRow, sigma: float | None) -> str:
    """An experiment for whoever would repeat it: who, when, what came of it with its evidence, and its change."""
    head = f"{row.id} ({row.title})"
    if row.baseline:
        return f"{head}: it is the untouched code"
    if row.judged is None:
        return f"{head}, by {row.owner}: {LIVE.get(row.state, row.state)}"
    when = moment(row.judged)
    came = f"{row.status}, {standing_of(row, sigma)}, {_evidence(row)}; {row.reason}"
    lines = [f"{head}, by {row.agent}, {when:%Y-%m-%d %H:%M} UTC: {came}"]
    if row.diff:
        lines.append(f"Its change:\n{row.diff[:DIFF]}{' ...' if len(row.diff) > DIFF else ''}")
    return "\n".join(lines)


def _evidence(row: ExperimentRow) -> str:
    if row.gain is None:
        return "no number"
    low, high = row.interval
    bounds = "" if low is None else f" (95%: {low:+.5g} to {high:+.5g})"
    return f"gain {row.gain:+.5g}{bounds}, n={row.n}"


def changes_since(ledger: Ledger, tag: str, then_tag: str, then_position: int) -> list[str]:
    """The categories of the kept steps in which the trunk's tip differs from an earlier position, of any swarm's trunk.

    Steps that both lines share count for neither.
    """
    now, then = _steps(ledger, tag), _steps(ledger, then_tag, then_position)
    return [category for step, category in {**now, **then}.items() if (step in now) != (step in then)]


def _steps(ledger: Ledger, tag: str, position: int | None = None) -> dict[str, str]:
    """{experiment: category} of the trunk up to a position, with the trunk of the swarm that it started from."""
    own = trunk.categories_until(ledger, tag, position)
    root = swarms.root_of(ledger, tag)
    return _steps(ledger, *root) | own if root else own


def reopened(changes: list[str], category: str, known: Standing | None) -> bool:
    """Whether these changes of the trunk could matter: one of its own category, or many for what was not refuted.

    What did nothing was never tested, and is open at once.
    """
    return category in changes or known is Standing.NOOP or (known is not Standing.REFUTED and len(changes) >= FAR)
