"""What a free GPU does next, decided inside the board's transaction. The order is the one of DESIGN.md 4."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from swarm.board import trials
from swarm.board.ledger import Ledger
from swarm.board.limits import TIME_IS_UP, closing_runs, limit
from swarm.board.stock import idea_of, tip
from swarm.judge.race import parse
from swarm.records import Measure, Purpose, Rebase, Repair, Rest, Stop, Work, decode

SELECTION_SEEDS, CLOSING_SEEDS = 1000, 9000  # run k of anything has seed 1000 + k; fresh evidence never shares one


def next_work(ledger: Ledger, swarm: sqlite3.Row, agent: str, fence: int, alive: frozenset[str], now: float) -> Work:
    """One agent's next work, with its run already entered in the ledger where it is one."""
    trials.lose_running(ledger, swarm, agent, now)
    if swarm["stop"]:
        return Stop(swarm["reason"] or {"drain": "drained", "now": "stopped"}[swarm["stop"]])
    desk = Desk(ledger, swarm, agent, fence, alive, now)
    return desk.baseline() or desk.own_experiment() or desk.own_draft() or desk.closing() or desk.nothing()


def draft_of(ledger: Ledger, tag: str, agent: str) -> sqlite3.Row | None:
    """The agent's oldest draft that waits for its GPU."""
    return ledger.row(
        "SELECT * FROM experiments WHERE tag = ? AND state = 'drafted' AND owner = ? ORDER BY created", tag, agent
    )


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
            return Rest("its baseline crashed; waiting for another agent's")
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
        runs = self.ledger.value(
            "SELECT count(*) FROM runs WHERE experiment = ? AND state = 'measured'", experiment["id"]
        )
        purpose = Purpose.REPLICATE if runs else Purpose.FIRST
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

    def closing(self) -> Work | None:
        """When the limit is reached: fresh runs of the trunk's tip and of the baseline, both on every GPU in turn."""
        newest = tip(self.ledger, self.tag)
        if not self.over or newest["position"] == 0 or self._past_deadline():
            return None
        arms = {newest["source"]: newest["experiment"], self.swarm["base_source"]: f"{self.tag}-{self.agent}-0000"}
        if self._testing():  # the tip may still change; the baseline does not
            del arms[newest["source"]]
        wanted = closing_runs(self.ledger, self.tag)
        done = {source: self._closed(source) for source in arms}
        lacking = [source for source in arms if done[source][1] < wanted]
        if not lacking:
            return None
        source = min(lacking, key=done.__getitem__)
        experiment = self.ledger.one("SELECT * FROM experiments WHERE id = ?", arms[source])
        return self._measure(experiment, Purpose.CLOSING, source, experiment["parent"])

    def nothing(self) -> Work:
        if not self.over:
            return Rest("thinking about the next idea")
        if self._testing():  # what it gives may have to be confirmed, and who tests it may need a successor
            return Rest("waiting for the last experiments")
        return Stop(self.over)

    # -- pieces ------------------------------------------------------------------------------------------------

    def _measure(self, experiment: sqlite3.Row, purpose: Purpose, source: str, parent: str) -> Measure:
        """Enters a run: a lost one again under its own id and seed, or else a new one."""
        again = self.ledger.row(
            "SELECT id, seed, max(attempt) AS attempt FROM runs WHERE experiment = ? AND purpose = ? AND source = ?"
            " GROUP BY id HAVING sum(state != 'lost') = 0",
            *(experiment["id"], purpose, source),
        )
        if again:
            run, seed, attempt = again["id"], again["seed"], again["attempt"] + 1
        else:
            used = self.ledger.value("SELECT count(DISTINCT id) FROM runs WHERE experiment = ?", experiment["id"])
            run, seed, attempt = f"{experiment['id']}.{used + 1}", self._seed(purpose, source), 1
        self.ledger.insert(
            "runs",
            id=run,
            attempt=attempt,
            tag=self.tag,
            experiment=experiment["id"],
            agent=self.agent,
            purpose=purpose,
            seed=seed,
            source=source,
            parent=parent,
            state="running",
            fence=self.fence,
            started=self.now,
        )
        title, budget = experiment["title"], self.swarm["budget"]
        return Measure(run, attempt, experiment["id"], title, purpose, seed, source, parent, budget)

    def _seed(self, purpose: Purpose, source: str) -> int:
        fresh = purpose in (Purpose.CLOSING, Purpose.CONFIRM)
        earlier = self.ledger.value(
            "SELECT count(DISTINCT id) FROM runs WHERE tag = ? AND source = ?"
            f" AND purpose {'IN' if fresh else 'NOT IN'} ('closing', 'confirm')",
            *(self.tag, source),
        )
        return (CLOSING_SEEDS if fresh else SELECTION_SEEDS) + earlier + 1

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
        """Whether the parent should run before its challenger does again; failed tries count, so that it ends."""
        tried = self.ledger.value(
            "SELECT count(*) FROM runs WHERE tag = ? AND source = ?", self.tag, experiment["parent"]
        )
        _, rules = parse(self.swarm["policy"])
        return tried < rules.parent_runs and tried <= experiment["n"]

    def _refresh(self, experiment: sqlite3.Row) -> Measure:
        step = self.ledger.one(
            "SELECT * FROM trunk WHERE tag = ? AND source = ? ORDER BY position DESC", self.tag, experiment["parent"]
        )
        owner = self.ledger.one(
            "SELECT * FROM experiments WHERE id = ?", step["experiment"] or f"{self.tag}-{self.agent}-0000"
        )
        return self._measure(owner, Purpose.REFRESH, step["source"], owner["parent"])

    def _own(self) -> sqlite3.Row | None:
        return self.ledger.row(
            "SELECT * FROM experiments WHERE tag = ? AND state = 'testing' AND baseline = 0 AND owner = ?",
            *(self.tag, self.agent),
        )

    def _adopted(self) -> sqlite3.Row | None:
        """An experiment in testing whose owner is gone for good becomes this agent's."""
        for row in self._testing():
            if row["owner"] not in self.alive:
                self.ledger.execute("UPDATE experiments SET owner = ? WHERE id = ?", self.agent, row["id"])
                return row
        return None

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

    def _testing(self) -> list[sqlite3.Row]:
        return self.ledger.rows(
            "SELECT * FROM experiments WHERE tag = ? AND state = 'testing' AND baseline = 0 ORDER BY created", self.tag
        )

    def _measured(self, source: str) -> bool:
        return bool(
            self.ledger.value(
                "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", self.tag, source
            )
        )

    def _closed(self, source: str) -> tuple[int, int]:
        """The source's closing runs on this GPU, and on all."""
        own, every = self.ledger.one(
            "SELECT count(DISTINCT CASE WHEN agent = ? THEN id END), count(DISTINCT id) FROM runs"
            " WHERE tag = ? AND source = ? AND purpose = 'closing' AND state != 'lost'",
            *(self.agent, self.tag, source),
        )
        return own, every

    def _past_deadline(self) -> bool:
        return self.swarm["deadline"] is not None and self.now >= self.swarm["deadline"]
