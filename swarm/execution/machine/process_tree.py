"""The tree of processes below this one: counted, waited for and ended as a whole. Stdlib only."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swarm.execution.machine import process_table

_CHASES = 200  # looks at the children of this process, a tenth of a millisecond each
_UNKILLABLE = 60.0  # seconds after SIGKILL until a process counts as stuck in the kernel


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: its wait status and what it and its own children used."""

    status: int
    usage: resource.struct_rusage


class ProcessTree:
    """All descendants of this process. On Linux none can leave the tree, as orphans become children of its root;
    elsewhere those are recognised that stay in a process group which the tree made."""

    def __init__(self) -> None:
        process_table.become_subreaper()
        self.exits: dict[int, Exit] = {}  # of the children that were waited for, by pid
        self.survivors: tuple[int, ...] = ()  # pids that not even SIGKILL ended
        self._groups: set[int] = set()
        self._excluded: set[int] = set()

    def adopt(self, pid: int) -> None:
        """Counts a child that leads a process group of its own."""
        self._excluded.discard(pid)
        self._groups.add(pid)

    def exclude(self, pid: int) -> None:
        """Leaves a child and all below it out of the tree until it is adopted."""
        self._excluded.add(pid)

    def living(self, quick: bool = False) -> dict[int, process_table.Process]:
        """The living processes of the tree, by pid; `quick` those that are found without a look at all others."""
        if quick:
            return self._without_excluded(process_table.below(os.getpid()))
        processes = process_table.table()
        found = process_table.descendants(processes, os.getpid())
        for process in processes.values():
            if process.group in self._groups:
                found[process.pid] = process
        found = self._without_excluded(found)
        self._groups = {process.group for process in found.values()} - {os.getpgrp()}
        return found

    def _without_excluded(self, found: dict[int, process_table.Process]) -> dict[int, process_table.Process]:
        left_out = {pid for root in self._excluded for pid in (root, *process_table.descendants(found, root))}
        return {pid: process for pid, process in found.items() if pid not in left_out}

    def cpu_seconds(self, living: Mapping[int, process_table.Process]) -> float:
        """CPU time used so far by the children that this process waited for, and by the living."""
        own = os.times()
        return own.children_user + own.children_system + sum(process.cpu_seconds for process in living.values())

    def reap(self) -> int:
        """Waits for every child that has ended, without waiting for one to end; how many had."""
        ended = 0
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    break
                ended += 1
                self.exits[pid] = Exit(status, usage)
                self._excluded.discard(pid)  # its number may be another's soon
        return ended

    def terminate(self, grace: float, wait: Callable[[float], None]) -> None:
        """SIGTERM, SIGKILL after `grace` seconds, until nothing but `survivors` is left. `wait` sleeps a little."""
        started = time.monotonic()
        asked: set[int] = set()
        while not (left := self.living()).keys() <= set(self.survivors) or not self._is_quiet():
            waited = time.monotonic() - started
            if waited >= grace:
                process_table.send(left.values(), signal.SIGKILL)
                self._chase()
            else:
                process_table.send((process for pid, process in left.items() if pid not in asked), signal.SIGTERM)
                asked |= left.keys()
            if waited >= grace + _UNKILLABLE:
                self.survivors = tuple(left.keys() | self._children())
                break
            wait(0.02)
        self.reap()

    def _is_quiet(self) -> bool:
        """Whether no child is left but those that are excluded or survive, and none ended while this was found out.

        A chain of processes, each of which forks the next and goes, can hide from every look at the table: each is gone
        before its line is read, and the next was not there when the lines were listed. On Linux each of them is a child
        of this process for a while, and one that ends has to be waited for here.
        """
        self.reap()
        left = self._children() - {*self.survivors}
        return not self.reap() and not left

    def _children(self) -> set[int]:
        """The children of this process that count, also those that have ended and were not waited for."""
        return {*process_table.children(os.getpid())} - self._excluded

    def _chase(self) -> None:
        """SIGKILL to whatever is a child now, so often and so fast that no chain of processes runs away from it."""
        for _ in range(_CHASES):
            for pid in self._children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if not self.reap():
                return
