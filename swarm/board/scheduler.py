"""What a free GPU does next, decided inside the board's transaction. The order is the one of DESIGN.md 4."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from swarm.board import confirmations, trials
from swarm.board.confirmations import closing_runs
from swarm.board.limits import TIME_IS_UP, limit, past_deadline, time_to_confirm
from swarm.codec import decode
from swarm.judge.closing import CLOSING_RUNS
from swarm.judge.pairs import Half, next_half
from swarm.judge.race import parse
from swarm.ledger import runs
from swarm.ledger.database import Ledger
from swarm.ledger.measurements import noise
from swarm.ledger.queries import champion, idea_of, leader, tip
from swarm.records import Measure, Purpose, Rebase, Repair, Rest, Stop, Work

LATE = 0.1  # of a run: an idea for which a GPU has waited so long may take longer still
ASKED = 50.0  # times a second at most that all agents that rest ask for work together
_TESTING = "FROM experiments WHERE tag = ? AND state = 'testing' AND baseline = 0"
FILLED = CLOSING_RUNS  # runs, up to which a state is measured again while there is nothing better to do


def next_work(
    ledger: Ledger,
    swarm: sqlite3.Row,
    agent: str,
    fence: int,
    alive: frozenset[str],
    now: float,
    late: float = 0.0,
    mending: bool = False,
) -> Work:
    """One agent's next work, with its run already entered in the ledger where it is one.

    `late` is for how many seconds it has had nothing to run. While it is `mending` its experiment, its GPU works for
    all: an experiment is judged before the next one of its agent starts. When the time is up nobody waits for that.
    """
    trials.lose_running(ledger, swarm, agent, now)
    if swarm["stop"]:
        return Stop(swarm["reason"] or {"drain": "drained", "now": "stopped"}[swarm["stop"]])
    desk = Desk(ledger, swarm, agent, fence, alive, now)
    if mending and desk.over != TIME_IS_UP:
        return desk.confirmation() or desk.closing() or desk.filler(late) or desk.rest("mending what crashed")
    return (
        desk.baseline()
        or desk.own_experiment()
        or desk.confirmation()
        or desk.own_draft()
        or desk.closing()
        or desk.filler(late)
        or desk.nothing()
    )


def draft_of(ledger: Ledger, tag: str, agent: str) -> sqlite3.Row | None:
    """The agent's oldest draft that waits for its GPU."""
    return ledger.row(
        "SELECT * FROM experiments WHERE tag = ? AND state = 'drafted' AND owner = ? ORDER BY created", tag, agent
    )


def under_way(ledger: Ledger, tag: str, alive: frozenset[str]) -> bool:
    """Whether anything is being thought out, waits or is tested that will come to a verdict."""
    rows = ledger.rows(
        "SELECT owner, baseline FROM experiments WHERE tag = ? AND state IN ('claimed', 'drafted', 'testing')", tag
    )
    return any(not row["baseline"] or row["owner"] in alive for row in rows)


@dataclass
class Desk:
    """The steps of `next_work`, each giving a piece of work or None. `alive` are the agents that hold a lease."""

    ledger: Ledger
    swarm: sqlite3.Row
    agent: str
    fence: int
    alive: frozenset[str]
    now: float

    def __post_init__(self) -> None:
        self.tag = self.swarm["tag"]
        self.over = limit(self.ledger, self.swarm, len(self.alive), self.now)

    def baseline(self) -> Work | None:
        """The untouched code first; nobody starts an idea before it is known that the code runs at all."""
        own = self.ledger.one("SELECT * FROM experiments WHERE id = ?", f"{self.tag}-{self.agent}-0000")
        if own["state"] == "testing":
            return None if self.over else self._measure(own, Purpose.BASELINE, own["source"], own["parent"])
        if own["status"] != "crash" or self._measured(self.swarm["base_source"]):
            return None
        others = self.ledger.rows(
            "SELECT owner FROM experiments WHERE tag = ? AND baseline = 1 AND state = 'testing'", self.tag
        )
        if any(row["owner"] in self.alive for row in others):
            return self.rest("its baseline crashed; waiting for another agent's")
        return self._hopeless()

    def own_experiment(self) -> Work | None:
        """What is being tested goes on until it is judged: first the own, then one whose owner is gone."""
        experiment = self._own() or self._adopted()
        if experiment is None:
            return None
        if self.over == TIME_IS_UP:
            trials.give_up(self.ledger, self.swarm, experiment["id"], "the time was up", self.now)
            return None
        if experiment["failure"] and not experiment["repairs"]:
            return self._repair(experiment)
        if experiment["position"] < tip(self.ledger, self.tag)["position"]:
            return self._rebase(experiment)
        if experiment["refresh"] and self._parent_lags(experiment):
            return self._refresh(experiment)
        seen = self.ledger.value(
            "SELECT count(*) FROM runs WHERE experiment = ? AND state = 'measured'", experiment["id"]
        )
        purpose = Purpose.REPLICATE if seen else Purpose.FIRST
        return self._measure(experiment, purpose, experiment["source"], experiment["parent"])

    def own_draft(self) -> Work | None:
        """The idea that was thought out while the last one trained."""
        draft = None if self.over else draft_of(self.ledger, self.tag, self.agent)
        if draft is None:
            return None
        newest = tip(self.ledger, self.tag)["position"]
        self.ledger.execute(
            "UPDATE agents SET position = max(position, ?) WHERE tag = ? AND agent = ?", newest, self.tag, self.agent
        )
        if draft["position"] < newest:
            return self._rebase(draft)
        self.ledger.execute("UPDATE experiments SET state = 'testing', started = ? WHERE id = ?", self.now, draft["id"])
        return self._measure(draft, Purpose.FIRST, draft["source"], draft["parent"])

    def confirmation(self) -> Work | None:
        """A fresh run for the strict test that is open; at the end of the night the tip has its last chance of one."""
        if past_deadline(self.swarm, self.now):
            return None
        if self._ends_with_a_confirmation():
            known = noise(self.ledger, self.swarm)
            confirmations.consider(self.ledger, self.swarm, known, self.now, last=True)
        test = confirmations.open_one(self.ledger, self.tag)
        if test is None:
            return None
        return confirmations.next_run(self.ledger, self.swarm, test, self.agent, self.fence, self.alive, self.now)

    def _ends_with_a_confirmation(self) -> bool:
        """Whether all is judged, and there is a champion to challenge once more and time to do it."""
        if not self.over or not champion(self.ledger, self.tag) or self._testing():
            return False
        return time_to_confirm(self.ledger, self.swarm, len(self.alive), self.now)

    def closing(self) -> Work | None:
        """When the limit is reached: fresh runs of the night's leader and of the baseline, both on each GPU in turn."""
        best = leader(self.ledger, self.tag)
        if not self.over or best["source"] == self.swarm["base_source"] or past_deadline(self.swarm, self.now):
            return None
        if confirmations.open_one(self.ledger, self.tag):  # who leads is not settled yet
            return None
        sources = (best["source"], self.swarm["base_source"])
        experiments = (best["experiment"], f"{self.tag}-{self.agent}-0000")
        begun = [
            Half(row["agent"], sources.index(row["source"]), row["seed"] - runs.CLOSING_SEEDS)
            for row in self.ledger.rows(
                "SELECT agent, source, seed FROM runs WHERE tag = ? AND source IN (?, ?) AND purpose = 'closing'"
                " AND state != 'lost'",
                *(self.tag, *sources),
            )
        ]
        unsettled = self._testing() and not champion(self.ledger, self.tag)  # the tip may change; the baseline does not
        wanted = closing_runs(self.ledger, self.tag)
        half = next_half(begun, self.agent, self.alive, wanted, only=1 if unsettled else None)
        if half is None:
            return None
        experiment = self.ledger.one("SELECT * FROM experiments WHERE id = ?", experiments[half.arm])
        seed = runs.CLOSING_SEEDS + half.pair
        return self._measure(experiment, Purpose.CLOSING, sources[half.arm], experiment["parent"], seed)

    def filler(self, late: float) -> Work | None:
        """While the next idea is late: the night's leader again, then the trunk's tip, until both are well known.

        It delays no draft: the agent ends it when one is there. Karpathy's rule measures nothing twice.
        """
        if self.over or late < LATE * self.swarm["budget"] or self.swarm["policy"].startswith("greedy"):
            return None
        for step in (leader(self.ledger, self.tag), tip(self.ledger, self.tag)):
            known = self.ledger.value(
                "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state != 'lost'", self.tag, step["source"]
            )
            if known < FILLED:
                return self._again(step, Purpose.FILLER)
        return None

    def nothing(self) -> Work:
        if not self.over:
            return self.rest("thinking about the next idea")
        if self._testing():  # what it gives may have to be confirmed, and who tests it may need a successor
            return self.rest("waiting for the last experiments")
        if confirmations.open_one(self.ledger, self.tag) and not past_deadline(self.swarm, self.now):
            return self.rest("waiting for the last confirmation")
        return Stop(self.over)

    def rest(self, reason: str) -> Rest:
        """Nothing for now. However many agents rest, together they ask no more than a few times in a second."""
        return Rest(reason, max(1.0, len(self.alive) / ASKED))

    # -- pieces ------------------------------------------------------------------------------------------------

    def _measure(
        self, experiment: sqlite3.Row, purpose: Purpose, source: str, parent: str, seed: int | None = None
    ) -> Measure:
        return runs.begin(
            self.ledger, self.swarm, self.agent, self.fence, experiment, purpose, (source, parent), self.now, seed=seed
        )

    def _repair(self, experiment: sqlite3.Row) -> Repair:
        result = self.ledger.value(
            "SELECT result FROM runs WHERE experiment = ? AND failure = ? ORDER BY started DESC",
            *(experiment["id"], experiment["failure"]),
        )
        return Repair(experiment["id"], idea_of(experiment), experiment["parent"], experiment["source"], decode(result))

    def _rebase(self, experiment: sqlite3.Row) -> Rebase:
        newest = tip(self.ledger, self.tag)
        return Rebase(
            experiment["id"],
            idea_of(experiment),
            experiment["parent"],
            experiment["source"],
            newest["source"],
            newest["position"],
        )

    def _parent_lags(self, experiment: sqlite3.Row) -> bool:
        """Whether the parent should run before its challenger does again; failed tries count, so that it ends.

        But for a filler's: that gives way by design, which says nothing about the parent.
        """
        tried = self.ledger.value(
            "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND NOT (purpose = 'filler' AND state = 'lost')",
            *(self.tag, experiment["parent"]),
        )
        _, rules = parse(self.swarm["policy"])
        return tried < rules.parent_runs and tried <= experiment["n"]

    def _refresh(self, experiment: sqlite3.Row) -> Measure:
        step = self.ledger.one(
            "SELECT * FROM trunk WHERE tag = ? AND source = ? ORDER BY position DESC", self.tag, experiment["parent"]
        )
        return self._again(step, Purpose.REFRESH)

    def _again(self, step: sqlite3.Row, purpose: Purpose) -> Measure:
        """Another run of a step of the trunk."""
        owner = self.ledger.one(
            "SELECT * FROM experiments WHERE id = ?", step["experiment"] or f"{self.tag}-{self.agent}-0000"
        )
        return self._measure(owner, purpose, step["source"], owner["parent"])

    def _own(self) -> sqlite3.Row | None:
        return self.ledger.row(
            "SELECT * FROM experiments WHERE tag = ? AND state = 'testing' AND baseline = 0 AND owner = ?",
            *(self.tag, self.agent),
        )

    def _adopted(self) -> sqlite3.Row | None:
        """An experiment in testing whose owner is gone for good becomes this agent's."""
        owners = self.ledger.rows(f"SELECT DISTINCT owner {_TESTING}", self.tag)
        if all(row["owner"] in self.alive for row in owners):
            return None
        testing = self.ledger.rows(f"SELECT * {_TESTING} ORDER BY created", self.tag)
        row = next(row for row in testing if row["owner"] not in self.alive)
        self.ledger.execute("UPDATE experiments SET owner = ? WHERE id = ?", self.agent, row["id"])
        return row

    def _hopeless(self) -> Stop:
        """The untouched code crashes on every agent: the swarm stops by itself instead of burning the night."""
        crash = self.ledger.one(
            "SELECT e.reason, r.result FROM experiments e"
            " LEFT JOIN runs r ON r.experiment = e.id AND r.state = 'crashed'"
            " WHERE e.tag = ? AND e.baseline = 1 AND e.status = 'crash' ORDER BY e.verdict DESC",
            self.tag,
        )
        run = decode(crash["result"]) if crash["result"] else None
        told = [run.log_tail, f"the whole log: {run.log}" if run.log else ""] if run else []
        reason = "\n".join([f"the baseline crashes on every agent: {crash['reason']}", *filter(None, told)])
        self.ledger.execute("UPDATE swarms SET stop = 'now', reason = ? WHERE tag = ?", reason, self.tag)
        return Stop(reason)

    def _testing(self) -> bool:
        return bool(self.ledger.value(f"SELECT EXISTS (SELECT 1 {_TESTING})", self.tag))

    def _measured(self, source: str) -> bool:
        return bool(
            self.ledger.value(
                "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", self.tag, source
            )
        )
