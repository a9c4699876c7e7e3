"""The head of a running swarm: supervises Ray, the board, the agents and git, and ends the swarm.

The ledger is the truth, and Ray only moves work: a head that dies loses only what was running, and `swarm resume`
goes on. Whatever else dies, the head starts again.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import uuid
from collections import deque
from functools import partial
from typing import IO, Any

from swarm.coordinator.actors import AgentSpec, clock_start
from swarm.coordinator.agent_supervisor import START_LIMIT, AgentSupervisor
from swarm.coordinator.cluster import BoardHandle, Cluster, RayAgent
from swarm.coordinator.crash_watch import CrashWatch
from swarm.coordinator.ending import Ended, Ending, end_of, status_of
from swarm.coordinator.founding import enter_ledger, take_folder
from swarm.coordinator.live_file import write_live
from swarm.coordinator.notifier import Notifier
from swarm.coordinator.periodic import FailureStreak, PeriodicTask, insist
from swarm.coordinator.reaper import Reaper
from swarm.coordinator.tracking import Tracking
from swarm.errors import Interrupted, SwarmError, Unavailable
from swarm.execution.machine import gpu
from swarm.history.projection import Projection
from swarm.history.repository import History
from swarm.launch.plan import Plan, base_tree
from swarm.ledger.database import Ledger
from swarm.ledger.events import is_exhausted
from swarm.ledger.home import ledger_path
from swarm.ledger.run_counts import finished_runs
from swarm.ledger.swarms import stop_word
from swarm.ledger.transaction import of_swarm

TICK = 0.5  # seconds between two looks around
REVIVALS = 4  # of Ray in a row, without a finished run in between
BOARD_TRIES, BOARD_START = 3, 300.0  # how often, and how many seconds each time, its first answer is awaited
PARTING = 30.0  # seconds that agents get to end after a "now"


class Swarm:
    """A running swarm. `supervise()` returns when every agent has ended; `drain()` and `stop()` make them."""

    def __init__(self, plan: Plan):
        self.plan, self.tag, self.word = plan, plan.tag, ""
        self.path = ledger_path(plan.root)
        self._waits_for = "the ledger is opened"
        self._notifier: Notifier | None = None
        self._tracking: Tracking | None = None
        self.ended = threading.Event()
        self._history = History(plan.root)
        self._base = base_tree(plan)
        address = plan.config.address or os.environ.get("RAY_ADDRESS")
        self._cluster = Cluster(address, tuple(plan.slots.values()))
        self._clock = clock_start()
        self._board: BoardHandle | None = None
        self._reaper: Reaper | None = None
        self._lead: IO[str] | None = None
        self._warnings: deque[tuple[str, str, str]] = deque(maxlen=100)  # on their way to the ledger, each with an id
        self._passed_on, self._hopeless = "", False
        self._cut_off: float | None = None  # when what still runs is ended by force

    @property
    def waits_for(self) -> str:
        """What is waited for while it starts, for people."""
        return self._waits_for + "; then it ends, as it was interrupted" * bool(self.word)

    def start(self) -> None:
        """Writes the ledger, starts Ray and the board; first the tag is taken, in the repository that others share.

        Interrupted where a `drain` or `stop` comes meanwhile: it can be resumed.
        """
        self._enter()
        try:
            self._reaper = Reaper(self.plan.folder)
            self._waits_for = "Ray is loaded, and its processes are started"
            self._check_wanted()
            self._cluster.start(self._base, partial(print, flush=True), self._reaper.session)
            self._check_wanted()
            self._waits_for = "Ray runs, and the board's first answer is waited for"
            self._board = self._place_board()
            self._await_board()
            self._check_wanted()
        except BaseException:
            self._close()
            raise

    def _enter(self) -> None:
        """Takes the tag, the swarm's folder and its row in the ledger: all of them, or none."""
        new = not self.plan.config.resume
        if new:
            self._history.reserve(self.tag, self.plan.base_commit)
        try:
            self._lead = take_folder(self.plan.folder)  # from now on people see that it is starting, and can stop it
            enter_ledger(self.plan, self.path)
        except BaseException:
            if self._lead:
                self._lead.close()
            if new:
                self._history.give_back(self.tag, self.plan.base_commit)
            raise

    def _await_board(self) -> None:
        """The board lives, or says why not. On a busy machine its process may take minutes to start."""
        assert self._board, "it is placed"

        def say(seconds: float) -> None:
            print(f"Ray has started; the board's first answer is waited for, {seconds:.0f} s by now", flush=True)

        for tries_left in reversed(range(BOARD_TRIES)):
            try:
                self._board.ask("expire", lives=self._is_awaited, patience=BOARD_START, say=say)
                return
            except Unavailable:
                self._check_wanted()
                if not tries_left or not self._cluster.lives():
                    raise

    def _is_awaited(self) -> bool:
        """Whether the board may still answer, and somebody wants it to."""
        return not self.word and self._cluster.lives()

    def _check_wanted(self) -> None:
        """Between the steps of a start: an interrupt in the midst of one, say of Ray's import, leaves it half done."""
        if self.word:
            raise Interrupted(f"{self.tag} was interrupted while it started")

    def supervise(self) -> Ended:
        """Looks after the agents until the last one has ended; how the swarm ended."""
        try:
            with contextlib.closing(Ledger(self.path)) as ledger:
                self._take_up(ledger)
                while any(not supervisor.ended for supervisor in self._supervisors):
                    self._tick()
                    time.sleep(TICK)
                return self._end(ledger)
        finally:
            if self._notifier:
                self._notifier.close()
            if self._tracking:
                self._tracking.close()
            self._close()
            self.ended.set()

    def _close(self) -> None:
        """Ends all that was started under this head."""
        self._board = None
        self._cluster.close()
        if self._reaper:
            self._reaper.close()
        if self._lead:
            self._lead.close()

    def drain(self) -> None:
        """Finish what runs, start nothing new."""
        self.word = self.word or "drain"

    def stop(self) -> None:
        """End everything now."""
        self.word = "now"

    # -- one look around -----------------------------------------------------------------------------------------

    def _take_up(self, ledger: Ledger) -> None:
        plan, head = self.plan, partial(self._warn, "head")
        self._projection = Projection(self._history, self.tag, plan.folder, partial(self._ask, "projected"))
        self._supervisors = [self._supervisor(agent, ledger) for agent in plan.slots]
        self._revivals = FailureStreak(partial(finished_runs, ledger, self.tag))
        self._notifier = Notifier(
            plan.root, self.path, self.tag, plan.config.notify, plan.config.push, partial(self._warn, "notifier")
        )
        self._tracking = Tracking(plan.config.track, self.path, self.tag, plan.folder, partial(self._warn, "tracking"))
        crashes = CrashWatch(ledger, self.tag, len(plan.slots), head)
        self._tasks = [
            PeriodicTask("stop and tell", partial(self._pass_on, ledger), head, longest_pause=2.0),
            PeriodicTask("the agents", self._supervise_agents, head, longest_pause=2.0),
            PeriodicTask("the reaper", self._revive_reaper, head),
            PeriodicTask("live.json", self._show_agents, head, longest_pause=10.0),
            PeriodicTask("the board", partial(self._ask, "expire"), head, longest_pause=2.0),
            PeriodicTask("git and results.tsv", partial(self._projection.follow, ledger), head),
            PeriodicTask("verdicts", crashes.look, head, longest_pause=10.0),
            PeriodicTask("tracking", self._tracking.look, head),
            PeriodicTask("warnings", self._say, lambda problem: None),
        ]

    def _tick(self) -> None:
        if not self._cluster.lives():
            self._revive()
            return
        for task in self._tasks:
            task.run()

    def _revive(self) -> None:
        """Ray's own processes died, and its actors with them: another Ray, and all that counts is in the ledger."""
        if self._revivals.fail() > REVIVALS:
            raise SwarmError(f"Ray died {REVIVALS + 1} times in a row")
        self._warn("head", "Ray died; it is started again")
        self._board = None
        for supervisor in self._supervisors:
            supervisor.forget()
        try:
            assert self._reaper, "the head has started"
            self._cluster.close()
            self._cluster.start(self._base, partial(self._warn, "head"), self._reaper.session)
            self._board = self._place_board()
        except Exception as error:  # above all, it died once more: the next look around tries again
            self._warn("head", f"Ray does not start: {error}")

    def _revive_reaper(self) -> None:
        """Without it a kill of this head would leave Ray's processes behind."""
        if self._reaper and self._reaper.revive():
            self._warn("head", "the process that ends what a killed head leaves was killed; another one is started")

    def _pass_on(self, ledger: Ledger) -> None:
        """A stop may come from a signal here, from `swarm stop` through its file, or from the board."""
        file, taken = self.plan.folder / "stop", self.plan.folder / ".stop-taken"
        with contextlib.suppress(FileNotFoundError):
            file.rename(taken)  # what is written from now on is another one
            self.word = "now" if taken.read_bytes().strip() == b"now" else self.word or "drain"
            taken.unlink()
        word = self.word  # a signal may change it while the board is asked
        if word and word != self._passed_on:
            self._cut_off = time.monotonic() + PARTING if word == "now" else None
            self._ask("stop", word)
            self._passed_on = word
        if self._is_stopped(ledger) or self.word == "now":
            for supervisor in self._supervisors:
                supervisor.halt()
        for note in sorted(self.plan.folder.glob("tell-*.txt")):
            self._ask("tell", note.read_text(errors="replace"), request=f"{self.tag} {note.name}")
            note.unlink()
        for decision in sorted(self.plan.folder.glob("decide-*.txt")):
            word, name, why = [*decision.read_text(errors="replace").split("\n", 2), "", ""][:3]
            self._ask("decide", word, name, why, request=f"{self.tag} {decision.name}")
            decision.unlink()

    def _is_stopped(self, ledger: Ledger) -> bool:
        """Whether the swarm is to end now. Where nobody said so, the board did: the baseline crashes on every agent."""
        stopped = stop_word(ledger, self.tag) == "now"
        self._hopeless = self._hopeless or (stopped and self.word != "now")
        return stopped

    def _supervise_agents(self) -> None:
        for supervisor in self._supervisors:
            supervisor.look()
        if self._cut_off and time.monotonic() > self._cut_off:
            closing = self._supervisors
        elif self.word or self._others_are_done():
            closing = [supervisor for supervisor in self._supervisors if supervisor.waiting or supervisor.absent]
        else:
            return
        for supervisor in closing:
            supervisor.close({"": "nothing is left to do", "drain": "drained", "now": "stopped"}[self.word])

    def _others_are_done(self) -> bool:
        """Whether there is nothing more to do but for GPUs that are fenced or never came: nobody waits for those."""
        left = [supervisor for supervisor in self._supervisors if not supervisor.ended]
        done = any(end.ending is Ending.DONE for supervisor in self._supervisors if (end := supervisor.ended))
        return done and all(supervisor.fenced or supervisor.absent for supervisor in left)

    def _show_agents(self) -> None:
        """live.json of every agent: what it said last, and what its GPU says."""
        cards = {card.uuid: card for card in gpu.gpus()} if self.plan.device.startswith("cuda") else {}
        for supervisor in self._supervisors:
            live = supervisor.view()
            if live is not None:
                write_live(
                    self.plan.folder / supervisor.agent, live, cards.get(self.plan.slots[supervisor.agent].gpu or "")
                )

    def _warn(self, agent: str, text: str) -> None:
        self._warnings.append((agent, text, uuid.uuid4().hex))

    def _say(self) -> None:
        while self._warnings:
            agent, text, request = self._warnings[0]
            self._ask("warn", agent, text, request=request)
            self._warnings.popleft()

    # -- parts -----------------------------------------------------------------------------------------------------

    def _place_board(self) -> BoardHandle:
        return self._cluster.board(self.path, self.tag, self.plan.root / self.plan.project.program, self._clock)

    def _ask(self, method: str, *arguments: object, request: str = "") -> Any:
        assert self._board is not None, "nothing is asked while Ray is dead"
        return self._board.ask(method, *arguments, request=request, lives=self._cluster.lives)

    def _supervisor(self, agent: str, ledger: Ledger) -> AgentSupervisor:
        plan = self.plan
        spec = AgentSpec.of(plan, agent, plan.folder / agent)

        def start() -> RayAgent:
            assert self._board is not None, "no agent is started while Ray is dead"
            return self._cluster.agent(spec, self._board)  # the board of the Ray that lives then

        limit = math.inf if plan.hosts else START_LIMIT
        finished = partial(finished_runs, ledger, self.tag, agent)
        return AgentSupervisor(agent, start, finished, self._warn, start_limit=limit)

    def _end(self, ledger: Ledger) -> Ended:
        """Records that the swarm is over, and lets git follow one last time. SwarmError where some of that fails."""
        noted = of_swarm(ledger, self.tag).swarm.reason
        self._is_stopped(ledger)
        found = (
            Ending.HOPELESS if self._hopeless else Ending.EXHAUSTED if is_exhausted(ledger, self.tag) else Ending.DONE
        )
        end = end_of([end for supervisor in self._supervisors if (end := supervisor.ended)], noted, found)
        problems = [
            insist(self._say),
            insist(partial(self._ask, "end", status_of(self.word, end.ending), end.reason, request=uuid.uuid4().hex)),
            insist(partial(self._projection.follow, ledger, whatever=True)),
        ]
        problem = next(filter(None, problems), "")
        if problem:
            raise SwarmError(f"{end.reason}, but the end could not be written down ({problem})")
        return end
