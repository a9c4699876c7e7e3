"""Agents, answers and the board itself fail at any moment, in any order: what must hold holds all the same."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm.board.board import LEASE
from swarm.errors import Fenced
from swarm.ledger.database import Ledger
from swarm.novelty.code import code_of
from swarm.records import Claim, Failure, Idea, Measure, Outcome, Rebase, Repair, Rest, Stop
from tests.board.nights import KNOBS, Night, finished, turned

EXPERIMENTS = 5
AGENTS = st.sampled_from(["gpu0", "gpu1", "gpu2"])
TRUTH = 0.0  # stands for what the code is worth
VALUES = st.sampled_from([TRUTH] * 6 + [0.98, 0.9995, 1.0]) | st.sampled_from([TRUTH, *Failure])


class Killed(Exception):
    """The board's process dies here."""


class MortalLedger(Ledger):
    """A ledger whose process dies at its n-th next change."""

    lives = 0

    def execute(self, sql: str, *values: object) -> int:
        self._live()
        return super().execute(sql, *values)

    def insert(self, table: str, **row: object) -> None:
        self._live()
        super().insert(table, **row)

    def _live(self) -> None:
        if self.lives:
            self.lives -= 1
            if not self.lives:
                raise Killed


class MortalNight(Night):
    """Every call may kill the board or fail on its way, or lose its answer; the caller repeats it, as Ray does.

    All are served as the board's process serves them: as one of a group.
    """

    kill_at, fail_at = 0, 0
    lose_answer = False

    def _ledger(self) -> Ledger:
        ledger = MortalLedger(self.path, write=True)
        ledger.value("PRAGMA synchronous = OFF")
        return ledger

    def call(self, method: str, *arguments: object, request: str | None = None) -> Any:
        request = request or next(self.requests)
        assert isinstance(self.ledger, MortalLedger)
        fails, self.fail_at = self.fail_at, 0
        self.ledger.lives, self.kill_at = fails or self.kill_at, 0
        lose, self.lose_answer = self.lose_answer, False
        try:
            answer = self.served(method, *arguments, request=request, alone=not fails)
        except Killed:
            if not fails:
                self.restart()
            answer = self.served(method, *arguments, request=request)
        finally:
            self.ledger.lives = 0
        if lose:
            self.restart()
            assert self.served(method, *arguments, request=request) == answer
        return answer

    def served(self, method: str, *arguments: object, request: str, alone: bool = True) -> Any:
        """The call in a group; where it is not `alone` there, the group lives on when the call fails."""
        failed: list[Killed] = []
        with self.ledger.group():
            try:
                answer = super().call(method, *arguments, request=request)
            except Killed as error:
                failed.append(error)
                if alone:
                    raise
        if failed:
            raise failed[0]
        return answer


class Agents(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="swarm-machine-"))
        self.night = MortalNight(self.folder / "ledger.sqlite", agents=3, max_experiments=EXPERIMENTS)
        self.held: dict[str, Any] = {}  # what each agent was told to do
        self.claims: dict[str, Claim] = {}
        self.gone: set[str] = set()  # agents whose lease ran out
        self.zombies: list[tuple[str, int, Measure]] = []

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.night.ledger.close()
            shutil.rmtree(self.folder)

    # -- what agents do ----------------------------------------------------------------------------------------

    @initialize(late=st.booleans())
    def begin(self, late: bool) -> None:
        """At the very start, or when ideas are tried already."""
        if late:
            self.night.baselines()
        else:
            self.night.join()

    @rule(at=st.integers(1, 12))
    def kill_the_board_in_its_next_call(self, at: int) -> None:
        self.night.kill_at = at

    @rule(at=st.integers(1, 12))
    def fail_in_its_next_call(self, at: int) -> None:
        """The board lives on, and must not remember what was taken back."""
        self.night.fail_at = at

    @rule()
    def lose_the_next_answer(self) -> None:
        self.night.lose_answer = True

    @rule()
    def restart_the_board(self) -> None:
        self.night.restart()

    @rule(agent=AGENTS, value=VALUES | st.none())
    def an_agent_dies_and_is_started_again(self, agent: str, value: float | Failure | None) -> None:
        """If there is a value, its run had ended, and the new life finds the result on disk."""
        self.lose(agent)
        work = next((work for whose, _, work in reversed(self.zombies) if whose == agent), None)
        self.night.join(agent)
        self.gone.discard(agent)
        if work and value is not None:
            self.do(agent, work, value)

    @rule(agents=st.sets(AGENTS, max_size=2), seconds=st.floats(1.0, 2 * LEASE))
    def only_some_renew_their_lease_for_a_while(self, agents: set[str], seconds: float) -> None:
        night = self.night
        night.clock.tick(seconds)
        for agent in agents - self.gone:
            night.board.renew(agent, night.fences[agent])
        for late in night.board.expire():
            self.lose(late)
            self.gone.add(late)

    def lose(self, agent: str) -> None:
        """The agent forgets everything, except that its old self may still come back with a result."""
        work = self.held.pop(agent, None)
        if isinstance(work, Measure):
            self.zombies.append((agent, self.night.fences[agent], work))
        self.claims.pop(agent, None)

    @precondition(lambda self: self.zombies)
    @rule(data=st.data())
    def a_zombie_reports(self, data: st.DataObject) -> None:
        agent, fence, work = data.draw(st.sampled_from(self.zombies))
        with pytest.raises(Fenced):
            self.night.call("record", agent, fence, finished(work, 0.1, 0.0))

    @rule(agent=AGENTS, knob=st.integers(0, KNOBS - 1), value=st.integers(2, 3), edit=st.booleans())
    def think(self, agent: str, knob: int, value: int, edit: bool) -> None:
        night = self.night
        if agent in self.gone or not night.board.wants_draft(agent):
            return
        claim = night.claim(agent, Idea(f"k{knob} -> {value}", knobs={f"k{knob}": value}))
        self.claims.pop(agent, None)
        if isinstance(claim, Claim):
            if edit:
                night.enter(claim, turned(night.board.source(claim.parent), knob, value))
            else:
                self.claims[agent] = claim

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), value=st.integers(2, 3))
    def give_back_or_edit_late(self, data: st.DataObject, value: int) -> None:
        agent = data.draw(st.sampled_from(sorted(self.claims)))
        claim = self.claims.pop(agent)
        if data.draw(st.booleans()):
            self.night.call("release", claim, "no edit")
        else:
            self.night.enter(claim, turned(self.night.board.source(claim.parent), 0, value))

    @rule(agent=AGENTS, knob=st.integers(0, KNOBS - 1), values=st.lists(VALUES, min_size=1, max_size=8))
    def try_an_idea(self, agent: str, knob: int, values: list[float | Failure]) -> None:
        """Several steps at once, or the deep states are never reached."""
        self.think(agent, knob, 2, True)
        for value in values:
            self.work(agent, value)
            self.work(agent, value)

    @rule(knob=st.integers(0, KNOBS - 1), order=st.lists(AGENTS, min_size=8, max_size=24))
    def everybody_has_an_idea_and_they_work_in_any_order(self, knob: int, order: list[str]) -> None:
        for place, agent in enumerate(sorted(set(order))):
            self.think(agent, (knob + place) % KNOBS, 2, True)
        for agent in order:
            self.work(agent, TRUTH)

    @rule(agent=AGENTS, value=VALUES)
    def work(self, agent: str, value: float | Failure) -> None:
        if agent in self.gone:
            return
        if agent not in self.held:
            self.held[agent] = self.night.next(agent)
        else:
            self.do(agent, self.held.pop(agent), value)

    def do(self, agent: str, work: Any, value: float | Failure) -> None:
        night = self.night
        match work:
            case Measure():
                code = night.board.source(work.source).files["train.py"]
                worth = 1.0 - 0.004 * code.count(b"= 2") + 0.0003 * (-1) ** work.seed
                night.record(agent, work, worth if value == TRUTH else value)
            case Rebase():
                night.rebase(agent, work)
            case Repair() if value in (Failure.CODE, Failure.OOM):
                night.call("mend", agent, night.fences[agent], work.experiment, None)
            case Repair():
                knob = len(night.runs()) % KNOBS
                mended = turned(night.board.source(work.source), knob, 7)
                code = code_of(night.board.source(work.parent), mended)
                night.call("mend", agent, night.fences[agent], work.experiment, code)
            case Rest(_, seconds):
                night.clock.tick(seconds)

    # -- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def no_idea_is_claimed_twice(self) -> None:
        rows = self.night.ledger.rows(
            "SELECT intent, count(*) AS live FROM experiments WHERE baseline = 0"
            " AND state IN ('claimed', 'drafted', 'testing', 'judged') GROUP BY intent"
        )
        assert all(row["live"] == 1 for row in rows)

    @invariant()
    def every_run_ends_at_most_once(self) -> None:
        ends: dict[str, list[dict[str, Any]]] = {}
        for run in self.night.runs():
            ends.setdefault(run["id"], []).append(run)
            assert (run["state"] == "measured") == (run["value"] is not None)
            assert run["state"] != "measured" or (run["result"] and not run["late"])
        for tries in ends.values():
            assert sorted(run["attempt"] for run in tries) == list(range(1, len(tries) + 1))
            assert sum(run["state"] != "lost" for run in tries) <= 1
            assert len({(run["seed"], run["source"]) for run in tries}) == 1

    @invariant()
    def the_trunk_is_one_line_of_tested_code(self) -> None:
        night = self.night
        trunk = night.ledger.rows("SELECT * FROM trunk ORDER BY position")
        assert [step["position"] for step in trunk] == list(range(len(trunk)))
        for parent, step in itertools.pairwise(trunk):
            row = night.row(step["experiment"])
            assert (row["status"], row["parent"], row["position"]) == ("keep", parent["source"], step["position"])
            restored = [earlier["source"] for earlier in trunk[: step["position"] - 1]]
            assert (step["source"] in restored) == bool(row["restores"]), "the same code again, only to restore it"
            if row["restores"]:
                continue
            tested = night.runs(
                f"experiment = '{row['id']}' AND source = '{step['source']}' AND parent = '{parent['source']}'"
                " AND state = 'measured' AND purpose IN ('first', 'replicate')"
            )
            assert tested, "kept without a run on its parent"
        kept = night.ledger.value("SELECT count(*) FROM experiments WHERE status = 'keep' AND baseline = 0")
        assert kept == len(trunk) - 1

    @invariant()
    def verdicts_are_counted_once(self) -> None:
        rows = self.night.ledger.rows("SELECT * FROM experiments")
        judged = [row for row in rows if row["state"] == "judged"]
        assert sorted(row["verdict"] for row in judged) == list(range(1, len(judged) + 1))
        assert all((row["status"] is not None) == (row["state"] == "judged") for row in rows)
        judged = [row for row in judged if not row["restores"]]
        assert sum(not row["baseline"] for row in judged) <= EXPERIMENTS
        for row in judged:
            if row["outcome"] == Outcome.FUTILE:
                assert row["status"] == "discard" and row["n"] == 0 and row["gain"] is None
            elif row["status"] != "crash":
                runs = self.night.runs(
                    f"experiment = '{row['id']}' AND state = 'measured' AND purpose IN ('baseline','first','replicate')"
                )
                clean = [run for run in runs if run["parent"] not in self._flagged()]  # by now; then, there were more
                assert len(clean) <= row["n"] <= len(runs) and row["n"] > 0

    def _flagged(self) -> set[str]:
        """Code that was kept and found invalid, or built on such: what was measured on it counts for nothing."""
        rows = self.night.ledger.rows("SELECT source FROM experiments WHERE rung IN ('invalid', 'tainted')")
        return {row["source"] for row in rows}

    @rule()
    def what_is_kept_at_hand_is_what_the_ledger_says(self) -> None:
        """Findings and neighbours as a board that was opened just now would tell them, and runs as counted anew."""
        board, swarm = self.night.board, self.night.board.swarm
        told = board.briefing("gpu0"), board.neighbours()
        remembered = dict(board.ledger.memory)
        board.ledger.memory.clear()
        assert (board.briefing("gpu0"), board.neighbours()) == told
        board.ledger.memory.update(remembered)
        runs = self.night.runs("state = 'measured'")
        assert (swarm.measured, swarm.closing) == (len(runs), sum(run["purpose"] == "closing" for run in runs))
        assert swarm.measured_seconds == sum(run["seconds"] for run in runs)

    @invariant()
    def one_experiment_at_a_time(self) -> None:
        rows = self.night.ledger.rows(
            "SELECT owner, count(*) AS live FROM experiments WHERE baseline = 0 AND state = 'drafted' GROUP BY owner"
        )
        assert all(row["live"] == 1 for row in rows)

    def finish(self) -> None:
        """Nothing fails any more: everybody comes to an end, and so does everything that was begun."""
        night = self.night
        night.kill_at, night.fail_at, night.lose_answer = 0, 0, False
        night.join()
        ended: set[str] = set()
        for step in range(400):
            for agent in set(night.agents) - ended:
                if night.board.wants_draft(agent):
                    night.claim(agent, Idea(f"closing {step} {agent}"))
                    claim = night.ledger.row("SELECT * FROM experiments WHERE state = 'claimed' AND owner = ?", agent)
                    if claim:
                        held = Claim(claim["id"], agent, night.fences[agent], Idea("x"), claim["parent"], 0)
                        night.enter(held, turned(night.board.source(claim["parent"]), step % KNOBS, step + 100))
                night.board.renew(agent, night.fences[agent])
                work = night.next(agent)
                if isinstance(work, Stop):
                    ended.add(agent)
                self.do(agent, work, TRUTH)
            night.board.expire()
            if len(ended) == len(night.agents):
                break
        assert len(ended) == len(night.agents), "somebody waits for ever"
        assert not night.runs("state = 'running'")
        open_rows = night.ledger.rows("SELECT * FROM experiments WHERE state IN ('claimed', 'drafted', 'testing')")
        hopeless = night.board.swarm.stop == "now"
        assert hopeless or not [dict(row) for row in open_rows if not row["baseline"]]
        begun = night.ledger.value(
            "SELECT count(*) FROM experiments WHERE state = 'judged' AND baseline = 0 AND restores IS NULL"
        )
        assert hopeless or begun == EXPERIMENTS
        self.what_is_kept_at_hand_is_what_the_ledger_says()
        for check in (self.every_run_ends_at_most_once, self.the_trunk_is_one_line_of_tested_code):
            check()


TestAgents = Agents.TestCase
TestAgents.settings = settings(
    max_examples=settings().max_examples * 3 // 10,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
