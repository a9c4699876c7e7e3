"""The files that an agent and its guard exchange: what to run, the guard's state, the result. Stdlib only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from swarm import foreign

SPEC, STATE, RESULT, GUARD_ERRORS = "guard.json", "state.json", "result.json", "guard.err"
ROOM = "room"  # a file of the guard's, which takes up space for its result
HEARTBEAT, REFEREE, MODEL = "heartbeat.jsonl", "referee.json", "model.pt"  # what the steps leave in the run folder
MEASURES = "referee"  # the step that writes REFEREE
HIDDEN, SECOND = "referee-test.json", "hidden"  # the same for the hidden split, and the step that writes it
ANSWERS = "answers"  # in a guard's folder: what its steps answered, under the same names
GUARDS, RUNS = "guards", "runs"  # in an agent's folder: a folder per attempt, of the same name in both
GUARD_FOLDER = "SWARM_GUARD"  # variable in a guard's environment: its folder, by which its processes are found
HEAD = "SWARM_HEAD"  # variable in the environment of all that starts under a head: they end with it (reaper.py)
STOP = b"stop\n"  # the one command that a guard takes on stdin
GO = b"go\n"  # what it writes to the stdin of a step that was started early
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError)  # missing, or not what was
# written: a disk may spoil a file, and without a sandbox a run may


def mark_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variable by which all that starts under this process's head is found, where there is a head."""
    return {HEAD: environment[HEAD]} if HEAD in environment else {}


class UnreadableSpec(Exception):
    """A guard's spec cannot be read, so that it is unknown what ran there."""


class EndedBy(StrEnum):
    """Why the guard ended a step, or the whole run, before it ended by itself."""

    STOP = "stop"  # the agent asked for it
    AGENT = "agent"  # the agent is gone
    DEADLINE = "deadline"
    CPU = "cpu"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"  # the step wrote more than it may
    FILES = "files"  # it made more files and folders than it may
    DEPTH = "depth"  # it made folders too deep in each other
    FILLED = "filled"  # the disk has no space left, and the step filled it
    FULL = "full"  # the same, whoever filled it
    STALL = "stall"  # no heartbeat any more


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a run. Limits, None for none, are in seconds: `wall` since its start, `cpu` over its whole tree,
    `silence` since its `heartbeat` file last changed (counted from the file's first appearance); and, over its whole
    tree, `memory` that belongs to it alone and `disk` that it wrote into `folders`, in MB, `entries`, files and folders
    that it made there, and `processes`."""

    name: str
    argv: list[str]
    cwd: str
    env: Mapping[str, str]
    log: str
    wall: float
    cpu: float | None = None
    silence: float | None = None
    heartbeat: str | None = None
    beats: str = ""  # where the guard keeps what was written there, line by line as it came; "" where it does not
    memory: float | None = None
    hard: bool = False  # the memory limit also holds for each process alone, by the kernel (not with a GPU's driver)
    gpu: str | None = None  # uuid of the GPU whose memory it takes
    disk: float | None = None
    entries: int | None = None
    processes: int | None = None
    folders: list[str] = field(default_factory=list)
    clears: list[str] = field(default_factory=list)  # files removed before it starts: only this step may make them
    answer: str = ""  # where what it answers is kept (answers.py); "" where it answers nothing
    cores: list[int] = field(default_factory=list)  # it may run on these; on all where empty
    nice: int = 0
    compiles: str | None = None  # the folder in which it keeps compiled code, where that shows how long a start takes
    group: bool = False  # its CPU time is counted by a control group of its own, where one can be had
    early: bool = False  # started with the first step, to be warm when the line "go" on stdin says that it is its turn


@dataclass(frozen=True, slots=True)
class Spec:
    """What one guard runs. `fixed` maps files below `root` to the sha256 that they must still have after each step.

    The guard's own files are in a folder of their own, out of the way of programs that write to their run folder.
    """

    run: str
    attempt: int
    steps: list[Step]
    run_folder: str
    root: str
    fixed: Mapping[str, str] = field(default_factory=dict)
    lock: str | None = None
    lock_wait: float = 60.0
    grace: float = 2.0  # seconds between SIGTERM and SIGKILL
    budget: float | None = None  # seconds that the first step may train, from its first heartbeat on
    start: float = 0.0  # and that it may take until then; both CPU-seconds where the step has a limit of those
    cold: float | None = None  # and that where code was compiled meanwhile; as any other start where None
    free: float | None = None  # what of its start is not counted as training; all of it where None
    slack: float = 3.0  # and beyond the budget, as saving the model takes time
    end: float | None = None  # what the untouched code takes for that, where CPU-seconds are counted
    device: str = "cpu"
    reading: Mapping[str, Any] | None = None  # what the untouched code took in the referee (reading_check.py)
    counted: bool = False  # whether a fixed harness counts the steps of the untouched code, and so of every edit
    sandboxed: bool = False  # whether edited code runs in a sandbox
    result_before: str = ""  # the stamp of the file that the run is to write its numbers to, before it begins
    links: Mapping[str, str] = field(default_factory=dict)  # below `root`, with what they must still lead to after it
    bounds: Mapping[str, Any] = field(default_factory=dict)  # what is closed to edited code (closed.py)
    checks: bool = False  # whether its steps are the project's checks, which give no number

    def write(self, folder: Path) -> None:
        write_whole(folder / SPEC, asdict(self))

    def answer(self, step: str) -> Path:
        """The file with what the step of this name answered; one that is none where it answers nothing."""
        return Path(next((one.answer for one in self.steps if one.name == step), ""))

    @staticmethod
    def read(folder: Path) -> Spec:
        """The spec in a guard's folder; UnreadableSpec where there is none that can be read."""
        try:
            raw = _object(folder / SPEC)
            spec = Spec(**{**raw, "steps": [Step(**step) for step in raw["steps"]]})
            times = [spec.grace, spec.lock_wait, *(step.wall for step in spec.steps)]
            if not (isinstance(spec.run, str) and isinstance(spec.attempt, int) and spec.steps):
                raise ValueError("it names no run")
            if not all(map(_is_time, times)):
                raise ValueError("it has no times")
            return spec
        except UNREADABLE as error:
            raise UnreadableSpec(f"{folder / SPEC} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended. Exactly one of `exit`, `signal` and `error` (it never started) is set."""

    name: str
    argv0: str
    started: float  # unix seconds
    seconds: float = 0.0
    exit: int | None = None
    signal: int | None = None
    error: str | None = None
    ended_by: EndedBy | None = None  # where the guard ended it
    cpu_seconds: float = 0.0
    max_rss_mb: float = 0.0
    memory_mb: float = 0.0  # of what counts for the limit of its memory, the most at any moment
    peak_mb: float | None = None  # of all memory of its tree, measured from outside; None where nothing could
    gpu_peak_mb: float | None = None  # the same of its GPU's memory
    written_mb: float = 0.0  # on disks, the most at any moment
    memory_killed: bool = False  # the kernel ended a process of this machine for memory meanwhile
    log_broken: str | None = None
    start: float | None = None  # wall and CPU-seconds until its first heartbeat; None where it gave none
    start_cpu: float | None = None
    last: float | None = None  # and until its last one
    last_cpu: float | None = None
    compiled: bool = False  # something was added to its step's `compiles` until the first heartbeat
    rewritten: bool = False  # its heartbeats were: what it had written there was changed, or taken back
    counted_by: str = ""  # what its CPU time was counted by (cpu_time.py)
    idle: float = 0.0  # seconds at its end in which its tree used next to no CPU time
    stood_still: float = 0.0  # seconds in which the whole machine did: asleep, frozen, or far too busy to wake anybody

    @property
    def succeeded(self) -> bool:
        return self.exit == 0 and self.ended_by is None


@dataclass(frozen=True, slots=True)
class Result:
    """How a guard's run ended. `error` says why steps are missing; the processes `survivors` could not be killed."""

    run: str
    attempt: int
    steps: tuple[StepResult, ...] = ()
    changed: tuple[str, ...] = ()  # fixed files that no longer were what they should be
    error: str | None = None
    ended_by: EndedBy | None = None
    survivors: tuple[int, ...] = ()

    @staticmethod
    def read(folder: Path) -> Result | None:
        """The result in a guard's folder; None while there is none that can be read."""
        try:
            raw = _object(folder / RESULT)
            steps = tuple(StepResult(**step | _ended_by(step)) for step in raw["steps"])
            if not all(_is_time(value) for step in steps for value in _times(step)):
                raise ValueError("no time")
            lists = {"changed": tuple(map(str, raw["changed"])), "survivors": tuple(map(int, raw["survivors"]))}
            return Result(**{**raw, **_ended_by(raw), **lists, "steps": steps})
        except UNREADABLE:
            return None


@dataclass(frozen=True, slots=True)
class State:
    """What a guard is doing: enough to show its phase, and for a later cleanup to find it and its tree."""

    host: str
    pid: int
    birth: str | None
    step: str | None = None
    step_pid: int | None = None
    step_birth: str | None = None

    @staticmethod
    def read(folder: Path) -> State | None:
        """The newest state in a guard's folder; None before the guard began, and where it cannot be read."""
        try:
            state = State(**_object(folder / STATE))
        except UNREADABLE:
            return None
        pids = (state.pid, state.step_pid or 2)
        return state if all(isinstance(pid, int) and 1 < pid < 2**31 for pid in pids) else None


def _object(path: Path) -> dict[str, Any]:
    raw = foreign.parse(path.read_bytes())
    if not isinstance(raw, dict):
        raise ValueError("no object")
    return raw


def _times(step: StepResult) -> tuple[object, ...]:
    return step.started, step.seconds, step.cpu_seconds, step.max_rss_mb, step.idle, step.stood_still


def _is_time(value: object) -> bool:
    return foreign.finite(value, 0) is not None


def _ended_by(raw: Mapping[str, Any]) -> dict[str, EndedBy | None]:
    return {"ended_by": EndedBy(raw["ended_by"]) if raw["ended_by"] else None}


def write_whole(path: Path, value: object) -> None:
    """Writes a file of JSON atomically and durably: it is complete or not there, also after a power cut. Only its user
    may read it, as a run's variables may be keys."""
    draft = path.with_name(path.name + ".part")
    with open(draft, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        json.dump(value, stream)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
