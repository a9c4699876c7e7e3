"""The head of a running swarm: it looks after Ray, the board, the agents and git, and ends what has to end.

Ray moves work and nothing else: the ledger is the truth, so a head that dies loses only what was running, and
`launch --resume` goes on. Whatever else dies, the head starts again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from swarm.coordinator import log_shipping
from swarm.coordinator.actors import Post, clock_start
from swarm.coordinator.agent_supervisor import ARRIVAL, GAVE_UP, Seat
from swarm.coordinator.cluster import Cluster, Line, Worker
from swarm.coordinator.notifier import Herald
from swarm.coordinator.periodic import Duty, Streak
from swarm.errors import SwarmError
from swarm.execution import gpu
from swarm.history.projection import Projection
from swarm.history.repository import History
from swarm.launch.plan import Plan, base_tree, categories
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import newest_verdicts
from swarm.ledger.home import ledger_path, make_home
from swarm.ledger.runs import finished_runs
from swarm.ledger.swarms import found, reopen, stop_word
from swarm.ledger.transaction import of_swarm
from swarm.novelty.code import fingerprint
from swarm.records import Status

TICK = 0.5  # seconds between two looks around
REVIVALS = 4  # of Ray in a row, without a finished run in between
LEAST_CRASHES = 6  # of all agents, with nothing else between them, of which people are told
PARTING = 30.0  # seconds that agents get to end after a "now"
LAST_TRIES = 30.0  # seconds in which the end of the swarm is written down, where that fails at first
FAILURES = ("the baseline crashes", GAVE_UP)  # how the reason of a night begins that should not have ended


class Swarm:
    """A running swarm. `supervise()` returns when every agent has ended; `drain()` and `stop()` make them."""

    def __init__(self, plan: Plan):
        self.plan, self.tag, self.word = plan, plan.tag, ""
        self.path = ledger_path(plan.root)
        self._herald: Herald | None = None
        self.ended = threading.Event()
        self._history = History(plan.root)
        self._base = base_tree(plan)
        address = plan.config.address or os.environ.get("RAY_ADDRESS")
        self._cluster = Cluster(address, tuple(plan.slots.values()))
        self._clock = clock_start()
        self._board: Line | None = None
        self._unsaid: deque[tuple[str, str]] = deque(maxlen=100)  # warnings on their way to the ledger
        self._passed_on, self._crashing = "", False
        self._cut_off: float | None = None  # when what still runs is ended by force

    def start(self) -> None:
        """Writes the ledger, starts Ray and the board."""
        _make_folder(self.plan.folder)
        _enter_ledger(self.plan, self.path)
        self._cluster.start(self._base)
        self._board = self._place_board()
        self._ask("expire")  # it lives, or says here why not

    def supervise(self) -> str:
        """Looks after the agents until the last one has ended; gives the reason."""
        try:
            with contextlib.closing(Ledger(self.path)) as ledger:
                self._take_up(ledger)
                while any(not seat.reason for seat in self._seats):
                    self._tick()
                    time.sleep(TICK)
                return self._end(ledger)
        finally:
            if self._herald:
                self._herald.close()
            self._cluster.close()
            self.ended.set()

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
        self._seats = [self._seat(agent, ledger) for agent in plan.slots]
        self._revivals = Streak(partial(finished_runs, ledger, self.tag))
        self._herald = Herald(
            plan.root, self.path, self.tag, plan.config.notify, plan.config.push, partial(self._warn, "herald")
        )
        self._duties = [
            Duty("stop and tell", partial(self._pass_on, ledger), head, longest_pause=2.0),
            Duty("the agents", self._see_to_seats, head, longest_pause=2.0),
            Duty("live.json", self._show_seats, head, longest_pause=10.0),
            Duty("the board", partial(self._ask, "expire"), head, longest_pause=2.0),
            Duty("git and results.tsv", partial(self._projection.follow, ledger), head),
            Duty("verdicts", partial(self._watch_crashes, ledger), head, longest_pause=10.0),
            Duty("warnings", self._say, lambda problem: None),
        ]

    def _tick(self) -> None:
        if not self._cluster.lives():
            self._revive()
            return
        for duty in self._duties:
            duty.perform()

    def _revive(self) -> None:
        """Ray's own processes died, and its actors with them: another Ray, and all that counts is in the ledger."""
        if self._revivals.fail() > REVIVALS:
            raise SwarmError(f"Ray died {REVIVALS + 1} times in a row")
        self._warn("head", "Ray died; it is started again")
        self._board = None
        for seat in self._seats:
            seat.vacate()
        self._cluster.close()
        try:
            self._cluster.start(self._base)
        except Exception as error:  # above all, it died once more: the next look around tries again
            self._warn("head", f"Ray does not start: {error}")
            return
        self._board = self._place_board()

    def _pass_on(self, ledger: Ledger) -> None:
        """A stop may come from a signal here, from `swarm stop` through its file, or from the board."""
        file = self.plan.folder / "stop"
        if file.exists():
            self.word = "now" if file.read_text().strip() == "now" else self.word or "drain"
            file.unlink()
        if self.word and self.word != self._passed_on:
            self._cut_off = time.monotonic() + PARTING if self.word == "now" else None
            self._ask("stop", self.word)
            self._passed_on = self.word
        hopeless = stop_word(ledger, self.tag) == "now"
        if self.word == "now" or hopeless:
            for seat in self._seats:
                seat.halt()
        for note in sorted(self.plan.folder.glob("tell-*.txt")):
            self._ask("tell", note.read_text())
            note.unlink()

    def _see_to_seats(self) -> None:
        for seat in self._seats:
            seat.look()
        if self._cut_off and time.monotonic() > self._cut_off:
            closing = self._seats
        elif self.word or self._others_are_done():
            closing = [seat for seat in self._seats if seat.waiting or seat.absent]
        else:
            return
        for seat in closing:
            seat.close({"": "nothing is left to do", "drain": "drained", "now": "stopped"}[self.word])

    def _others_are_done(self) -> bool:
        """Whether there is nothing more to do but for GPUs that are fenced or never came: nobody waits for those."""
        left = [seat for seat in self._seats if not seat.reason]
        peaceful = any(seat.reason and not seat.reason.startswith(GAVE_UP) for seat in self._seats)
        return peaceful and all(seat.fenced or seat.absent for seat in left)

    def _watch_crashes(self, ledger: Ledger) -> None:
        """Where nothing but crashes comes from all agents, something is wrong with them all: people are told once."""
        most = max(LEAST_CRASHES, 3 * len(self._seats))
        last = newest_verdicts(ledger, self.tag, most, baselines=False)
        hopeless = len(last) >= LEAST_CRASHES and all(row.status is Status.CRASH for row in last)
        if hopeless and not self._crashing:
            kinds = Counter(row.failure for row in last).most_common()
            listed = ", ".join(f"{count} {kind}" for kind, count in kinds)
            self._warn("head", f"the last {len(last)} experiments all crashed ({listed}): {last[0].reason}")
        self._crashing = hopeless

    def _show_seats(self) -> None:
        """live.json of every agent: what it said last, and what its GPU says."""
        cards = {card.uuid: card for card in gpu.gpus()} if self.plan.device.startswith("cuda") else {}
        for seat in self._seats:
            live = seat.view()
            if live is not None:
                self._write_live(seat.agent, live, cards.get(self.plan.slots[seat.agent].gpu or ""))

    def _write_live(self, agent: str, live: dict[str, Any], card: gpu.Gpu | None) -> None:
        if piece := live.pop("piece", None):
            log_shipping.store(self.plan.folder / agent, piece)
        if card:
            live |= {"gpu_load": card.load, "gpu_memory_gb": card.used_gb, "gpu_watts": card.watts}
        path = self.plan.folder / agent / "live.json"
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(live | {"at": time.time()}))
        draft.replace(path)

    def _warn(self, agent: str, text: str) -> None:
        self._unsaid.append((agent, text))

    def _say(self) -> None:
        while self._unsaid:
            self._ask("warn", *self._unsaid[0])
            self._unsaid.popleft()

    # -- pieces ----------------------------------------------------------------------------------------------------

    def _place_board(self) -> Line:
        return self._cluster.board(self.path, self.tag, self.plan.root / self.plan.project.program, self._clock)

    def _ask(self, method: str, *arguments: object) -> Any:
        assert self._board is not None, "nothing is asked while Ray is dead"
        return self._board.ask(method, *arguments, lives=self._cluster.lives)

    def _seat(self, agent: str, ledger: Ledger) -> Seat:
        plan = self.plan
        post = Post.of(plan, agent, plan.folder / agent)

        def hire() -> Worker:
            assert self._board is not None, "nobody is hired while Ray is dead"
            return self._cluster.agent(post, self._board)  # the board of the Ray that lives then

        arrival = math.inf if plan.hosts else ARRIVAL
        return Seat(agent, hire, partial(finished_runs, ledger, self.tag, agent), self._warn, arrival=arrival)

    def _end(self, ledger: Ledger) -> str:
        """Writes down that it is over, and lets git follow one last time; tells what of that failed."""
        told = of_swarm(ledger, self.tag).swarm.reason
        reasons = [seat.reason for seat in self._seats]
        reason = told or max(set(reasons), key=reasons.count)
        problems = [
            _insist(self._say),
            _insist(partial(self._ask, "end", _status(self.word, reason), reason)),
            _insist(partial(self._projection.follow, ledger, whatever=True)),
        ]
        problem = next(filter(None, problems), "")
        if problem:
            raise SwarmError(f"{reason}, but the end could not be written down ({problem})")
        return reason


def _insist(act: Callable[[], Any]) -> str:
    """Does it, again and again for some seconds where it fails; gives why it failed, or ""."""
    duty = Duty("the end", act, lambda problem: None, longest_pause=2.0)
    deadline = time.monotonic() + LAST_TRIES
    duty.perform()
    while duty.problem and time.monotonic() < deadline:
        time.sleep(TICK)
        duty.perform()
    return duty.problem


def run(plan: Plan, show: Callable[[Callable[[], bool]], None]) -> tuple[int, str]:
    """Runs the swarm to its end; gives the exit code and the reason. `show(done)` draws until `done()`.

    The first Ctrl-C drains, the second stops at once, a third leaves whatever happens. A closed terminal changes
    nothing. SIGTERM stops. SwarmError, with what to type, where the head itself fails.
    """
    swarm = Swarm(plan)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by Ray's processes, which a closed terminal would end
    swarm.start()
    outcome: list[str | Exception] = []

    def supervise() -> None:
        try:
            outcome.append(swarm.supervise())
        except Exception as error:  # told below, when the screen is free
            outcome.append(error)

    with _signals(swarm):  # only now: ray.init sets handlers of its own
        supervisor = threading.Thread(target=supervise, name="supervisor")
        supervisor.start()
        show(swarm.ended.is_set)
        supervisor.join()
    [reason] = outcome
    if isinstance(reason, Exception):
        remedy = f"what was recorded is safe: `python -m swarm launch --tag {plan.tag} --resume`"
        raise SwarmError(f"the head failed: {reason or type(reason).__name__}; {remedy}") from reason
    if swarm.word == "now":
        return 130, reason
    return (1 if reason.startswith(FAILURES) else 0), reason


@contextlib.contextmanager
def _signals(swarm: Swarm) -> Iterator[None]:
    presses = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            swarm.drain()
        elif presses == 2:
            swarm.stop()
        else:
            os._exit(130)

    wanted = {signal.SIGINT: interrupt, signal.SIGTERM: lambda *_: swarm.stop()}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- starting ------------------------------------------------------------------------------------------------------


def _make_folder(folder: Path) -> None:
    make_home(folder.parent)
    folder.mkdir(exist_ok=True)
    (folder / "stop").unlink(missing_ok=True)


def _enter_ledger(plan: Plan, path: Path) -> None:
    """Founds the swarm in the ledger, or opens it again."""
    with contextlib.closing(Ledger(path, write=True)) as ledger:
        now, config, seats = time.time(), plan.config, categories(plan)
        settings = json.dumps(
            {
                **dataclasses.asdict(config),
                "researchers": plan.researchers,
                "guards": dict(plan.project.guards),
                "hidden": bool(plan.project.hidden),
                "outlier_gain": plan.project.outlier_gain.get(plan.device.split(":")[0]),
            }
        )
        if config.resume:
            limits = (config.hours, config.max_experiments)
            reopen(
                *(ledger, plan.tag, seats, now, *limits, config.researcher, settings),
                max_usd=config.max_usd,
                max_tokens=config.max_tokens,
            )
            return
        found(
            ledger,
            plan.source,
            seats,
            fingerprint(plan.source),
            now,
            tag=plan.tag,
            base_commit=plan.base_commit,
            from_tag=config.from_tag,
            key=plan.key,
            device=plan.device,
            metric=plan.project.metric,
            direction=plan.project.direction,
            policy=config.policy,
            researcher=config.researcher,
            budget=plan.budget,
            deadline=now + config.hours * 3600 if config.hours else None,
            max_experiments=config.max_experiments,
            max_usd=config.max_usd,
            max_tokens=config.max_tokens,
            sigma_prior=plan.project.sigma.get(plan.device.split(":")[0]),
            settings=settings,
        )


def _status(word: str, reason: str) -> str:
    if reason.startswith(FAILURES):
        return "failed"
    return {"": "finished", "drain": "stopped", "now": "stopped"}[word]
