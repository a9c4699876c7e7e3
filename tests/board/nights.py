"""A board on a real ledger file, clocks that a test moves by hand, and agents that do as they are told."""

from __future__ import annotations

import copy
import itertools
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm.agent.merge import merge
from swarm.board.board import Board
from swarm.board.rollback import go_back
from swarm.ledger.database import Ledger
from swarm.ledger.swarms import found
from swarm.ledger.transaction import Transaction, of_swarm
from swarm.ledger.trunk import steps
from swarm.novelty.code import code_of, fingerprint
from swarm.records import (
    Claim,
    Edit,
    Entered,
    Failure,
    Idea,
    Measure,
    Metrics,
    Outcome,
    Rebase,
    Run,
    Source,
    Status,
    Verdict,
    Work,
)

KNOBS = 12
CODE = "\n".join(f"k{number} = 1\n\n" for number in range(KNOBS)).encode()  # far enough apart to be merged


class Clock:
    """Wall time and monotonic time, which move only when told to."""

    def __init__(self) -> None:
        self.now, self.monotonic = 1_000_000.0, 50.0

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.monotonic += seconds


class Night:
    """One swarm: its board, reopened at will, and the agents' side of every call."""

    def __init__(
        self, path: Path, agents: int = 2, tag: str = "apr5", key: str = "key", base: bytes = CODE, **settings: Any
    ):
        self.path, self.tag = path, tag
        self.clock = Clock()
        self.fences: dict[str, int] = {}
        self.requests = (f"{tag} {number}" for number in itertools.count())
        self.agents = [f"gpu{index}" for index in range(agents)]
        self.base = Source({"train.py": base})
        path.parent.mkdir(parents=True, exist_ok=True)
        self.ledger = self._ledger()
        found(
            self.ledger,
            self.base,
            dict.fromkeys(self.agents, ("a device", "optimizer")),
            fingerprint(self.base),
            self.clock.now,
            **{
                "tag": tag,
                "base_commit": "0" * 40,
                "from_tag": None,
                "key": key,
                "device": "sim: a device",
                "metric": "val_bpb",
                "direction": "lower",
                "policy": "race",
                "researcher": "scripted",
                "budget": 100.0,
                "deadline": None,
                "max_experiments": None,
                "max_usd": None,
                "sigma_prior": 0.001,
                "settings": "{}",
                **settings,
            },
        )
        self.board = self._open()

    @classmethod
    def again(cls, path: Path, agents: int) -> Night:
        """The night that was founded at `path`, in another process."""
        night = cls.__new__(cls)
        night.path, night.tag, night.clock, night.fences = path, "apr5", Clock(), {}
        night.requests = (f"again {number}" for number in itertools.count())
        night.agents = [f"gpu{index}" for index in range(agents)]
        night.ledger = night._ledger()
        night.board = night._open()
        return night

    def copied(self, path: Path) -> Night:
        """The same night on a ledger at `path`, whose board has just been started again."""
        self.ledger.value("PRAGMA wal_checkpoint(TRUNCATE)")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.path, path)
        night = type(self).__new__(type(self))
        vars(night).update(vars(self), path=path, clock=copy.copy(self.clock), fences=dict(self.fences))
        night.requests = (f"copied {number}" for number in itertools.count())
        night.ledger = night._ledger()
        night.board = night._open()
        return night

    def _ledger(self) -> Ledger:
        ledger = Ledger(self.path, write=True)
        ledger.value("PRAGMA synchronous = OFF")  # no test pulls the plug of the machine
        return ledger

    def _open(self) -> Board:
        return Board(self.ledger, self.tag, str, lambda: self.clock.now, lambda: self.clock.monotonic)

    def restart(self) -> None:
        """The board's process dies and comes back."""
        self.ledger.close()
        self.ledger = self._ledger()
        self.board = self._open()

    def call(self, method: str, *arguments: object, request: str | None = None) -> Any:
        return getattr(self.board, method)(*arguments, request=request or next(self.requests))

    def swarm(self, **columns: object) -> None:
        for name, value in columns.items():
            self.ledger.execute(f"UPDATE swarms SET {name} = ? WHERE tag = ?", value, self.tag)

    # -- an agent's side ---------------------------------------------------------------------------------------

    def join(self, *agents: str) -> None:
        for agent in agents or self.agents:
            self.fences[agent] = self.call("join", agent)

    def claim(self, agent: str, idea: Idea | str, position: int | None = None) -> Any:
        idea = idea if isinstance(idea, Idea) else Idea(idea)
        position = self.board.briefing(agent).position if position is None else position
        return self.call("claim", agent, self.fences[agent], idea, position)

    def enter(self, claim: Claim, source: Source) -> Any:
        return self.call("enter", claim, code_of(self.board.source(claim.parent), source))

    def draft(self, agent: str, knob: int, value: object = 2) -> str:
        """An experiment that waits for its GPU: the knob of that number, set to `value`."""
        claim = self.claim(agent, Idea(f"k{knob} -> {value}", knobs={f"k{knob}": str(value)}))
        assert isinstance(claim, Claim), claim
        entered = self.enter(claim, turned(self.board.source(claim.parent), knob, value))
        assert isinstance(entered, Entered), entered
        return claim.experiment

    def next(self, agent: str) -> Work:
        return self.call("next_work", agent, self.fences[agent])

    def measure(self, agent: str) -> Measure:
        """The agent's next run; edits are carried onto a trunk that moved, as an agent would."""
        work = self.next(agent)
        while isinstance(work, Rebase):
            self.rebase(agent, work)
            work = self.next(agent)
        assert isinstance(work, Measure), work
        return work

    def rebase(self, agent: str, order: Rebase) -> None:
        base, ours, theirs = (self.board.source(sha) for sha in (order.base, order.source, order.onto))
        merged = merge(base, ours, theirs)
        self.call("rebase", agent, self.fences[agent], order, code_of(theirs, merged) if merged else None)

    def record(self, agent: str, work: Measure, value: float | Failure, **more: Any) -> Verdict | None:
        self.clock.tick(10.0)
        return self.call("record", agent, self.fences[agent], finished(work, value, self.clock.now, **more))

    def run(self, agent: str, value: float | Failure) -> Verdict | None:
        """The agent's next run, and what came of it."""
        return self.record(agent, self.measure(agent), value)

    def baselines(self, value: float = 1.0) -> None:
        """Everybody joins and measures the baseline twice."""
        self.join()
        for agent in self.agents:
            for shift in (-0.0005, 0.0005):
                self.run(agent, value + shift)

    def keep(self, agent: str, knob: int, value: float, setting: object = 2) -> str:
        """An experiment so good that the trunk takes it."""
        experiment = self.draft(agent, knob, setting)
        while self.state(experiment) != "judged":
            work = self.measure(agent)
            mine = self.ledger.value("SELECT source FROM experiments WHERE id = ?", experiment)
            self.record(agent, work, value if work.source == mine else self.mean(work.source))
        assert self.row(experiment)["status"] == "keep", dict(self.row(experiment))
        return experiment

    def undo(self, newest: int, earlier: int) -> None:
        """The trunk goes back from one position to another, as after a loss."""
        tx = self.transaction()
        known = steps(self.ledger, self.tag)
        verdict = Verdict(Status.KEEP, -0.01, 0.001, 2, "it lost", Outcome.RESTORED)
        go_back(tx, known[newest], known[earlier], "it lost", verdict)

    def transaction(self) -> Transaction:
        """What the rules of the board act through."""
        return of_swarm(self.ledger, self.tag, self.clock.now)

    # -- looking -----------------------------------------------------------------------------------------------

    def row(self, experiment: str) -> Any:
        return self.ledger.one("SELECT * FROM experiments WHERE id = ?", experiment)

    def state(self, experiment: str) -> str:
        return self.row(experiment)["state"]

    def mean(self, source: str) -> float:
        return self.ledger.value("SELECT avg(value) FROM runs WHERE source = ? AND state = 'measured'", source)

    def runs(self, where: str = "1") -> list[dict[str, Any]]:
        rows = self.ledger.rows(f"SELECT * FROM runs WHERE {where} ORDER BY started, id, attempt")
        return [dict(row) for row in rows]

    def trunk(self) -> list[str | None]:
        rows = self.ledger.rows("SELECT experiment FROM trunk WHERE tag = ? ORDER BY position", self.tag)
        return [row["experiment"] for row in rows]


def turned(source: Source, knob: int, value: object) -> Source:
    """The source with one knob set."""
    text = source.files["train.py"].decode()
    edit = Edit({"train.py": re.sub(rf"(?m)^k{knob} = .*$", f"k{knob} = {value}", text).encode()})
    return source.edited(edit)


def finished(work: Measure, value: float | Failure, started: float, **more: Any) -> Run:
    """The run that `work` became: a number measured, or the way it failed."""
    common: dict[str, Any] = {"run": work.run, "attempt": work.attempt, "started": started, "seconds": 10.0}
    common |= {"training_seconds": 9.0, "sandboxed": True} | more
    if isinstance(value, Failure):
        return Run(**{"failure": value, "reason": f"it failed: {value}", "log_tail": "Traceback: boom", **common})
    return Run(metrics=Metrics(value, audited=True, peak_vram_mb=2048.0), **common)


def without_holds(make_night: Callable[..., Night]) -> Night:
    """Two agents with their baselines, and gains of any size, of which none waits for a person."""
    night = make_night(policy="race:held_share=1")
    night.baselines()
    return night


def leave_a_kept_step(ledger: Path, agents: int) -> None:
    """A swarm in this ledger, which nobody leads: its baselines, and one step that was kept."""
    night = Night(ledger, agents=agents)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    night.ledger.close()
