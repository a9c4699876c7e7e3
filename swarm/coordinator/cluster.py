"""Ray as the head uses it: starts or joins a cluster, starts actors there, and sees whether Ray is alive."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import psutil

from swarm.coordinator import own_ray
from swarm.coordinator.actors import AgentActor, AgentSpec, BoardActor, resources_for
from swarm.coordinator.own_ray import OwnRay
from swarm.errors import MachineFault, SwarmError, Unavailable, Unmakeable, UsageError
from swarm.execution.slot import Slot

PATIENCE = 120.0  # seconds the head waits for one answer of the board, whose process may just be started again
TELL = 15.0  # seconds between two lines about what is waited for
LOOK = 1.0  # seconds between two looks whether there is still somebody who could answer
COMMON: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "namespace": "swarm"}


@dataclass(frozen=True, slots=True)
class BoardHandle:
    """The board's actor, for calls from the head and from every agent. It can be passed to actors."""

    actor: Any

    async def __call__(self, method: str, *arguments: object, **keywords: object) -> Any:
        from ray.exceptions import RayError, RayTaskError

        try:
            return await self.actor.call.remote(method, *arguments, **keywords)
        except RayTaskError:  # what the board raised itself, which is of that class too
            raise
        except RayError as error:  # it died, or its answer got lost
            raise Unavailable(first_line(error)) from error

    def ask(
        self,
        method: str,
        *arguments: object,
        request: str = "",
        lives: Callable[[], bool],
        patience: float = PATIENCE,
        say: Callable[[float], None] = lambda seconds: None,
    ) -> Any:
        """The answer, once for a `request`; `say` hears every `TELL` seconds for how long it is waited for.

        Unavailable where the board cannot give it, or hangs: then its process is ended. Ray starts another one and
        repeats what was asked; unless Ray itself `lives` no more. Whoever waits for it then is ended by it, as soon as
        it learns that its own memory is gone.
        """
        import ray
        from ray.exceptions import RayError

        asked = told = time.monotonic()
        try:
            answer = self.actor.call.remote(method, *arguments, **({"request": request} if request else {}))
            while not ray.wait([answer], timeout=LOOK)[0]:
                if not lives():
                    raise Unavailable("Ray died")
                now = time.monotonic()
                if now > asked + patience:
                    ray.kill(self.actor, no_restart=False)
                    raise Unavailable(f"no answer for {patience:.0f} s, so it is started again")
                if now > told + TELL:
                    told = now
                    say(now - asked)
            return ray.get(answer)
        except RayError as error:
            raise Unavailable(first_line(error)) from error


class RayAgent:
    """One agent's actor (an AgentHandle), and the call that ends with it."""

    def __init__(self, actor: Any):
        self._actor, self._life, self._view = actor, actor.live.remote(), None

    def outcome(self) -> str | None:
        """Why the agent ended in peace, None while it lives; MachineFault, Unmakeable, or another SwarmError."""
        import ray
        from ray.exceptions import RayError

        if not ray.wait([self._life], timeout=0)[0]:
            return None
        try:
            return ray.get(self._life)
        except MachineFault as error:
            raise MachineFault(first_line(error)) from error
        except Unmakeable as error:
            raise Unmakeable(first_line(error)) from error
        except RayError as error:
            raise SwarmError(first_line(error)) from error

    def view(self) -> dict[str, Any] | None:
        """What the agent says of itself, where it has answered since it was asked last; asks again."""
        import ray
        from ray.exceptions import RayError

        view: Any = None
        if self._view is not None and ray.wait([self._view], timeout=0)[0]:
            with contextlib.suppress(RayError):
                view = ray.get(self._view)
            self._view = None
        if self._view is None:
            self._view = self._actor.view.remote()
        return view

    def halt(self) -> None:
        """Asks it to end its training."""
        self._actor.halt.remote()

    def kill(self) -> None:
        """Ends its process, whatever state that is in; its guard ends the training."""
        import ray

        ray.kill(self._actor)


def join(address: str) -> None:
    """Joins the Ray cluster at `address`; UsageError where there is none, or it refuses this process."""
    _quiet()
    import ray
    from ray.exceptions import RayError

    try:
        _check_port(address)
        ray.init(address=address, **COMMON)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise UsageError(f"the Ray cluster at {address} cannot be joined: {refused(error)}") from error


class JoinFailure(Enum):
    """Why a cluster refuses this process."""

    TOKEN = auto()
    VERSION = auto()
    OTHER = auto()


def _classify(error: Exception) -> JoinFailure:
    """Reads Ray's own wording, as it has no classes for these errors."""
    from ray.exceptions import AuthenticationError

    text = str(error).lstrip()
    if isinstance(error, AuthenticationError) or text.startswith("Failed to connect"):  # though something listens there
        return JoinFailure.TOKEN
    return JoinFailure.VERSION if text.startswith("Version mismatch") else JoinFailure.OTHER


def refused(error: Exception) -> str:
    """Why a cluster refuses this process, and what to do about it, in one line."""
    match _classify(error):
        case JoinFailure.TOKEN:
            return (
                f"{first_line(error)}; mostly its token is another: `export RAY_AUTH_MODE=token`, and copy the head's"
                f" ~/.ray/auth_token to {platform.node()}"
            )
        case JoinFailure.VERSION:
            text = " ".join(str(error).split())
            return f"{text}: every host needs the same Ray and Python; `make setup` installs those of constraints.txt"
    return f"{first_line(error)}; launch on its head, or start one: `ray up cluster.yaml`"


def _check_port(address: str) -> None:
    """OSError where nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


def leave() -> None:
    import ray

    ray.shutdown()


def _quiet() -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    for idle in ("enable_worker_prestart", "prestart_worker_first_driver", "enable_metrics_collection"):
        os.environ.setdefault(f"RAY_{idle}", "0")  # a third of Ray's start went into workers that nobody asks for


class Cluster:
    """The Ray cluster at an address, or one of its own on this host. Never one that merely happens to run here."""

    def __init__(self, address: str | None, slots: Sequence[Slot]):
        self._address, self._slots = address, slots
        self._own: OwnRay | None = None
        self._base: Any = None

    def start(self, base: bytes, say: Callable[[str], None], session: Callable[[str], None]) -> None:
        """`base` is the tar archive of the tree from which every host makes its workspaces. `say` is told what is
        waited for, and `session` the folder of a Ray that is started here."""
        _quiet()
        import ray

        if self._address:
            join(self._address)
        else:
            gpus = sum(slot.device in ("cuda", "sim") for slot in self._slots)
            resources = {"num_cpus": len(self._slots) + 2, "num_gpus": gpus}
            self._own = own_ray.start(resources | COMMON, say, session)
        self._base = ray.put(base)

    def lives(self) -> bool:
        """False where Ray's own processes on this host have died, or never came; else True."""
        if self._base is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._own is None or all(vital.status() != psutil.STATUS_ZOMBIE for vital in self._own.vital)
        return False

    def close(self) -> None:
        """Leaves; ends what it started. References to a BoardHandle or RayAgent must be dropped before.

        Another Ray uses the same names again: an old reference that is dropped later would delete a new object.
        """
        own, self._base, self._own = self._own, None, None
        leave()
        if own:
            own_ray.end()

    def board(self, path: Path, tag: str, program: Path, clock: float) -> BoardHandle:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # the ledger's disk
        make = ray.remote(BoardActor).options(
            num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here
        )
        return BoardHandle(make.remote(str(path), tag, str(program), clock))

    def agent(self, spec: AgentSpec, board: BoardHandle) -> RayAgent:
        import ray

        make = ray.remote(AgentActor).options(max_concurrency=8, **resources_for(spec))
        return RayAgent(make.remote(spec, self._base, board))


def first_line(error: BaseException) -> str:
    """What happened, without the traceback that Ray carries along."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
