"""A control group of its own for a program, by which the kernel counts its CPU time: also that of processes that have
ended, whoever waited for them or nobody did. Linux, versions 1 and 2, where the groups around are ours. Stdlib only.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swarm.execution.machine import cgroup

NAME = "swarm-"  # and the pid of the process that made it, by which one that was left behind is found
_MEMBERS = "cgroup.procs"
_PATIENCE = 10.0  # seconds in which a group of processes that have just ended becomes empty


@dataclass(frozen=True, slots=True)
class CpuGroup:
    """One control group. Nothing is in it until a process enters; all that this process starts then stays in it."""

    folder: Path
    version: int

    @staticmethod
    def make(nice: int = 0) -> CpuGroup | None:
        """A new group below that of this process; None where there is none to be had. What is in it is to be as `nice`
        as a single process would be: among groups that share the CPU by weight, its own niceness says nothing."""
        for version, controller in ((2, ""), (1, "cpuacct")):
            around = cgroup.own_group(controller)
            if around is None:
                continue
            _remove_left_behind(around)
            with contextlib.suppress(OSError):
                group = CpuGroup(around / f"{NAME}{os.getpid()}-{time.monotonic_ns()}", version)
                group.folder.mkdir()
                if group._can_be_entered():
                    group._weigh(nice)
                    return group
                group.folder.rmdir()
        return None

    def enter(self) -> None:
        """Puts the calling process into the group. OSError where the kernel refuses."""
        (self.folder / _MEMBERS).write_text("0")

    def seconds(self) -> float:
        """CPU time of everything that has ever been in the group; 0 where it cannot be read."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            if self.version == 1:
                return int((self.folder / "cpuacct.usage").read_text()) / 1e9
            words = (self.folder / "cpu.stat").read_text().split()
            return int(words[words.index("usage_usec") + 1]) / 1e6
        return 0.0

    def remove(self, wait: Callable[[float], None] = time.sleep) -> None:
        """Removes the group once all in it have ended; one that is still in use is left to whoever makes the next."""
        deadline = time.monotonic() + _PATIENCE
        while self.folder.exists():
            try:
                self.folder.rmdir()
            except OSError:
                if time.monotonic() >= deadline:
                    return
                wait(0.02)

    def _weigh(self, nice: int) -> None:
        weight = ("cpu.shares", round(1024 / 1.25**nice)) if self.version == 1 else ("cpu.weight.nice", nice)
        with contextlib.suppress(OSError):  # where there is no such file, groups share nothing by weight
            if (self.folder / weight[0]).exists():
                (self.folder / weight[0]).write_text(str(weight[1]))

    def _can_be_entered(self) -> bool:
        """Whether a process can enter and its time is counted: some groups only look as if they were ours."""
        enters = ["/bin/sh", "-c", 'echo 0 > "$0"', str(self.folder / _MEMBERS)]
        entered = subprocess.run(enters, capture_output=True, check=False).returncode == 0
        return entered and self.seconds() > 0


@functools.cache
def is_available() -> bool:
    """Whether programs can be given groups here. Makes one and removes it."""
    group = CpuGroup.make()
    if group:
        group.remove()
    return group is not None


def _remove_left_behind(around: Path) -> None:
    """Removes groups whose maker was killed, as far as nothing is in them any more."""
    with contextlib.suppress(OSError):
        for folder in around.glob(NAME + "*-*"):
            maker = folder.name.removeprefix(NAME).partition("-")[0]
            if maker.isdecimal() and not Path("/proc", maker).exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
