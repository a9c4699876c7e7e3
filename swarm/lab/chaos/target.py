"""The swarm that a chaos drill injects faults into: starts it on the synthetic problem, and finds its processes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from swarm.errors import SwarmError
from swarm.execution.machine import process_table
from swarm.execution.spec import GUARDS, State
from swarm.lab.simulation.project import make_project
from swarm.ledger.home import ledger_path

TAG = "chaos"
BUDGET = 1.0  # seconds of a run
WITHIN = Path(__file__).with_name("within")


class TargetSwarm:
    """One swarm with `agents` agents in `folder`. All its processes carry the folder's name in their environment."""

    def __init__(self, folder: Path, agents: int):
        self.root = make_project(folder / "project", budget=BUDGET)
        self.orders = folder / "orders"  # for what runs inside (within/sitecustomize.py)
        self.orders.mkdir()
        self.agents = [f"gpu{number}" for number in range(agents)]
        self._output = folder / "output.txt"
        self.last = ""  # the agent that was chosen last
        self._head: subprocess.Popen[bytes] | None = None

    @property
    def ledger(self) -> Path:
        return ledger_path(self.root)

    @property
    def folder(self) -> Path:
        return self.root / ".swarm" / TAG

    @property
    def output(self) -> str:
        """What the heads printed."""
        return self._output.read_text(errors="replace")

    def launch(self, *flags: str) -> None:
        """A head in the background, in a session of its own as under a terminal."""
        command = [sys.executable, "-m", "swarm", "launch", "-C", str(self.root), "--tag", TAG, "--device", "sim"]
        command += ["--agents", str(len(self.agents)), "--hours", "12", *flags]
        environment = {
            **os.environ,
            "SWARM_CHAOS": str(self.orders),
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": f"{WITHIN}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        }
        with self._output.open("ab") as output:
            self._head = subprocess.Popen(
                command, cwd=self.root, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    @property
    def head(self) -> subprocess.Popen[bytes]:
        assert self._head is not None, "launch it first"
        return self._head

    def ended(self) -> bool:
        """Whether the head has ended, or was never started."""
        return self._head is None or self._head.poll() is not None

    # -- processes ------------------------------------------------------------------------------------------

    def of_ray(self, name: str) -> psutil.Process | None:
        """The process of this name that belongs to the head's Ray."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.head.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.name().startswith(name[:15]) or " ".join(process.cmdline()).startswith(name):
                        return process
        return None

    def one_of_its_agents(self, chance: random.Random) -> str:
        self.last = chance.choice(self.agents)
        return self.last

    def agent(self, name: str) -> psutil.Process | None:
        """The agent's process, by its live.json."""
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            live = json.loads((self.folder / name / "live.json").read_text())
            process = psutil.Process(live["pid"])
            if "AgentActor" in " ".join(process.cmdline()):
                return process
        return None

    def run(self, agent: str) -> tuple[Path, State] | None:
        """The guard's folder and state of the run that now trains there."""
        for folder in (self.folder / agent / GUARDS).glob("*"):
            state = State.read(folder)
            if state and state.step_pid and process_table.birth(state.step_pid) == state.step_birth:
                return folder, state
        return None

    def trainings(self) -> set[tuple[str, int, str | None]]:
        """All trainings that this head's agents now run: agent, pid and birth."""
        runs = ((agent, self.run(agent)) for agent in self.agents if self._belongs(self.agent(agent)))
        return {(agent, run[1].step_pid or 0, run[1].step_birth) for agent, run in runs if run}

    def _belongs(self, process: psutil.Process | None) -> bool:
        """Whether the process descends from the newest head, not from one that died."""
        with contextlib.suppress(psutil.Error):
            return process is not None and self.head.pid in [parent.pid for parent in process.parents()]
        return False

    def processes(self) -> list[psutil.Process]:
        """Every process that has to do with it: by its environment, or by the folder it works in."""
        return list(_of(str(self.root.parent)))

    # -- waiting -----------------------------------------------------------------------------------------------------

    def trains_anew(self, seconds: float, agent: str = "") -> float | None:
        """Waits until a training begins that does not run now (of one agent, or of any); gives how long that took.

        None where it does not happen, or the head ends before.
        """
        known, started = self.trainings(), time.monotonic()
        while (waited := time.monotonic() - started) < seconds:
            if any(agent in ("", training[0]) for training in self.trainings() - known):
                return waited
            if self.ended():
                return None
            time.sleep(0.05)
        return None

    def wait_for_end(self, seconds: float) -> None:
        try:
            self.head.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise SwarmError(f"the swarm did not end within {seconds:.0f} s: {self.output[-500:]}") from error

    def descendants(self) -> list[psutil.Process]:
        """Every process that descends from the head now, whatever became of its environment."""
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.head.pid).children(recursive=True)
        return []

    def remains(self, seconds: float, known: Sequence[psutil.Process] = ()) -> tuple[list[psutil.Process], float]:
        """The processes that are left of it after its end, with those `known` before, once they had some seconds to
        go; and for how long some were left."""
        started = time.monotonic()
        while left := [*{*self.processes(), *filter(_lives, known)}]:
            if time.monotonic() > started + seconds:
                break
            time.sleep(0.1)
        return left, time.monotonic() - started

    def end(self) -> None:
        """Ends whatever is left of it, what is only being started included."""
        if self._head is not None:
            self._head.kill()
            self._head.wait()
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(0.2)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _of(folder: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if folder in " ".join((*process.cmdline(), *process.environ().values())):
                yield process
