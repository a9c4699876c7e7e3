"""The drill: hurt a swarm so many times, see each time whether it trains again, and look at the end what was lost."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm.errors import SwarmError
from swarm.lab.chaos.faults import FAULTS
from swarm.lab.chaos.invariants import Broken, check, given_up
from swarm.lab.chaos.victim import TAG, Victim
from swarm.ledger import audit, experiments
from swarm.ledger.database import Ledger
from swarm.ledger.rows import ExperimentState
from swarm.ledger.transaction import of_swarm

BEGUN = (ExperimentState.DRAFTED, ExperimentState.TESTING, ExperimentState.JUDGED)
PATIENCE = 120.0  # seconds in which a hurt swarm must train again
END = 300.0  # seconds in which the last experiments must come to their end
AFTERWARDS = 30.0  # seconds in which every process must be gone


@dataclass
class Drill:
    """One drill's course so far. `say` is told a line per fault."""

    victim: Victim
    say: Callable[[str], None]
    survived: int = 0
    agent_recovery: list[float] = field(default_factory=list)
    head_recovery: list[float] = field(default_factory=list)
    unplanned: list[str] = field(default_factory=list)  # ends of the head that were nobody's intention

    def begin(self) -> None:
        self.victim.launch()
        if self.victim.trains_anew(PATIENCE) is None:
            raise SwarmError(f"the swarm did not start to train: {self.victim.output[-1000:]}")

    def hurt(self, name: str, chance: random.Random) -> bool:
        """One fault and what follows; False where there was nothing to hurt in this way just now."""
        if not FAULTS[name][1](self.victim, chance):
            return False
        if name == "head killed":
            self.victim.head.wait()
            recovery = self._resume()
            self.head_recovery += [recovery] if recovery is not None else []
        else:
            recovery = self.victim.trains_anew(PATIENCE, self._whose(name))
        if recovery is None and self.victim.ended():
            self.unplanned.append(f"{name}: {self.victim.output[-2000:]}")
            self._resume()
        self.survived += recovery is not None
        if name == "agent killed" and recovery is not None:
            self.agent_recovery.append(recovery)
        self.say(f"{name:24}" + (f"trains again after {recovery:.1f} s" if recovery is not None else "NOT SURVIVED"))
        return True

    def finish(self) -> None:
        """Drains, and lets what was begun come to its verdict: a last head that may start nothing new."""
        (self.victim.orders / "clock").unlink(missing_ok=True)
        if not self.victim.ended():
            (self.victim.folder / "stop").write_text("drain")
            self.victim.wait_for_end(END)
        with contextlib.closing(Ledger(self.victim.ledger)) as ledger:
            begun = experiments.begun(of_swarm(ledger, TAG), *BEGUN)
        self.victim.launch("--resume", "--max-experiments", str(max(1, begun)))
        self.victim.wait_for_end(END)
        if self.victim.head.returncode:
            raise SwarmError(f"the last head ended with {self.victim.head.returncode}: {self.victim.output[-1000:]}")

    def _whose(self, name: str) -> str:
        """The agent of whom a new training must be seen; any where the fault was not one agent's."""
        return self.victim.last if name == "agent killed" else ""

    def _resume(self) -> float | None:
        self.victim.launch("--resume")
        return self.victim.trains_anew(PATIENCE)


def drill(faults: int, seed: int, agents: int, say: Callable[[str], None]) -> dict[str, Any]:
    """One flat object. `faults` that were done and `survived` of them, then what went wrong (all 0 if nothing did):
    `lost`, `counted_twice`, `stuck_claims`, `duplicates_run`, `refs_wrong`, `processes_left`; `given_up`, which is
    allowed: experiments of which the same run was hurt so often that the swarm gave them up; and the longest seconds
    until a killed agent's GPU, or a killed and resumed swarm, trained again.

    Everything happens in a folder of its own, which stays where something was found.
    """
    folder = Path(tempfile.mkdtemp(prefix="swarm-chaos-"))
    course = Drill(Victim(folder, agents), say)
    chance = random.Random(seed)
    try:
        course.begin()
        done = 0
        while done < faults:
            [name] = chance.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])
            done += course.hurt(name, chance)
        course.finish()
        left = course.victim.remains(AFTERWARDS)
        result = _result(course, done, check(course.victim.root, TAG), len(left))
    finally:
        course.victim.end()
    if not sound(result):
        say(f"what is left of it is in {folder}")
    else:
        shutil.rmtree(folder)
    return result


def sound(result: dict[str, Any]) -> bool:
    """Whether nothing was lost, and every fault survived."""
    zero = ("lost", "counted_twice", "stuck_claims", "duplicates_run", "refs_wrong", "processes_left")
    return result["survived"] == result["faults"] and not any(result[name] for name in zero)


def _result(course: Drill, done: int, broken: Broken, left: int) -> dict[str, Any]:
    found = {name: getattr(broken, name) for name in Broken.__dataclass_fields__}
    for name, what in found.items():
        if what:
            course.say(f"{name}: {', '.join(what[:5])}")
    for end in course.unplanned:
        course.say(f"the head ended by itself after {end}")
    with contextlib.closing(Ledger(course.victim.ledger)) as ledger:
        tested, runs = audit.count_tested(ledger)
    return {
        "faults": done,
        "survived": course.survived,
        "experiments": tested,
        "runs": runs,
        **{name: len(what) for name, what in found.items()},
        "processes_left": left,
        "given_up": given_up(course.victim.root),
        "agent_recovery_s": round(max(course.agent_recovery), 1) if course.agent_recovery else None,
        "head_recovery_s": round(max(course.head_recovery), 1) if course.head_recovery else None,
    }
