"""An ablation in nouns: the steps of a line, the codes that leave some of them out, what is asked for and what comes of
it. swarm/judge/elimination.py decides.

Values are sign-normalised: lower is better, and gains are positive.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from msgspec import Struct, field

from swarm.judge.effects import Seen

WORTH = 0.35  # sigmas of gain to expect, under which a step is not worth its lines
LOSS = 0.5  # sigmas that the code without its weak steps may be expected to lose on fresh runs, as simpler code may
RUNS, FRESH = 2, 4  # of each code that leaves something out; of the minimal and of the full one that verify
FULL = 4  # runs of the full code where nothing before tells its level

Steps = frozenset[str]
NOTHING: Steps = frozenset()


class LineStep(Struct, frozen=True):
    """One step of the line, and its gain as it was seen when it was put on, in sigmas."""

    name: str
    seen: Seen | None = None


class Checks(Enum):
    """Whether the project's own checks were run on a code. One that fails them may not run: that is its fault."""

    NOT_RUN = auto()
    RUNNING = auto()
    PASSED = auto()


class Left(Struct, frozen=True):
    """One code that was made: the full one without `wanted`. `steps` is all that it leaves out: what conflicts with a
    step that goes, goes with it. Seeds are numbers from 0 on, the same for all codes."""

    wanted: Steps
    steps: Steps
    values: Mapping[int, float] = field(default_factory=dict)  # by seed
    begun: frozenset[int] = frozenset()  # seeds that run or have run
    fault: bool = False  # it may not run, or does not: what it leaves out is needed
    verifies: bool = False  # made to be run on fresh seeds, and for nothing before
    checks: Checks = Checks.NOT_RUN
    same: bool = False  # it is the full code to the last byte: nothing is left of what it leaves out


class Make(Struct, frozen=True):
    """Asks for the full code without these steps."""

    wanted: Steps
    verifies: bool = False


class Again(Struct, frozen=True):
    """Asks for a run, on the seed of that number, of the code that leaves out `steps`; () is the full one."""

    steps: Steps
    seed: int


class Check(Struct, frozen=True):
    """Asks for the project's own checks on the code that leaves out `steps`."""

    steps: Steps


class Wait(Struct, frozen=True):
    """Runs are under way that decide what is asked for next."""


class StepResult(Struct, frozen=True):
    """What became of a step: its gain in the stack in the metric's units, as the runs with and without it measured it,
    with its 95% interval. Steps of `together` could only be left out with it. Without runs (`runs` 0) the gain is what
    is expected since it was put on, and there is no interval; None: unknown."""

    name: str
    dropped: bool
    runs: int
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    together: tuple[str, ...] = ()


class Verified(Struct, frozen=True):
    """The code without `steps` beside the full one on `pairs` fresh seeds: what it loses, in the metric's units."""

    steps: Steps
    loss: float
    low: float
    high: float
    pairs: int
    holds: bool


class Done(Struct, frozen=True):
    """The table, and what is left out of the minimal code: nothing where no step is weak. `verified` is None where
    there was no room for fresh runs."""

    results: tuple[StepResult, ...]
    steps: Steps
    verified: Verified | None


Next = Make | Again | Check | Wait | Done
