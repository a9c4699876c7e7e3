"""What the control groups around this process let it use: CPU cores and memory, in versions 1 and 2. Stdlib only.

A container, a systemd unit or a batch job sets its bounds there. A group's own bound may be wider than that of a group
around it, so that every group on the way up is read, and the tightest counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC = Path("/proc")
_UNBOUNDED = 2**60  # bytes: version 1 writes a number near the largest one where nothing is bound


def cores() -> float | None:
    """CPU cores that the quotas leave, such as 1.5; None where there is no quota."""
    quotas = [*map(_quota, _groups("")), *map(_old_quota, _groups("cpu"))]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_mb() -> float | None:
    """MB of memory that the tightest limit leaves; None where there is none."""
    files = [group / name for group in _groups("") for name in ("memory.max", "memory.high")]
    files += [group / "memory.limit_in_bytes" for group in _groups("memory")]
    limits = [int(words[0]) for words in map(_words, files) if words and words[0].isdecimal()]
    return min((limit / 2**20 for limit in limits if 0 < limit < _UNBOUNDED), default=None)


def memory_left_mb() -> float:
    """MB of memory that the limits leave beside what is used now, without caches; infinite where there is none."""
    groups = [(group, "memory.max", "memory.current", "inactive_file") for group in _groups("")]
    groups += [
        (group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file") for group in _groups("memory")
    ]
    return min((_left(*files) for files in groups), default=float("inf"))


def _left(group: Path, most: str, used: str, cache: str) -> float:
    limit, usage = _words(group / most), _words(group / used)
    if not (limit and usage and limit[0].isdecimal() and usage[0].isdecimal() and int(limit[0]) < _UNBOUNDED):
        return float("inf")
    stat = dict(line.split()[:2] for line in _lines(group / "memory.stat") if len(line.split()) > 1)
    return (int(limit[0]) - int(usage[0]) + int(stat.get(cache, "0"))) / 2**20


def own_group(controller: str) -> Path | None:
    """The folder of this process's own group; of version 2 where the `controller` is ""."""
    return next((group for group in _groups(controller) if group.is_dir()), None)


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's group and of those around it, as far as they can be seen from here; of version 2
    where the `controller` is ""."""
    for line in _lines(PROC / "self/cgroup"):
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if controller not in names.split(","):
            continue
        for top, point in _mounts(controller):
            # In a container the group is often named from outside, and its mount shows it as the top.
            inside = PurePosixPath(path)
            relative = inside.relative_to(top) if inside.is_relative_to(top) else PurePosixPath()
            if ".." in relative.parts:
                relative = PurePosixPath()
            yield from (point / part for part in (relative, *relative.parents))


def _mounts(controller: str) -> Iterator[tuple[str, Path]]:
    """Which part of the hierarchy is mounted where."""
    for line in _lines(PROC / "self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == ("cgroup" if controller else "cgroup2") and (not controller or controller in kind[2].split(",")):
            yield fields[3], Path(fields[4])


def _quota(group: Path) -> float | None:
    """The quota of a group of version 2: "max 100000", or microseconds in each period."""
    words = _words(group / "cpu.max")
    return _share(*words) if len(words) == 2 else None


def _old_quota(group: Path) -> float | None:
    quota, period = _words(group / "cpu.cfs_quota_us"), _words(group / "cpu.cfs_period_us")
    return _share(quota[0], period[0]) if quota and period else None


def _share(quota: str, period: str) -> float | None:
    if (
        not (quota.isdecimal() and period.isdecimal()) or not int(quota) or not int(period)
    ):  # -1 and "max" bound nothing
        return None
    return int(quota) / int(period)


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace").splitlines()
    return []
