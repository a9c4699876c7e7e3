"""A Ray of the head's own on this host: started, and waited for as long as it makes progress, however slow it is."""

from __future__ import annotations

import contextlib
import os
import platform
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from swarm.coordinator.keys import without_keys
from swarm.coordinator.reaper import own_mark
from swarm.errors import SwarmError
from swarm.execution.machine import process_table
from swarm.execution.spec import HEAD

STARTS = 3  # times that it is started at most, where its processes die
STILL = 240.0  # seconds without any sign of progress after which it is given up
LONGEST = 3600.0  # seconds after which it is given up whatever it does
TELL = 15.0  # seconds between two lines about what is waited for
WORK = 24.0  # CPU-seconds that count as progress; a GCS server alone uses as much while it only waits for its node
VITAL = ("gcs_server", "raylet")  # the processes without which Ray starts nothing any more
PATIENT = {  # how long Ray's own processes wait for each other, where a busy machine is none that failed
    "agent_register_timeout_ms": "1800000",
    "worker_register_timeout_seconds": "1800",
    "gcs_server_port_wait_time_s": "1800",
    "gcs_server_request_timeout_seconds": "600",
    "gcs_rpc_server_connect_timeout_s": "600",
    "gcs_rpc_server_reconnect_timeout_s": "600",
    "py_gcs_connect_timeout_s": "600",
    "raylet_client_connect_timeout_milliseconds": "30000",
    "health_check_timeout_ms": "60000",  # the head itself sees when a process of its own Ray has died
    "health_check_failure_threshold": "20",
    "raylet_start_wait_time_s": "5",  # of one of many questions whether the node is there (_waiting)
    "event_stats_print_interval_ms": "3600000",  # a log that grows is a sign of progress (-1 prints without a pause)
}
PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
PORT_RANGE = 20_000, 30_000
_LOOK = 0.5  # seconds between two looks at a Ray that starts


class _Lost(Exception):
    """This Ray does not come any more; why."""


@dataclass(frozen=True, slots=True)
class OwnRay:
    """A Ray that was started here."""

    vital: tuple[psutil.Process, ...]  # it is dead where one of them is
    session: str  # the folder of its logs


def start(resources: dict[str, Any], say: Callable[[str], None], session: Callable[[str], None]) -> OwnRay:
    """Starts Ray on this host; `session` is called with its folder as soon as there is one.

    `say` gets a line about what is waited for every `TELL` seconds. SwarmError where its processes die, time and again,
    or nothing moves for `STILL` seconds.
    """
    os.environ[HEAD] = own_mark()
    os.environ["SPT_NOENV"] = "1"  # Ray's processes, which set their titles, keep the mark in their environment
    for name, value in PATIENT.items():
        os.environ.setdefault(f"RAY_{name}", value)  # read when it is imported
    import ray

    for attempt in range(1, STARTS + 1):
        wait = _Wait(say, session)
        try:
            with _telling(wait), _waiting(wait), without_keys():
                ray.init(address="local", include_dashboard=False, **resources)
            return OwnRay(tuple(wait.vital()), wait.folder)
        except Exception as error:  # Ray has no class of its own for it
            why = _why(error)
            ray.shutdown()
            end()
            if attempt == STARTS or wait.hopeless:
                raise SwarmError(
                    f"Ray does not start on {platform.node()}: {why}; its logs are in"
                    f" {wait.folder or '/tmp/ray/session_latest'}/logs; mostly /tmp, /dev/shm or the memory is full:"
                    " make room and launch again"
                ) from error
            say(f"Ray did not start ({why}); it is started again")
    raise AssertionError("unreachable")


def end() -> None:
    """Ends what is left of this head's Ray, after `ray.shutdown`: its agents outlive a raylet that died."""
    mark = f"{HEAD}={own_mark()}"
    left = [process for pid in process_table.with_variable(mark) if (process := _of_ray(pid))]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def _of_ray(pid: int) -> psutil.Process | None:
    """The process, where Ray started it: the session's folder is among its arguments, or it has a title of Ray's. The
    head starts other programs too."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        words = process.cmdline()
        if any("/session_" in word or word.startswith("ray::") for word in words):
            return process
    return None


# -- waiting ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _telling(wait: _Wait) -> Iterator[None]:
    """A line every `TELL` seconds, whatever `ray.init` does meanwhile."""
    started = threading.Event()

    def tell() -> None:
        while not started.wait(TELL):
            wait.tell()

    thread = threading.Thread(target=tell, name="telling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        started.set()
        thread.join()


@contextlib.contextmanager
def _waiting(wait: _Wait) -> Iterator[None]:
    """Has `ray.init` wait as long as `wait` does: two of its own waits end after 30 seconds, whatever happens.

    And its raylet, which aborts where its agents have not chosen their ports after 20 seconds, is told the ports.
    """
    from ray._private import node as starting
    from ray._private import services

    node: Any = starting  # its names are nobody's to import
    port, described = node.wait_for_persisted_port, services.get_node
    start_raylet, start_process = node.Node.start_raylet, services.start_ray_process

    def patient_port(session: str, node_id: Any, name: str, timeout_ms: int = 0, **options: Any) -> int:
        wait.begin(session)
        while timeout_ms:
            try:
                return port(session, node_id, name, timeout_ms=int(1000 * _LOOK), **options)
            except RuntimeError:  # not there yet
                wait.look(name.replace("_", " "))
        return port(session, node_id, name, timeout_ms=0, **options)

    def patient_description(*arguments: Any, **options: Any) -> Any:
        while True:
            try:
                return described(*arguments, **options)
            except RuntimeError:  # the node has not told of itself yet
                wait.look("node")
                time.sleep(_LOOK)

    def start_raylet_with_ports(self: Any, *arguments: Any, **options: Any) -> Any:
        chosen = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        for name, free in chosen.items():
            setattr(self._ray_params, name, free)

        def start_process_with_ports(command: list[str], kind: str, *others: Any, **more: Any) -> Any:
            flags = [f"--{name}={free}" for name, free in chosen.items()]
            return start_process([*command, *flags] if kind == "raylet" else command, kind, *others, **more)

        services.start_ray_process = start_process_with_ports
        try:
            return start_raylet(self, *arguments, **options)
        finally:
            services.start_ray_process = start_process

    node.wait_for_persisted_port, services.get_node = patient_port, patient_description
    node.Node.start_raylet = start_raylet_with_ports
    try:
        yield
    finally:
        node.wait_for_persisted_port, services.get_node = port, described
        node.Node.start_raylet = start_raylet


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now. Where somebody takes one in the next seconds, Ray's agent ends, and all is begun anew.

    They are from below the range out of which a system gives ports to whoever wants any.
    """
    with contextlib.ExitStack() as held:
        found = list[int]()
        for port in random.sample(range(*PORT_RANGE), 50 * count):
            one = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("", port))
                found.append(port)
            if len(found) == count:
                return found
    raise SwarmError(f"no {count} ports of {PORT_RANGE[0]} to {PORT_RANGE[1]} are free on {platform.node()}")


class _Wait:
    """One start of Ray, as seen from outside: its processes, their CPU time, and what they write."""

    def __init__(
        self, say: Callable[[str], None], session: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ):
        self._say, self._session, self.folder, self._now = say, session, "", now
        self._what = "first process"
        self.hopeless = False  # it stands still: another start would do the same
        self._before = {child.pid for child in psutil.Process().children()}
        self._begun = self._moved = now()
        self._seen: tuple[object, ...] = ()
        self._cpu = 0.0
        self._known: dict[int, str] = {}  # the vital processes that were seen, by pid

    def begin(self, session: str) -> None:
        """Ray made its folder."""
        if session != self.folder:
            self.folder = session
            self._session(session)

    def look(self, what: str) -> None:
        """Looks whether there is progress while `what` is waited for; _Lost where there is none any more."""
        self._what, now, processes = what, self._now(), self._processes()
        self._known |= {process.pid: _name(process) for process in processes if _name(process) in VITAL}
        if gone := self._known.keys() - {process.pid for process in processes}:
            raise _Lost(f"its {self._known[min(gone)]} ended")
        cpu = sum(_cpu(process) for process in processes if _name(process) != "gcs_server")
        seen = (frozenset(processes), *self._written())
        if seen != self._seen or cpu > self._cpu + WORK:
            self._seen, self._cpu, self._moved = seen, cpu, now
        self.hopeless = now > self._moved + STILL or now > self._begun + LONGEST
        if now > self._moved + STILL:
            raise _Lost(f"nothing moved for {now - self._moved:.0f} s while its {what} was waited for")
        if self.hopeless:
            raise _Lost(f"its {what} did not come within {LONGEST:.0f} s")

    def tell(self) -> None:
        """Says what is waited for, and what there is."""
        processes = self._processes()
        self._say(
            f"Ray is starting, {self._now() - self._begun:.0f} s by now; its {self._what} is waited for,"
            f" {len(processes)} processes run and took {sum(map(_cpu, processes)):.0f} s of CPU time,"
            f" logs in {self.folder}/logs"
        )

    def vital(self) -> Iterator[psutil.Process]:
        return (process for process in self._processes() if _name(process) in VITAL)

    def _processes(self) -> list[psutil.Process]:
        """The processes of this start that live."""
        children = [child for child in psutil.Process().children() if child.pid not in self._before]
        found = []
        for child in children:
            with contextlib.suppress(psutil.Error):
                if child.status() != psutil.STATUS_ZOMBIE:
                    found += [child, *child.children(recursive=True)]
        return found

    def _written(self) -> tuple[int, int]:
        """How many files Ray made by now, and how long they are; not those it rewrites every few seconds anyway."""
        sizes = []
        for path in Path(self.folder).rglob("*") if self.folder else ():
            with contextlib.suppress(OSError):
                if not path.name.startswith("debug_state"):
                    sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def _why(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
