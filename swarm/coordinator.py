"""The head: starts Ray, places the board and one agent per slot, supervises, projects, drains, stops.

The only file that imports ray. Ray moves work and nothing else: the ledger is the truth, so a head that dies loses
only what was running, and `launch --resume` goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from swarm.agent import Agent
from swarm.board.board import LEASE, Board
from swarm.board.client import BoardClient
from swarm.board.history import History, write_results
from swarm.board.ledger import Ledger
from swarm.board.novelty import fingerprint
from swarm.board.reader import ledger_path
from swarm.board.stock import found, reopen
from swarm.errors import SwarmError
from swarm.plan import Plan, categories, researcher_options
from swarm.project import Project
from swarm.records import Source
from swarm.researchers import create
from swarm.workshop import gpu
from swarm.workshop.runner import Slot, Workshop
from swarm.workshop.workspace import Workspace

TICK = 0.5  # seconds between two looks at the agents
RESTARTS = 4  # of one agent within RESTART_WINDOW; then its slot is fenced
RESTART_WINDOW = 600.0
FAILURES = ("the baseline crashes", "gave up")  # how the reason of a night begins that should not have ended
IGNORE_ITSELF = "*\n"  # .swarm/.gitignore


# ---------------------------------------------------------------------------------------------------------------
# The actors


class BoardActor:
    """The board in a process of its own. Ray repeats calls whose answer was lost; request ids make that harmless."""

    def __init__(self, path: str, tag: str, program: str):
        self.board = Board(Ledger(Path(path), write=True), tag, program=functools.partial(_read_text, Path(program)))

    def call(self, method: str, *arguments: object, **keywords: object) -> Any:
        return getattr(self.board, method)(*arguments, **keywords)


@dataclass(frozen=True, slots=True)
class Post:
    """All that an agent actor needs to know to take up its work."""

    agent: str
    project: Project
    slot: Slot
    folder: str
    researcher: str
    seed: int
    options: dict[str, str]
    environment: dict[str, str]  # added to the agent's, and so to its runs'


class AgentActor:
    """One agent in a process of its own."""

    def __init__(self, post: Post, base: bytes, board: Any):
        os.environ.update(post.environment)
        folder = Path(post.folder)

        async def call(method: str, *arguments: object, **keywords: object) -> Any:
            return await board.call.remote(method, *arguments, **keywords)

        tree = Workspace(folder / "tree", base, post.project).fresh(Source({}))  # what a researcher may read
        options = post.options | {"tree": str(tree)}
        self.agent = Agent(
            post.agent,
            post.project,
            BoardClient(call),
            Workshop(post.project, base, folder, post.slot),
            Workspace(folder / "draft", base, post.project),
            create(post.researcher, post.agent, post.seed, options),
            fallback=None if post.researcher == "sweep" else create("sweep", post.agent, post.seed),
        )

    async def live(self) -> str:
        watch = asyncio.create_task(_end_with_parent(os.getppid()))
        try:
            return await self.agent.live()
        finally:
            watch.cancel()

    async def halt(self) -> None:
        await self.agent.halt()

    async def view(self) -> dict[str, Any]:
        return self.agent.view()


async def _end_with_parent(parent: int) -> None:
    """A worker outlives a killed raylet by minutes, and its guard would train on: end as soon as it is orphaned."""
    while os.getppid() == parent:
        await asyncio.sleep(1.0)
    os._exit(1)


def _read_text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


# ---------------------------------------------------------------------------------------------------------------
# The head


@dataclass
class Seat:
    """One agent's place: its actor, the call that ends with it, and how often it had to be started."""

    post: Post
    actor: Any
    life: Any
    view: Any = None
    starts: deque[float] = dataclasses.field(default_factory=deque)
    due: float | None = None  # when it is started again, on the monotonic clock
    reason: str = ""


class Swarm:
    """A running swarm. `supervise()` returns when every agent has ended; `drain()` and `stop()` make them."""

    def __init__(self, plan: Plan):
        self.plan, self.tag = plan, plan.tag
        self.history = History(plan.root)
        self.path = ledger_path(plan.root)
        self.ended = threading.Event()
        self.seats: dict[str, Seat] = {}
        self.word = ""
        self._announced = ""
        self._projected = (-1, 0.0)

    def start(self) -> None:
        """Writes the ledger, starts Ray, the board and the agents."""
        import ray

        plan = self.plan
        _make_folder(plan.folder)
        _enter_ledger(plan, self.path)
        _start_ray(plan)
        base = ray.put(self.history.base_tree(plan.base_commit))
        program = str(plan.root / plan.project.program)
        make_board = ray.remote(BoardActor).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        self.board = make_board.remote(str(self.path), self.tag, program)
        ray.get(self.board.call.remote("expire"))  # it lives, or says here why not
        self.base = base
        for agent, slot in plan.slots.items():
            post = Post(
                agent,
                plan.project,
                slot,
                str(plan.folder / agent),
                plan.researchers[agent],
                plan.config.researcher_seed,
                researcher_options(plan.config, plan.project, len(plan.slots)),
                _environment(plan),
            )
            self.seats[agent] = self._seat(post)

    def supervise(self) -> str:
        """Looks after the agents until the last one has ended; gives the reason."""
        import ray

        try:
            with contextlib.closing(Ledger(self.path)) as ledger:
                while any(not seat.reason for seat in self.seats.values()):
                    self._tick(ledger)
                    time.sleep(TICK)
                reason = self._reason(ledger)
                self._call("end", _status(self.word, reason), reason)
                self._project(ledger, final=True)
            return reason
        finally:
            self.ended.set()
            ray.shutdown()

    def drain(self) -> None:
        """Finish what runs, start nothing new."""
        self.word = self.word or "drain"

    def stop(self) -> None:
        """End everything now."""
        self.word = "now"

    # -- one look around -----------------------------------------------------------------------------------------

    def _tick(self, ledger: Ledger) -> None:
        self._pass_on_stop(ledger)
        self._see_to_seats()
        self._show_seats()
        self._call("expire")
        self._project(ledger)

    def _pass_on_stop(self, ledger: Ledger) -> None:
        """A stop may come from a signal here, or from `swarm stop` through its file."""
        file = self.plan.folder / "stop"
        if file.exists():
            self.word = "now" if file.read_text().strip() == "now" else self.word or "drain"
            file.unlink()
        if self.word and self.word != self._announced:
            self._call("stop", self.word)
            self._announced = self.word
        hopeless = ledger.value("SELECT stop FROM swarms WHERE tag = ?", self.tag) == "now"
        if self.word == "now" or hopeless:
            for seat in self.seats.values():
                if not seat.reason and seat.due is None:
                    seat.actor.halt.remote()
        for note in sorted(self.plan.folder.glob("tell-*.txt")):
            self._call("tell", note.read_text())
            note.unlink()

    def _see_to_seats(self) -> None:
        """Who has ended, and was it meant? An agent that died is started again, a few times."""
        import ray
        from ray.exceptions import RayError

        for agent, seat in self.seats.items():
            if seat.due is not None and time.monotonic() >= seat.due:
                self.seats[agent] = self._seat(seat.post, seat.starts)
            if seat.reason or seat.due is not None or not ray.wait([seat.life], timeout=0)[0]:
                continue
            try:
                seat.reason = ray.get(seat.life)
            except (RayError, SwarmError) as error:  # whatever the actor raised comes as one of these
                self._restart(agent, seat, error)

    def _restart(self, agent: str, seat: Seat, error: Exception) -> None:
        import ray

        now = time.monotonic()
        while seat.starts and now - seat.starts[0] > RESTART_WINDOW:
            seat.starts.popleft()
        why = " ".join(str(error).strip().splitlines()[-1:])
        if len(seat.starts) > RESTARTS or self.word == "now":
            seat.reason = f"gave up on {agent}: {why}"
            self._call("warn", agent, seat.reason)
            return
        self._call("warn", agent, f"started again after: {why}")
        ray.kill(seat.actor)
        seat.due = now + 2 ** (len(seat.starts) - 1)

    def _seat(self, post: Post, starts: deque[float] | None = None) -> Seat:
        import ray

        sim_or_cuda = post.slot.device in ("cuda", "sim")
        make_agent = ray.remote(AgentActor).options(num_cpus=0, num_gpus=1 if sim_or_cuda else 0, max_concurrency=8)
        actor = make_agent.remote(post, self.base, self.board)
        seat = Seat(post, actor, actor.live.remote(), starts=starts or deque())
        seat.starts.append(time.monotonic())
        return seat

    def _show_seats(self) -> None:
        """live.json of every agent: what it said last, and what its GPU says."""
        import ray
        from ray.exceptions import RayError

        cards = {card.uuid: card for card in gpu.gpus()} if self.plan.device.startswith("cuda") else {}
        for agent, seat in self.seats.items():
            if seat.reason or seat.due is not None:
                continue
            if seat.view is not None and ray.wait([seat.view], timeout=0)[0]:
                with contextlib.suppress(RayError):
                    self._write_live(agent, ray.get(seat.view), cards.get(seat.post.slot.gpu or ""))
                seat.view = None
            if seat.view is None:
                seat.view = seat.actor.view.remote()

    def _write_live(self, agent: str, live: dict[str, Any], card: gpu.Gpu | None) -> None:
        if card:
            live |= {"gpu_load": card.load, "gpu_memory_gb": card.used_gb, "gpu_watts": card.watts}
        path = self.plan.folder / agent / "live.json"
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(live | {"at": time.time()}))
        draft.replace(path)

    def _project(self, ledger: Ledger, final: bool = False) -> None:
        """Git and results.tsv follow the ledger, after every verdict and now and then in any case."""
        verdicts = ledger.value("SELECT max(verdict) FROM experiments WHERE tag = ?", self.tag) or 0
        moved = ledger.value("SELECT sum(position) FROM agents WHERE tag = ?", self.tag) or 0
        state, now = verdicts + moved, time.monotonic()
        if state == self._projected[0] and now - self._projected[1] < 30 and not final:
            return
        commits = self.history.project(ledger, self.tag)
        if commits:
            self._call("projected", commits)
        write_results(ledger, self.tag, self.plan.folder)
        self._projected = (state, now)

    def _reason(self, ledger: Ledger) -> str:
        told = ledger.value("SELECT reason FROM swarms WHERE tag = ?", self.tag)
        reasons = [seat.reason for seat in self.seats.values()]
        return told or max(set(reasons), key=reasons.count)

    def _call(self, method: str, *arguments: object) -> Any:
        import ray

        return ray.get(self.board.call.remote(method, *arguments), timeout=LEASE)


def run(plan: Plan, show: Callable[[Callable[[], bool]], None]) -> tuple[int, str]:
    """Runs the swarm to its end; gives the exit code and the reason. `show(done)` draws until `done()`.

    The first Ctrl-C drains, the second stops at once, a third leaves whatever happens. A closed terminal changes
    nothing. SIGTERM stops.
    """
    swarm = Swarm(plan)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by Ray's processes, which a closed terminal would end
    swarm.start()
    with _signals(swarm):  # only now: ray.init sets handlers of its own
        outcome: list[str] = []
        supervisor = threading.Thread(target=lambda: outcome.append(swarm.supervise()), name="supervisor")
        supervisor.start()
        show(swarm.ended.is_set)
        supervisor.join()
    if not outcome:
        raise SwarmError(
            f"the head failed; what was recorded is safe: `python -m swarm launch --tag {plan.tag} --resume`"
        )
    if swarm.word == "now":
        return 130, outcome[0]
    return (1 if outcome[0].startswith(FAILURES) else 0), outcome[0]


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
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text(IGNORE_ITSELF)
    (folder / "stop").unlink(missing_ok=True)


def _enter_ledger(plan: Plan, path: Path) -> None:
    """Founds the swarm in the ledger, or opens it again."""
    with contextlib.closing(Ledger(path, write=True)) as ledger:
        now, config, seats = time.time(), plan.config, categories(plan)
        settings = json.dumps({**dataclasses.asdict(config), "researchers": plan.researchers})
        if config.resume:
            reopen(ledger, plan.tag, seats, now, config.hours, config.max_experiments, config.researcher, settings)
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
            sigma_prior=plan.project.sigma.get(plan.device.split(":")[0]),
            settings=settings,
        )


def _start_ray(plan: Plan) -> None:
    """Joins the cluster that was named, or starts one of its own. Never one that merely happens to be there."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    address = plan.config.address or os.environ.get("RAY_ADDRESS")
    common = {"log_to_driver": False, "logging_level": "ERROR", "namespace": "swarm"}
    if address:
        ray.init(address=address, **common)
        return
    gpus = sum(slot.device in ("cuda", "sim") for slot in plan.slots.values())
    ray.init(address="local", num_cpus=len(plan.slots) + 2, num_gpus=gpus, include_dashboard=False, **common)


def _environment(plan: Plan) -> dict[str, str]:
    """Runs use the data that the plan found, whatever `prepare.py` is told to make during the night."""
    return {"AUTORESEARCH_CORPUS": str(plan.data["key"])} if "key" in plan.data else {}


def _status(word: str, reason: str) -> str:
    if reason.startswith(FAILURES):
        return "failed"
    return {"": "finished", "drain": "stopped", "now": "stopped"}[word]
