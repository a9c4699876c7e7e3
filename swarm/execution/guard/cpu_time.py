"""The CPU time of one step: by its control group, or else by what is seen of its processes. Stdlib only, for the guard.

Without a group three things are known. The kernel adds a process to its parent's count when the parent waits for it,
and orphans are waited for by the root of the tree; a process whose parent ignores its end is added to nobody's. What a
process has used while it lives can be read, so the most that was seen of each one is a count as well, which lacks what
was too short to be seen. Both say too little, never too much: the larger one counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from swarm.execution.machine.cpu_group import CpuGroup
from swarm.execution.machine.process_table import Process
from swarm.execution.machine.process_tree import ProcessTree

BY_GROUP, BY_TREE = "control group", "process tree"  # how it is counted


class CpuTime:
    """Counts from now on; `seconds` never goes back."""

    def __init__(self, tree: ProcessTree, group: CpuGroup | None) -> None:
        self._tree, self._group = tree, group
        self._waited_before = tree.cpu_seconds(tree.living())
        self._group_before = group.seconds() if group else 0.0
        self._most: dict[tuple[int, str], float] = {}  # seen of each process, by pid and birth
        self._seen = 0.0  # their sum
        self.seconds = 0.0

    @property
    def method(self) -> str:
        return BY_GROUP if self._group else BY_TREE

    def read(self) -> float:
        """The newest count, by the cheapest way to it: fit for many readings a second."""
        return self._grow(self._in_group()) if self._group else self.add(self._tree.living(quick=True))

    def add(self, living: Mapping[int, Process]) -> float:
        """The newest count, where the living processes of the tree are known already."""
        for process in living.values():
            key = process.pid, process.birth
            more = process.own_seconds - self._most.get(key, 0.0)
            if more > 0:
                self._most[key] = process.own_seconds
                self._seen += more
        waited = self._tree.cpu_seconds(living) - self._waited_before
        return self._grow(max(self._in_group(), waited, self._seen))

    def _in_group(self) -> float:
        return self._group.seconds() - self._group_before if self._group else 0.0

    def _grow(self, seconds: float) -> float:
        self.seconds = max(self.seconds, seconds)
        return self.seconds
