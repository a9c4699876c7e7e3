"""What a container, a unit or a job may use, read from the files that the kernel shows there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import UsageError
from swarm.execution.machine import cgroup, gpu
from swarm.launch.slots import local_slots_on
from swarm.project.settings import Config


def kernel(folder: Path, groups: str, mounts: Mapping[str, tuple[str, str]], files: Mapping[str, str]) -> None:
    """What the kernel shows: the `groups` of this process, its `mounts` (part of the hierarchy, and kind) by folder."""
    (folder / "self").mkdir(parents=True, exist_ok=True)
    (folder / "self" / "cgroup").write_text(groups)
    lines = [
        f"31 23 0:28 {top} {folder / point} rw,relatime shared:9 - {kind}" for point, (top, kind) in mounts.items()
    ]
    (folder / "self" / "mountinfo").write_text("\n".join(["22 1 8:1 / / rw - ext4 /dev/sda rw", *lines, ""]))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


V2 = "cgroup2 cgroup2 rw"


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "cores", "memory"),
    [
        ("0::/\n", {"fs": ("/", V2)}, {"fs/cpu.max": "max 100000\n", "fs/memory.max": "max\n"}, None, None),
        ("0::/\n", {"fs": ("/", V2)}, {"fs/cpu.max": "150000 100000", "fs/memory.max": "2147483648"}, 1.5, 2048.0),
        (  # a unit within a slice: the tightest of all around it
            "0::/user.slice/job.scope\n",
            {"fs": ("/", V2)},
            {
                "fs/cpu.max": "max 100000", "fs/user.slice/cpu.max": "300000 100000",
                "fs/user.slice/job.scope/cpu.max": "400000 100000", "fs/user.slice/memory.max": "1073741824",
                "fs/user.slice/job.scope/memory.max": "max", "fs/user.slice/job.scope/memory.high": "536870912",
            },
            3.0,
            512.0,
        ),
        (  # a container that sees only its own part, though the group is named from outside
            "0::/../../kubepods/pod1/c1\n",
            {"fs": ("/kubepods/pod1/c1", V2)},
            {"fs/cpu.max": "50000 100000", "fs/memory.max": "104857600"},
            0.5,
            100.0,
        ),
        (  # version 1, two controllers in one mount, as Docker has it
            "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
            {
                "cpu": ("/docker/abc", "cgroup cgroup rw,cpu,cpuacct"),
                "memory": ("/docker/abc", "cgroup cgroup rw,memory"),
            },
            {
                "cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "3221225472",
            },
            2.0,
            3072.0,
        ),
        (  # version 1, nested, and unbound as it writes that
            "4:memory:/a/b\n3:cpu:/a/b\n",
            {"cpu": ("/", "cgroup cgroup rw,cpu"), "memory": ("/", "cgroup cgroup rw,memory")},
            {
                "cpu/a/b/cpu.cfs_quota_us": "-1", "cpu/a/b/cpu.cfs_period_us": "100000",
                "cpu/a/cpu.cfs_quota_us": "700000", "cpu/a/cpu.cfs_period_us": "100000",
                "memory/a/b/memory.limit_in_bytes": "9223372036854771712",
                "memory/a/memory.limit_in_bytes": "1048576000",
            },
            7.0,
            1000.0,
        ),
    ],
)  # fmt: skip
def test_the_tightest_bound_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: str,
    mounts: Mapping[str, tuple[str, str]],
    files: Mapping[str, str],
    cores: float | None,
    memory: float | None,
) -> None:
    kernel(tmp_path, groups, mounts, files)
    monkeypatch.setattr(cgroup, "PROC", tmp_path)
    assert (cgroup.cores(), cgroup.memory_mb()) == (cores, memory)


def test_a_quota_bounds_the_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(tmp_path, "0::/\n", {"fs": ("/", V2)}, {"fs/cpu.max": "150000 100000", "fs/memory.max": "9663676416"})
    monkeypatch.setattr(cgroup, "PROC", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert len(local_slots_on(Config(), "cpu").slots) == 1
    with pytest.raises(UsageError, match=r"--agents 2: .*1 core by its CPU quota of 1\.5"):
        local_slots_on(Config(agents=2), "cpu")
    kernel(tmp_path, "0::/\n", {"fs": ("/", V2)}, {"fs/cpu.max": "4000000 100000", "fs/memory.max": "4294967296"})
    assert len(local_slots_on(Config(), "cpu").slots) == 3, "40 cores, and memory for three"
    assert len(local_slots_on(Config(agents=20), "cpu").slots) == 20, "who asks for more gets more"
    assert gpu.memory_for(20) == pytest.approx(0.9 * 4096)


@given(st.text(), st.text(), st.text())
def test_whatever_the_kernel_writes_is_no_error(tmp_path_factory, groups: str, mounts: str, bound: str) -> None:
    folder = tmp_path_factory.mktemp("kernel")
    kernel(folder, "0::/\n" + groups, {"fs": ("/", V2)}, {"fs/cpu.max": bound, "fs/memory.max": bound})
    with (folder / "self" / "mountinfo").open("a") as stream:
        stream.write(mounts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cgroup, "PROC", folder)
        cgroup.cores()
        cgroup.memory_mb()
