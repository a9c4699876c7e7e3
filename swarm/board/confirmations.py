"""The strict tests: which state of the trunk earns one, its fresh runs, and who is champion after it.

A confirmation is a row of its own, and its runs carry its number: they decide nothing else, and nothing that was
measured before decides it. One is open at a time. All of this happens inside the board's transaction.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Sequence
from statistics import fmean

from swarm.judge.closing import CLOSING_RUNS
from swarm.judge.comparison import Comparison, compare
from swarm.judge.confirm import FRESH_RUNS, LEVEL, Confirmation, affordable, confirm, deserves_confirmation
from swarm.judge.noise import Noise
from swarm.judge.pairs import Half, next_half
from swarm.ledger.database import Ledger
from swarm.ledger.measurements import noise, values
from swarm.ledger.queries import champion, original, tip
from swarm.ledger.runs import begin, confirmation_seed
from swarm.records import Measure, Purpose, Rung

SWARM, CLOSING, PEOPLE = "swarm", "closing", "people"  # who asked for a confirmation
OPEN, CONFIRMED, UNCONFIRMED = "open", "confirmed", "unconfirmed"  # its states


def consider(ledger: Ledger, swarm: sqlite3.Row, known: Noise, now: float, last: bool = False) -> None:
    """Opens a confirmation of the trunk's tip against the champion where the tip has earned one.

    One test is left for the night's end: only then `last` is true.
    """
    if earned(ledger, swarm, known, last):
        tag, newest = swarm["tag"], tip(ledger, swarm["tag"])
        best = champion(ledger, tag)
        against, rival = (best["experiment"], best["source"]) if best else (baseline(ledger, tag), swarm["base_source"])
        ask(ledger, tag, original(ledger, newest), newest["source"], against, rival, SWARM, FRESH_RUNS, now)


def earned(ledger: Ledger, swarm: sqlite3.Row, known: Noise, last: bool) -> bool:
    """Whether the tip's gain so far over the champion deserves a strict test, and the night can pay for it."""
    tag, newest = swarm["tag"], tip(ledger, swarm["tag"])
    best = champion(ledger, tag)
    rival = best["source"] if best else swarm["base_source"]
    if swarm["policy"].startswith("greedy") or not known.sigma or newest["source"] == rival:
        return False
    if not affordable(*_spent(ledger, tag), last=last) or _tested(ledger, tag, newest["source"], rival):
        return False
    ours, theirs = (values(ledger, swarm, known, source) for source in (newest["source"], rival))
    if not ours or not theirs:
        return False
    gain, se = fmean(theirs) - fmean(ours), known.sigma * math.sqrt(1 / len(ours) + 1 / len(theirs))
    return deserves_confirmation(gain, se, known.sigma)


def closing_runs(ledger: Ledger, tag: str) -> int:
    """How many closing runs each of champion and baseline gets: a fifth of the night, within what the test needs."""
    measured = ledger.value("SELECT measured - closing FROM swarms WHERE tag = ?", tag)
    return max(FRESH_RUNS, min(CLOSING_RUNS, measured // 10))


def ask(
    ledger: Ledger,
    tag: str,
    experiment: str,
    source: str,
    rival_experiment: str,
    rival: str,
    asked: str,
    wanted: int,
    now: float,
) -> int:
    """Opens a confirmation of `wanted` fresh runs of each arm; gives its number."""
    ledger.insert(
        "confirmations",
        tag=tag,
        experiment=experiment,
        source=source,
        rival_experiment=rival_experiment,
        rival=rival,
        asked=asked,
        wanted=wanted,
        began=now,
    )
    return ledger.value("SELECT last_insert_rowid()")


def open_one(ledger: Ledger, tag: str, asked: str = SWARM) -> sqlite3.Row | None:
    return ledger.row("SELECT * FROM confirmations WHERE tag = ? AND state = 'open' AND asked = ?", tag, asked)


def next_run(
    ledger: Ledger,
    swarm: sqlite3.Row,
    test: sqlite3.Row,
    agent: str,
    fence: int,
    alive: Collection[str],
    now: float,
) -> Measure | None:
    """The agent's next fresh run of an open confirmation; None where others do the rest."""
    arms = ((test["experiment"], test["source"]), (test["rival_experiment"], test["rival"]))
    rows = ledger.rows("SELECT agent, source, seed FROM runs WHERE confirmation = ? AND state != 'lost'", test["id"])
    first = confirmation_seed(test["id"], 0)
    begun = [Half(row["agent"], int(row["source"] == test["rival"]), row["seed"] - first) for row in rows]
    half = next_half(begun, agent, alive, test["wanted"])
    if half is None:
        return None
    name, source = arms[half.arm]
    experiment = ledger.one("SELECT * FROM experiments WHERE id = ?", name)
    seed, code = confirmation_seed(test["id"], half.pair), (source, experiment["parent"])
    return begin(
        ledger, swarm, agent, fence, experiment, Purpose.CONFIRM, code, now, seed=seed, confirmation=test["id"]
    )


def settle(ledger: Ledger, swarm: sqlite3.Row, number: int, now: float) -> None:
    """Decides the swarm's own confirmation once all of its runs have ended; an unsteady candidate gets more of them."""
    test = ledger.one("SELECT * FROM confirmations WHERE id = ?", number)
    if test["state"] != OPEN or test["asked"] != SWARM or not _all_ended(ledger, test):
        return
    known = noise(ledger, swarm)
    own = f"confirmation = {int(number)}"
    ours, theirs = (values(ledger, swarm, known, test[arm], own) for arm in ("source", "rival"))
    if min(len(ours), len(theirs)) < 2:
        _conclude(ledger, test, None, now)
        return
    found = confirm(ours, theirs, known.sigma, known.df)
    if found.wanted > test["wanted"] == min(found.n, found.m):
        ledger.execute("UPDATE confirmations SET wanted = ? WHERE id = ?", found.wanted, number)
        return
    _conclude(ledger, test, found, now)


def void(ledger: Ledger, tag: str, sources: Collection[str], now: float) -> None:
    """Ends the open tests in which one of these sources takes part: nothing they would say counts."""
    marks = ", ".join("?" * len(sources))
    for row in ledger.rows(
        f"SELECT id FROM confirmations WHERE tag = ? AND state = 'open' AND asked = ? AND (source IN ({marks})"
        f" OR rival IN ({marks}))",
        *(tag, SWARM, *sources, *sources),
    ):
        _write(ledger, row["id"], UNCONFIRMED, (None,) * 6, now)


def close(ledger: Ledger, swarm: sqlite3.Row, now: float) -> None:
    """After the closing wave's last run: where the night has no champion yet, it tests the trunk's tip, once."""
    tag, base = swarm["tag"], swarm["base_source"]
    newest = tip(ledger, tag)
    if champion(ledger, tag) or newest["source"] == base or _tested(ledger, tag, newest["source"], base, CLOSING):
        return
    wanted, known = closing_runs(ledger, tag), noise(ledger, swarm)
    ours, theirs = (values(ledger, swarm, known, source, "purpose = 'closing'") for source in (newest["source"], base))
    if min(len(ours), len(theirs)) < wanted or known.sigma == 0:  # seeds that change nothing confirm nothing
        return
    against = baseline(ledger, tag)
    number = ask(ledger, tag, original(ledger, newest), newest["source"], against, base, CLOSING, wanted, now)
    test = ledger.one("SELECT * FROM confirmations WHERE id = ?", number)
    _conclude(ledger, test, confirm(ours, theirs, known.sigma, known.df), now)


def ask_for_people(ledger: Ledger, tag: str, experiment: str, rival: str, seeds: int, now: float) -> int:
    """The open confirmation of this very question, which goes on, or a new one; gives its number."""
    source, against = (
        ledger.one("SELECT source FROM experiments WHERE id = ?", name)["source"] for name in (experiment, rival)
    )
    begun = ledger.value(
        "SELECT id FROM confirmations WHERE tag = ? AND source = ? AND rival = ? AND wanted = ? AND asked = 'people'"
        " AND state = 'open'",
        *(tag, source, against, seeds),
    )
    return begun or ask(ledger, tag, experiment, source, rival, against, PEOPLE, seeds, now)


def baseline(ledger: Ledger, tag: str) -> str:
    """The baseline experiment that stands for the untouched code: the first whose runs gave a number."""
    return ledger.value(
        "SELECT id FROM experiments WHERE tag = ? AND baseline = 1 ORDER BY status = 'crash', length(agent), agent",
        tag,
    )


def parent_of(ledger: Ledger, tag: str, experiment: str) -> str:
    """The experiment whose code this one started from."""
    parent = ledger.value(
        "SELECT trunk.experiment FROM trunk JOIN experiments ON experiments.parent = trunk.source"
        " WHERE trunk.tag = ? AND experiments.id = ? ORDER BY trunk.position",
        *(tag, experiment),
    )
    return parent or baseline(ledger, tag)


def conclude_for_people(ledger: Ledger, swarm: sqlite3.Row, number: int, now: float) -> Comparison | None:
    """What the pairs say in which both runs gave a number; None where these are fewer than two.

    A kept step that is better at the level of the strict test is confirmed by it; champion it does not become.
    """
    test = ledger.one("SELECT * FROM confirmations WHERE id = ?", number)
    pairs = ledger.rows(
        "SELECT ours.value AS ours, theirs.value AS theirs FROM runs ours JOIN runs theirs ON theirs.seed = ours.seed"
        " AND theirs.confirmation = ours.confirmation AND theirs.source = ?1 AND theirs.state = 'measured'"
        " WHERE ours.confirmation = ?2 AND ours.source = ?3 AND ours.state = 'measured' ORDER BY ours.seed",
        *(test["rival"], number, test["source"]),
    )
    if len(pairs) < 2:
        _write(ledger, number, UNCONFIRMED, (None,) * 6, now)
        return None
    sign = 1 if swarm["direction"] == "lower" else -1
    told = compare([sign * pair["ours"] for pair in pairs], [sign * pair["theirs"] for pair in pairs])
    figures = (told.gain, told.low, told.high, told.t_p, told.pairs, told.pairs)
    _write(ledger, number, CONFIRMED if told.outcome == "better" else UNCONFIRMED, figures, now)
    if told.outcome == "better" and told.t_p < 2 * LEVEL:
        ledger.execute(
            "UPDATE experiments SET rung = ? WHERE id = ? AND rung = ?",
            *(Rung.CONFIRMED, test["experiment"], Rung.KEPT),
        )
    return told


def _conclude(ledger: Ledger, test: sqlite3.Row, found: Confirmation | None, now: float) -> None:
    """Writes the outcome down, crowns who won, and tells it; None: too few of the runs gave a number."""
    state = CONFIRMED if found and found.confirmed else UNCONFIRMED
    figures = (found.gain, found.low, found.high, found.p, found.n, found.m) if found else (None,) * 6
    _write(ledger, test["id"], state, figures, now)
    if state == CONFIRMED:
        _crown(ledger, test["tag"], test["experiment"])
    rival = ledger.one("SELECT title FROM experiments WHERE id = ?", test["rival_experiment"])["title"]
    title = ledger.one("SELECT title FROM experiments WHERE id = ?", test["experiment"])["title"]
    text = f"{title}: {_told(found)} over {rival}"
    kind = "champion" if state == CONFIRMED else UNCONFIRMED
    ledger.insert("events", tag=test["tag"], at=now, agent="swarm", kind=kind, text=text, experiment=test["experiment"])


def _write(ledger: Ledger, number: int, state: str, figures: Sequence[float | None], now: float) -> None:
    """`figures` are gain, low, high, p, n and m."""
    ledger.execute(
        "UPDATE confirmations SET state = ?, gain = ?, low = ?, high = ?, p = ?, n = ?, m = ?, ended = ? WHERE id = ?",
        *(state, *figures, now, number),
    )


def _crown(ledger: Ledger, tag: str, experiment: str) -> None:
    """The best of the confirmed is champion; who was it before stays confirmed."""
    ledger.execute("UPDATE experiments SET rung = ? WHERE tag = ? AND rung = ?", Rung.CONFIRMED, tag, Rung.CHAMPION)
    ledger.execute("UPDATE experiments SET rung = ? WHERE id = ?", Rung.CHAMPION, experiment)


def _told(found: Confirmation | None) -> str:
    if found is None:
        return "too many of its fresh runs gave no number to show a gain"
    return f"gain {found.gain:+.6f} on {found.n} + {found.m} fresh runs (p {found.p:.2g})"


def _spent(ledger: Ledger, tag: str) -> tuple[int, int, int]:
    """How many confirmations the swarm made of its own accord, their runs, and all runs of the night."""
    tests, spent = ledger.one(
        "SELECT count(*), total(2 * wanted) FROM confirmations WHERE tag = ? AND asked = 'swarm'", tag
    )
    return tests, int(spent), ledger.value("SELECT measured FROM swarms WHERE tag = ?", tag)


def _tested(ledger: Ledger, tag: str, source: str, rival: str, asked: str = SWARM) -> bool:
    """Whether this state has had its chance against that champion: nobody is tested until luck helps."""
    return bool(
        ledger.value(
            "SELECT count(*) FROM confirmations WHERE tag = ? AND source = ? AND rival = ? AND asked = ?",
            *(tag, source, rival, asked),
        )
    )


def _all_ended(ledger: Ledger, test: sqlite3.Row) -> bool:
    ended = ledger.value(
        "SELECT count(*) FROM runs WHERE confirmation = ? AND state IN ('measured', 'crashed')", test["id"]
    )
    return ended >= 2 * test["wanted"]
