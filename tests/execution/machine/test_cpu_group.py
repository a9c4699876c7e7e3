"""Control groups of our own: real ones, where this machine has them to give."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.execution.machine import cgroup, cpu_group
from swarm.execution.machine.cpu_group import CpuGroup

needed = pytest.mark.skipif(not cpu_group.is_available(), reason="no control group of our own can be made here")
ABANDONS = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(10):
    if not os.fork():
        while time.process_time() < 0.05:
            pass
        os._exit(0)
"""


@needed
def test_what_nobody_waits_for_is_counted_until_the_group_goes() -> None:
    group = CpuGroup.make()
    assert group
    before = group.seconds()
    subprocess.run([sys.executable, "-S", "-c", ABANDONS], preexec_fn=group.enter)
    while (group.folder / "cgroup.procs").read_text():  # the helpers live on for a moment
        os.sched_yield()
    assert 0.5 <= group.seconds() - before < 2
    group.remove()
    assert not group.folder.exists()


@needed
def test_what_a_killed_guard_left_behind_goes_with_the_next_one() -> None:
    script = "import os\nfrom swarm.execution.machine.cpu_group import CpuGroup\n"
    script += "print(CpuGroup.make().folder, flush=True)\nos.kill(os.getpid(), 9)"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    folder = Path(made.stdout.strip())
    assert folder.is_dir()
    group = CpuGroup.make()
    assert group and not folder.exists()
    other = CpuGroup.make()
    assert other and group.folder.is_dir(), "what is somebody's stays"
    group.remove()
    other.remove()


def test_a_folder_that_only_looks_like_a_group_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "own_group", lambda controller: tmp_path)
    assert CpuGroup.make() is None


def test_where_no_group_may_be_made_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for around in (Path("/proc"), Path("/nowhere"), None):
        monkeypatch.setattr(cgroup, "own_group", lambda controller, around=around: around)
        assert CpuGroup.make() is None
