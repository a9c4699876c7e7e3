"""A chaos drill: injects faults into a swarm, waits after each until it trains again, and checks the invariants."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from swarm.errors import SwarmError
from swarm.lab.chaos.faults import FAULTS
from swarm.lab.chaos.invariants import Broken, check, given_up
from swarm.lab.chaos.target import TAG, TargetSwarm
from swarm.ledger import audit, experiments
from swarm.ledger.database import Ledger
from swarm.ledger.rows import ExperimentState
from swarm.ledger.transaction import of_swarm

BEGUN = (ExperimentState.DRAFTED, ExperimentState.TESTING, ExperimentState.JUDGED)
RECOVERY = 900.0  # seconds in which a swarm must train again after a fault, on a busy machine too
END = 1800.0  # seconds in which the last experiments must come to their end
SHUTDOWN = 30.0  # seconds after an end in which every process must be gone
NOTHING_LEFT = 4  # the exit code of a head that finds a limit reached
ORPHANED = 10.0  # seconds after a kill of the head in which every process must be gone, though nobody resumes it


@dataclass
class Drill:
    """One drill and its results so far; `say` prints a line per fault."""

    target: TargetSwarm
    say: Callable[[str], None]
    survived: int = 0
    agent_recovery: list[float] = field(default_factory=list)
    head_recovery: list[float] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)  # processes and folders that a killed head left
    gone_after: float | None = None  # seconds until a killed head's last process was gone
    unplanned: list[str] = field(default_factory=list)  # exits of the head that no fault explains

    def begin(self) -> None:
        self.target.launch()
        if self.target.trains_anew(RECOVERY) is None:
            raise SwarmError(f"the swarm did not start to train: {self.target.output[-1000:]}")

    def inject(self, name: str, chance: random.Random) -> bool:
        """Injects one fault and waits for the recovery; False where the fault was not possible just now."""
        if not FAULTS[name][1](self.target, chance):
            return False
        if name == "head killed":
            self.target.head.wait()
            recovery = self._resume()
            self.head_recovery += [recovery] if recovery is not None else []
        else:
            recovery = self.target.trains_anew(RECOVERY, self._agent_hit(name))
        if recovery is None and self.target.ended():
            self.unplanned.append(f"{name}: {self.target.output[-2000:]}")
            self._resume()
        self.survived += recovery is not None
        if name == "agent killed" and recovery is not None:
            self.agent_recovery.append(recovery)
        self.say(f"{name:24}" + (f"trains again after {recovery:.1f} s" if recovery is not None else "NOT SURVIVED"))
        return True

    def finish(self) -> None:
        """Drains, then resumes with a limit that allows nothing new, so that every experiment gets its verdict."""
        (self.target.orders / "clock").unlink(missing_ok=True)
        if not self.target.ended():
            (self.target.folder / "stop").write_text("drain")
            self.target.wait_for_end(END)
        with contextlib.closing(Ledger(self.target.ledger)) as ledger:
            begun = experiments.begun(of_swarm(ledger, TAG), *BEGUN)
        self.target.launch("--resume", "--max-experiments", str(max(1, begun)))
        self.target.wait_for_end(END)
        if self.target.head.returncode not in (0, NOTHING_LEFT):
            raise SwarmError(f"the last head ended with {self.target.head.returncode}: {self.target.output[-1000:]}")

    def abandon(self) -> None:
        """The last fault: the head of a swarm that trains is killed, and nobody starts another one."""
        others = self._ray_folders()
        self.target.launch("--resume", "--max-experiments", "1000000")
        if self.target.trains_anew(RECOVERY) is None:
            raise SwarmError(f"the swarm did not start to train again: {self.target.output[-1000:]}")
        known = self.target.descendants()
        self.target.head.kill()
        self.target.head.wait()
        left, self.gone_after = self.target.remains(ORPHANED, known)
        if all("swarm.coordinator.reaper" in _named(process) for process in left):  # the last of all, once it is done
            left, more = self.target.remains(SHUTDOWN, left)
            self.gone_after += more
        sessions = {path for path in self._ray_folders() - others if path.name.endswith(f"_{self.target.head.pid}")}
        self.orphans = [_named(process) for process in left] + sorted(map(str, sessions))
        self.say(f"{'head killed, for good':24}{len(self.orphans)} left after {self.gone_after:.1f} s")

    @staticmethod
    def _ray_folders() -> set[Path]:
        return set((Path(tempfile.gettempdir()) / "ray").glob("session_*"))

    def _agent_hit(self, name: str) -> str:
        """The agent that must train again; "" (any) where the fault was not one agent's."""
        return self.target.last if name == "agent killed" else ""

    def _resume(self) -> float | None:
        self.target.launch("--resume")
        return self.target.trains_anew(RECOVERY)


def drill(faults: int, seed: int, agents: int, say: Callable[[str], None]) -> dict[str, Any]:
    """One flat object. `faults` that were done and `survived` of them, then what went wrong (all 0 if nothing did):
    `lost`, `counted_twice`, `stuck_claims`, `duplicates_run`, `refs_wrong`, `processes_left`; `given_up`, which is
    allowed: experiments of which the same run was lost so often that the swarm gave them up; and the longest seconds
    until a killed agent's GPU, or a killed and resumed swarm, trained again. The last fault, which is none of `faults`,
    is a kill of the head that nobody resumes: `orphans` are the processes and Ray's folders that are left of it after
    ten seconds, `orphans_gone_s` how long the processes took.

    Everything happens in a temporary folder, which is kept where something was wrong.
    """
    folder = Path(tempfile.mkdtemp(prefix="swarm-chaos-"))
    chaos = Drill(TargetSwarm(folder, agents), say)
    chance = random.Random(seed)
    try:
        chaos.begin()
        done = 0
        while done < faults:
            [name] = chance.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])
            done += chaos.inject(name, chance)
        chaos.finish()
        left, _ = chaos.target.remains(SHUTDOWN)
        broken = check(chaos.target.root, TAG)
        chaos.abandon()
        result = _result(chaos, done, broken, [_named(process) for process in left])
    finally:
        chaos.target.end()
    if not sound(result):
        say(f"what is left of it is in {folder}")
    else:
        shutil.rmtree(folder)
    return result


def sound(result: dict[str, Any]) -> bool:
    """Whether nothing was lost, and the swarm survived every fault."""
    zero = ("lost", "counted_twice", "stuck_claims", "duplicates_run", "refs_wrong", "processes_left", "orphans")
    return result["survived"] == result["faults"] and not any(result[name] for name in zero)


def _named(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:160]}"
    return str(process.pid)


def _result(chaos: Drill, done: int, broken: Broken, left: list[str]) -> dict[str, Any]:
    found = {name: getattr(broken, name) for name in Broken.__dataclass_fields__}
    found |= {"processes_left": left, "orphans": chaos.orphans}
    for name, what in found.items():
        if what:
            chaos.say(f"{name}: {', '.join(what[:5])}")
    for end in chaos.unplanned:
        chaos.say(f"the head ended by itself after {end}")
    with contextlib.closing(Ledger(chaos.target.ledger)) as ledger:
        tested, runs = audit.count_tested(ledger)
    return {
        "faults": done,
        "survived": chaos.survived,
        "experiments": tested,
        "runs": runs,
        **{name: len(what) for name, what in found.items()},
        "given_up": given_up(chaos.target.root),
        "agent_recovery_s": round(max(chaos.agent_recovery), 1) if chaos.agent_recovery else None,
        "head_recovery_s": round(max(chaos.head_recovery), 1) if chaos.head_recovery else None,
        "orphans_gone_s": round(chaos.gone_after, 1) if chaos.gone_after is not None else None,
    }
