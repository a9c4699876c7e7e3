"""The Ray actors: the board, and one agent per slot. Each ends with the raylet that started it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import platform
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm.agent.loop import Agent
from swarm.board.board import Board
from swarm.board.client import BoardClient
from swarm.board.server import BoardServer
from swarm.coordinator.keys import keys
from swarm.coordinator.log_shipping import LogShipper
from swarm.errors import HostFault, MachineFault, OutOfReach, SwarmError, Unavailable, UsageError, is_of_the_machine
from swarm.execution.included import OTHER_DATA
from swarm.execution.machine.process_table import die_with_parent
from swarm.execution.runner import LocalRunner
from swarm.execution.sandbox import sandbox
from swarm.execution.slot import Slot
from swarm.execution.workspace import Workspace
from swarm.launch.data import prepared
from swarm.launch.plan import Plan, environment, passed, researcher_options
from swarm.launch.slots import own_slot, unfit
from swarm.ledger.database import Ledger, file_at
from swarm.ledger.home import ledger_path
from swarm.project.project import Project
from swarm.records import Source
from swarm.researchers.registry import create, look_in, secrets, stand_in, uses_keys
from swarm.researchers.watchdog import Watched
from swarm.text import read_text

ACCELERATOR = "ray.io/accelerator-type"  # a host's label, which Ray sets where it knows the GPUs
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 5.0  # seconds before a question is asked again


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """All that an agent's actor needs to start work."""

    agent: str
    project: Project
    slot: Slot | None  # None on a cluster, where Ray chooses it
    device: str  # on which its results have to be measured, as in "cuda: NVIDIA H200"
    accelerator: str  # what Ray calls that, where it has others too
    data: str  # the key of the data they have to be measured on, or ""
    root: str  # the repository
    folder: str  # where the agent works, on hosts that have the repository too
    researcher: str
    seed: int
    sandbox: str  # auto, require or off
    options: dict[str, str]
    secrets: dict[str, str] = field(repr=False)  # options too, which are never shown
    think_limit: float  # seconds for one thought
    environment: dict[str, str]  # added to the agent's, and so to its runs'
    passed: dict[str, str] = field(default_factory=dict, repr=False)  # the same, of `pass_env`: keys too
    keys: dict[str, str] = field(default_factory=dict, repr=False)  # of the head's, for its researcher alone
    included: str = ""  # the key of the data that is included from the checkout, or ""

    @classmethod
    def of(cls, plan: Plan, agent: str, folder: Path) -> AgentSpec:
        """The spec of one of the plan's agents, which works in `folder`; without a researcher, as the plan may be."""
        researcher = plan.researchers.get(agent, "")
        return cls(
            agent=agent,
            project=plan.project,
            slot=None if plan.hosts else plan.slots[agent],
            device=plan.device,
            accelerator=plan.accelerator,
            data=str(plan.data.get("key", "")),
            root=str(plan.root),
            folder=str(folder),
            researcher=researcher,
            seed=plan.config.researcher_seed,
            sandbox=plan.config.sandbox,
            options=researcher_options(plan.config, plan.project),
            secrets=secrets(researcher, os.environ) if researcher else {},
            think_limit=plan.config.think_limit,
            environment=environment(plan),
            passed=passed(plan),
            keys=keys(os.environ) if researcher and uses_keys(researcher) else {},
            included=plan.access.included.key,
        )


class BoardActor:
    """The board in a process of its own. Ray repeats calls whose answer was lost; request ids make that harmless."""

    def __init__(self, path: str, tag: str, program: str, clock: float):
        """`clock` is the head's `clock_start()`: the swarm's time goes on evenly, even if the clock is set."""
        end_with_parent()
        self._clock = clock
        self._path, self._tag, self._program = Path(path), tag, functools.partial(_read_text, Path(program))
        self._server = BoardServer(self._open)

    async def call(self, method: str, *arguments: object, **keywords: object) -> Any:
        """One call to the board; Unavailable while the ledger cannot be opened, read or written (a full disk)."""
        return await self._server.call(method, *arguments, **keywords)

    def _open(self) -> Board:
        ledger = Ledger(self._path, write=True)
        return Board(ledger, self._tag, self._program, lambda: self._clock + _since_boot())


class AgentActor:
    """One agent in a process of its own. `call` makes a call to the board, and raises Unavailable."""

    def __init__(self, spec: AgentSpec, base: bytes, call: Callable[..., Awaitable[Any]]):
        end_with_parent()
        os.environ.update(spec.environment | spec.passed)
        os.environ.update({name: value for name, value in spec.keys.items() if name not in os.environ})
        self._spec, self._base, self._call = spec, base, call
        self._agent: Agent | None = None
        self._log_shipper = log_shipper_of(spec)

    async def live(self) -> str:
        """Runs the agent until the swarm ends; MachineFault where this host cannot be used."""
        with naming_host():
            self._agent = self._make_agent()
            return await self._agent.live()

    async def halt(self) -> None:
        if self._agent:
            await self._agent.halt()

    async def view(self) -> dict[str, Any]:
        view = self._agent.view() if self._agent else {"agent": self._spec.agent, "state": "starting"}
        return view | {"pid": os.getpid(), "log_chunk": self._log_shipper.next() if self._log_shipper else None}

    def _make_agent(self) -> Agent:
        spec, base = self._spec, self._base
        runner, tree = open_runner(spec, base)
        for place in (Path(spec.root), tree):  # the second where this host has no repository
            look_in(place)
        folder = working_folder(spec)
        options = spec.options | spec.secrets | {"tree": str(tree), "folder": str(folder)}
        return Agent(
            spec.agent,
            spec.project,
            BoardClient(functools.partial(patiently, self._call)),
            runner,
            Workspace(folder / "draft", base, spec.project),
            Watched(create(spec.researcher, spec.agent, spec.seed, options), spec.think_limit),
            fallback=stand_in(spec.researcher, spec.agent, spec.seed),
        )


def open_runner(spec: AgentSpec, base: bytes) -> tuple[LocalRunner, Path]:
    """The runner on the agent's slot, and the untouched project; MachineFault where the slot cannot be used."""
    folder = working_folder(spec)
    tree = Workspace(folder / "tree", base, spec.project).fresh(Source({}))  # what a researcher may read
    slot = spec.slot or slot_here(spec, tree)
    sandboxed, checkout = sandbox.wanted(spec.sandbox), checkout_of(spec)
    runner = LocalRunner(spec.project, base, folder, slot, sandboxed=sandboxed, checkout=checkout)
    if spec.included and runner.included.key != spec.included:
        if spec.slot:  # on the head itself
            raise MachineFault(f"a file {OTHER_DATA}")
        raise MachineFault(f"what `include` names is not the same here as on the head: copy it to {spec.root}")
    return runner, tree


def log_shipper_of(spec: AgentSpec) -> LogShipper | None:
    """Copies the agent's logs to the head; None where they are written there."""
    try:
        here = file_at(ledger_path(Path(spec.root))) is not None
    except OutOfReach:  # on another host the path of the head's folder may be anybody's
        here = False
    return None if here else LogShipper(working_folder(spec))


@contextlib.contextmanager
def naming_host() -> Iterator[None]:
    """Raises faults of this host with its name. A failing disk is one of them: another host's is not full.

    An error that is not the machine's stays what it is: no rest would mend it.
    """
    host = platform.node()
    try:
        yield
    except HostFault:
        raise
    except MachineFault as fault:
        raise HostFault(f"{host}: {fault}") from fault
    except OSError as error:
        what = f"{host}: {error.strerror or error} ({error.filename or 'no file named'})"
        raise (HostFault if is_of_the_machine(error) else SwarmError)(what) from error


def checkout_of(spec: AgentSpec) -> Path | None:
    """The repository, on hosts that have it."""
    return Path(spec.root) if Path(spec.root).is_dir() else None


def working_folder(spec: AgentSpec) -> Path:
    """The agent's folder in the repository, or on a host that does not have it a place of its own."""
    if Path(spec.root).is_dir():
        return Path(spec.folder)
    cache = Path(os.environ.get("AUTORESEARCH_CACHE") or Path.home() / ".cache/autoresearch")
    return cache / "swarms" / spec.folder.strip("/").replace("/", "-")


def slot_here(spec: AgentSpec, tree: Path) -> Slot:
    """The slot on the GPU that Ray gave this agent; MachineFault where its results could not be compared."""
    host, kind = platform.node(), spec.device.split(":")[0]
    slot, model = own_slot(kind, accelerator_here())
    if f"{kind}: {model}" != spec.device:
        raise HostFault(f"{host} has {model}, and this swarm's results are of {spec.device.split(': ', 1)[1]}")
    if why := unfit([slot], spec.project):
        raise HostFault(f"{host}: {why}")
    if spec.data:
        _check_data(spec, tree, host)
    return slot


def accelerator_here() -> str:
    """What Ray calls the model of this host's GPUs, or ""."""
    import ray

    return str(ray.get_runtime_context().get_node_labels().get(ACCELERATOR, "")) if ray.is_initialized() else ""


def resources_for(spec: AgentSpec) -> dict[str, Any]:
    """The Ray resources that the agent needs: a GPU, and where the cluster has several models one of its own."""
    gpus = 1 if spec.slot is None or spec.slot.device in ("cuda", "sim") else 0
    place = {"label_selector": {ACCELERATOR: spec.accelerator}} if spec.accelerator else {}
    return {"num_cpus": 0, "num_gpus": gpus, **place}


def _check_data(spec: AgentSpec, tree: Path, host: str) -> None:
    try:
        found = prepared(spec.project, tree, checkout_of(spec)).get("key", "")
    except UsageError as error:
        raise HostFault(f"{host}: {error}") from error
    if found != spec.data:
        raise HostFault(
            f"{host} has other data ({found} instead of {spec.data}): run `{spec.project.prepare}` there as on the head"
        )


async def patiently(call: Callable[..., Awaitable[Any]], method: str, *arguments: object, **keywords: object) -> Any:
    """Asks until there is an answer. The request id stays the same, so nothing is done twice."""
    pause = SHORTEST_PAUSE
    while True:
        try:
            return await call(method, *arguments, **keywords)
        except Unavailable:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def clock_start() -> float:
    """When this machine was started, in unix seconds by the clock as it is now."""
    return time.time() - _since_boot()


def _since_boot() -> float:
    """Seconds that nobody can set, those of sleep included where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def end_with_parent() -> None:
    """Ray's workers outlive a killed raylet, for minutes or, where they are stopped, for ever: these do not."""
    die_with_parent()
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _read_text(path: Path) -> str:
    """What a person wrote for researchers, now; nothing where it cannot be read at the moment."""
    try:
        return read_text(path.read_bytes()).text
    except OSError:
        return ""
