"""The swarms of a repository: how one is founded, opened again, stopped and ended."""

from __future__ import annotations

from msgspec import Struct

from swarm.ledger.agents import enlist
from swarm.ledger.database import Ledger
from swarm.ledger.events import RESUMED
from swarm.ledger.experiments import baseline_of
from swarm.ledger.rows import ExperimentRow, SwarmRow
from swarm.ledger.sources import store_source
from swarm.ledger.transaction import Transaction, of_swarm
from swarm.ledger.transitions import abandon, add_baseline
from swarm.records import Source


def swarms(ledger: Ledger) -> list[SwarmRow]:
    """All swarms there ever were, oldest first."""
    return ledger.records(SwarmRow, "ORDER BY started")


def newest_tag(ledger: Ledger) -> str | None:
    """The swarm that runs, or else the one that was started last; None where there never was one."""
    return ledger.value("SELECT tag FROM swarms ORDER BY ended IS NULL DESC, started DESC LIMIT 1")


def found(
    ledger: Ledger, source: Source, agents: dict[str, tuple[str, str]], fingerprint: str, at: float, **swarm: object
) -> None:
    """A new swarm: its row, the untouched code as position 0 of its trunk, a baseline experiment per agent.

    `agents` maps each agent's name to (device, category to look at first); `swarm` holds the other columns.
    """
    tag, key = str(swarm["tag"]), str(swarm["key"])
    with ledger.transaction():
        sha = store_source(ledger, source)
        ledger.insert("swarms", started=at, status="running", base_source=sha, **swarm)
        ledger.insert("trunk", tag=tag, position=0, source=sha, experiment=None, at=at)
        for agent in agents:
            add_baseline(ledger, tag, agent, key, sha, at)
        ledger.execute(
            "INSERT OR IGNORE INTO fingerprints (fingerprint, key, experiment) VALUES (?, ?, ?)",
            *(fingerprint, key, baseline_of(tag, next(iter(agents)))),
        )
        enlist(ledger, tag, agents)


def reopen(
    ledger: Ledger,
    tag: str,
    agents: dict[str, tuple[str, str]],
    at: float,
    hours: float | None,
    max_experiments: int | None,
    researcher: str,
    settings: str,
    max_usd: float | None = None,
    max_tokens: int | None = None,
    hours_anew: bool = False,
) -> None:
    """An ended swarm goes on. The hours it was launched with go on where they stopped, unless they are meant anew;
    other hours count from now.

    Money and tokens spent before count as before; where no other limit of them is given, the old one holds.
    The clock may have been set since: what is left is counted by the clock that was used until the end.
    """
    look = of_swarm(ledger, tag, at)
    left = seconds_left(look, hours, hours_anew)
    deadline = None if left is None else at + left
    with ledger.transaction():
        ledger.execute(
            "UPDATE swarms SET status = 'running', stop = '', reason = '', ended = NULL, deadline = ?,"
            " max_experiments = ?, researcher = ?, settings = ?, max_usd = coalesce(?, max_usd),"
            " max_tokens = coalesce(?, max_tokens) WHERE tag = ?",
            *(deadline, max_experiments, researcher, settings, max_usd, max_tokens, tag),
        )
        for agent in agents:
            add_baseline(ledger, tag, agent, look.swarm.key, look.swarm.base_source, at)
        enlist(ledger, tag, agents)
        look.event("swarm", RESUMED, "")
        ledger.memory.pop("life", None)


def seconds_left(tx: Transaction, hours: float | None, anew: bool = False) -> float | None:
    """What a swarm that is opened again with these hours has left; None where it has no time limit. They count from
    now where they are meant `anew`, or are others than it had."""
    if not hours:
        return None
    if anew or hours != tx.swarm.settings.get("hours") or not tx.swarm.deadline:
        return hours * 3600
    newest = tx.ledger.value("SELECT at FROM events WHERE tag = ? ORDER BY id DESC LIMIT 1", tx.tag)
    return max(0.0, tx.swarm.deadline - (newest or tx.swarm.started))


def close_others(ledger: Ledger, tag: str) -> None:
    """Only one swarm runs at a time: what others left unfinished is over, and their open ideas are free again."""
    for left in ledger.records(
        ExperimentRow, "WHERE tag != ? AND baseline = 0 AND state IN ('claimed', 'drafted', 'testing')", tag
    ):
        abandon(ledger, left.id, "its swarm ended before it was decided")
    ledger.execute("UPDATE runs SET state = 'lost' WHERE tag != ? AND state = 'running'", tag)
    ledger.execute(
        "UPDATE swarms SET status = 'interrupted', ended ="
        " (SELECT max(swarms.started, coalesce(max(at), 0)) FROM events WHERE events.tag = swarms.tag)"
        " WHERE tag != ? AND ended IS NULL",
        tag,
    )


def ask_to_stop(ledger: Ledger, tag: str, word: str) -> None:
    """Asks the swarm to end: "drain" or "now". "now" is never taken back to "drain"."""
    ledger.execute("UPDATE swarms SET stop = ? WHERE tag = ? AND stop != 'now'", word, tag)


def stop_at_once(tx: Transaction, reason: str) -> None:
    """The swarm stops by itself, and says why."""
    tx.ledger.execute("UPDATE swarms SET stop = 'now', reason = ? WHERE tag = ?", reason, tx.tag)


def set_reason(tx: Transaction, reason: str) -> None:
    """Why no further idea is wanted, in the board's own words."""
    tx.ledger.execute("UPDATE swarms SET reason = ? WHERE tag = ?", reason, tx.tag)


def end(tx: Transaction, status: str, reason: str) -> None:
    tx.ledger.execute(
        "UPDATE swarms SET status = ?, reason = ?, ended = ? WHERE tag = ?", status, reason, tx.now, tx.tag
    )


def set_sigma(tx: Transaction, sigma: float | None) -> None:
    """The noise of one run, as it is known now."""
    if sigma != tx.swarm.sigma:
        tx.ledger.execute("UPDATE swarms SET sigma = ? WHERE tag = ?", sigma, tx.tag)


def stop_word(ledger: Ledger, tag: str) -> str:
    """What the swarm was asked for: "", "drain" or "now"; KeyError where there is no such swarm."""
    return ledger.one("SELECT stop FROM swarms WHERE tag = ?", tag)["stop"]


def measured_runs(tx: Transaction) -> int:
    """How many runs gave a number until now."""
    return tx.ledger.value("SELECT measured FROM swarms WHERE tag = ?", tx.tag)


class Life(Struct, frozen=True):
    """A swarm since it was opened for the last time: `since` (unix seconds; 0 in its first life), and how many runs had
    given a number before, the closing wave's and an ablation's left out."""

    since: float
    before: int


def life(tx: Transaction) -> Life:
    """The life that the swarm is in."""
    known: dict[str, Life] = tx.ledger.memory.setdefault("life", {})
    if tx.tag not in known:
        since = tx.ledger.value("SELECT max(at) FROM events WHERE tag = ? AND kind = ?", tx.tag, RESUMED) or 0.0
        before = tx.ledger.value(
            "SELECT count(*) FROM runs WHERE tag = ? AND state = 'measured' AND started < ?"
            " AND purpose NOT IN ('closing', 'ablate')",
            *(tx.tag, since),
        )
        known[tx.tag] = Life(since, before)
    return known[tx.tag]


def measured_in_this_life(tx: Transaction) -> int:
    """How many runs gave a number since the swarm was opened last, without the closing wave's and an ablation's."""
    return tx.ledger.value("SELECT measured - closing FROM swarms WHERE tag = ?", tx.tag) - life(tx).before


def usual_seconds(tx: Transaction) -> float:
    """What a run takes; its budget while none has ended."""
    known = tx.ledger.value("SELECT measured_seconds / measured FROM swarms WHERE tag = ?", tx.tag)
    return known or tx.swarm.budget


def root_of(ledger: Ledger, tag: str) -> tuple[str, int] | None:
    """The earlier swarm whose trunk this one started from, and at which position."""
    row = ledger.row(
        "SELECT trunk.tag, position FROM swarms JOIN trunk ON trunk.tag = from_tag AND trunk.source = base_source"
        " WHERE swarms.tag = ? ORDER BY position DESC",
        tag,
    )
    return (row["tag"], row["position"]) if row else None
