"""Runs that fill disks and folders: that is their own failure, and the next run in the slot is fine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.execution.guard import disk_monitor
from swarm.execution.guard.disk_monitor import DiskMonitor
from swarm.execution.machine.folder_walk import Usage
from swarm.execution.machine.held_files import HeldFile, HeldFiles
from swarm.execution.machine.removal import ASIDE
from swarm.execution.sandbox import sandbox
from swarm.execution.spec import EndedBy, Step
from swarm.records import Failure
from tests.execution.conftest import WITHOUT_MAIN

TREES = Path(__file__).parents[1].joinpath("trees.py").read_text()
BUILDS = """
import os, pathlib, time, trees
place = {place}
place.mkdir()
trees.TREES[{tree!r}](place)
{then}
"""
FINE = "print('---\\nval_bpb: 1.5')"
IN_THE_COPY = 'pathlib.Path("made")'
IN_THE_RUN_FOLDER = 'pathlib.Path(os.environ["SWARM_RUN_DIR"], "made")'


def trees() -> list[object]:
    """Each tree in each place and each way to go on once; the other pairs are slow."""
    deep, many = "it made folders more than 128 deep in each other", "it made more than 1000 files and folders"
    waits = "time.sleep(600)"
    pairs = {"copy, stays": (IN_THE_COPY, waits), "run, ends": (IN_THE_RUN_FOLDER, FINE)}
    others = {"copy, ends": (IN_THE_COPY, FINE), "run, stays": (IN_THE_RUN_FOLDER, waits)}
    quick = {"deep": pairs, "wide": others, "folders": pairs}
    return [
        pytest.param(
            *(tree, deep if tree == "deep" else many, *where),
            id=f"{tree}, {name}", marks=[] if name in chosen else [pytest.mark.slow],
        )
        for tree, chosen in quick.items()
        for name, where in (pairs | others).items()
    ]  # fmt: skip


@pytest.mark.parametrize(("tree", "reason", "place", "then"), trees())
def test_a_tree_beyond_its_caps_is_the_runs_failure_and_the_slot_goes_on(rig, tree, reason, place, then):
    if then == FINE and place == IN_THE_COPY:
        place = f"{IN_THE_COPY}.absolute()"
    rig.extra = {"trees.py": TREES}
    rig.limits = replace(rig.limits, entries=1000, wall=600.0)
    runner = rig.runner()
    run = rig.run_with(runner, BUILDS.format(place=place, tree=tree, then=then))
    assert (run.failure, run.reason) == (Failure.CODE, reason)
    again = rig.run_with(runner, FINE, attempt=2)
    assert again.metrics and not Path(rig.folder, "run", "made").exists()
    assert [left.attempt for left in rig.runner().leftovers()] == [1, 2]
    for attempt in (1, 2):
        runner.acknowledge(run.run, attempt)
    assert list(Path(rig.folder, "runs").iterdir()) == [] and rig.runner().leftovers() == []


@pytest.mark.parametrize("tree", ["odd", "closed"])
def test_an_odd_tree_is_no_failure_and_gone_before_the_next_run(rig, tree):
    rig.extra = {"trees.py": TREES}
    runner = rig.runner()
    for attempt, place in enumerate((IN_THE_COPY, IN_THE_RUN_FOLDER), 1):
        run = rig.run_with(runner, BUILDS.format(place=place, tree=tree, then=FINE), attempt=attempt)
        assert run.metrics and run.metrics.value == 1.5
        runner.acknowledge(run.run, attempt, keep_model=True)
    assert rig.run_with(runner, FINE, attempt=3).metrics
    assert not Path(rig.folder, "run", "made").exists()
    assert not [path for path in rig.folder.rglob("*") if path.name.startswith(ASIDE)]


@pytest.mark.parametrize(
    "what", ["os.mkfifo('prepare.py')", "os.mkdir('prepare.py')", "os.symlink('/dev/zero', 'prepare.py')"]
)
def test_a_fixed_file_that_became_something_else_is_invalid_at_once(rig, what):
    run = rig.run(f"import os; os.remove('prepare.py'); {what}")
    assert (run.failure, run.reason) == (Failure.INVALID, "changed fixed files: prepare.py") and run.seconds < 100


def test_a_folder_where_the_referee_writes_is_in_nobodys_way(rig, referee):
    rig.referee = referee
    run = rig.run("""
        import os, pathlib
        folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
        (folder / "referee.json" / "deep").mkdir(parents=True)
        (folder / "model.pt").write_text("1.25")
        """)
    assert run.metrics and run.metrics.value == 1.25


def test_what_a_run_leaves_in_the_compilers_folder_counts_and_is_gone_with_the_run(rig):
    if why := sandbox.missing():
        pytest.skip(why)
    rig.extra, rig.sandboxed = {"trees.py": TREES}, True
    rig.limits = replace(rig.limits, entries=1000)
    place = 'pathlib.Path(os.environ["TORCHINDUCTOR_CACHE_DIR"], "made")'
    runner = rig.runner()
    for attempt, (tree, reason) in enumerate((("deep", "128 deep"), ("wide", "1000 files")), 1):
        run = rig.run_with(runner, BUILDS.format(place=place, tree=tree, then=FINE), attempt=attempt)
        assert run.failure == Failure.CODE and reason in run.reason
    assert rig.run_with(runner, FINE, attempt=3).metrics
    assert not Path(rig.folder, "compiled", "live", "trainer", "made").exists()


# What lies in no folder.

KEEPS_OPEN = """
import os, time
files = [open(os.environ["SWARM_RUN_DIR"] + f"/gone{number}", "wb") for number in range(3)]
for file in files:
    os.remove(file.name)
    for _ in range(20):
        file.write(bytes(2**20))
    file.flush()
time.sleep(600)
"""
WRITES = """
import mmap, os, socket, time
files = [open(os.environ["SWARM_RUN_DIR"] + f"/gone{number}", "wb+") for number in range(3)]
for file in files:
    file.write(os.urandom(20 * 2**20))
    file.flush()
    os.fsync(file.fileno())
    os.remove(file.name)
"""
OWN_TABLE = f"""
import ctypes, threading
def act():
    assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES: what this thread opens, no other has open
    exec({KEEPS_OPEN!r}, {{}})
threading.Thread(target=act).start()
"""
NO_MAIN = f"""{WITHOUT_MAIN}
without_main(lambda: exec({KEEPS_OPEN!r}, {{}}))
"""
ONLY_MAPS = f"""{WRITES}
kept = [mmap.mmap(file.fileno(), 0) for file in files]
for number in map(int, os.listdir("/proc/self/fd")):  # Python's own copies too
    if os.path.lexists(f"/proc/self/fd/{{number}}") and "gone" in os.readlink(f"/proc/self/fd/{{number}}"):
        os.close(number)
time.sleep(600)
"""
SENDS = f"""{WRITES}
ends = socket.socketpair()
socket.send_fds(ends[0], [b"."], [file.fileno() for file in files])
for file in files:
    file.close()
time.sleep(600)
"""
HIDES = """
import os, time
folder = os.environ["SWARM_RUN_DIR"] + "/hidden"
os.mkdir(folder)
for number in range(3):
    with open(folder + f"/file{number}", "wb") as file:
        file.write(os.urandom(20 * 2**20))
        os.fsync(file.fileno())
os.chmod(folder, 0)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "program",
    [
        KEEPS_OPEN,
        ONLY_MAPS,
        SENDS,
        NO_MAIN,
        OWN_TABLE,
        pytest.param(HIDES, marks=pytest.mark.skipif(os.geteuid() == 0, reason="root sees all")),
    ],
    ids=["kept open", "only mapped", "sent", "kept open, by no main thread", "kept open, by one thread", "hidden"],
)
def test_what_no_folder_shows_counts(rig, program):
    rig.limits = replace(rig.limits, disk=30.0, wall=600.0)
    run = rig.run(program)
    assert (run.failure, run.reason) == (Failure.CODE, "it wrote more than 30 MB")


def monitor(folder: Path, monkeypatch, free: list[float], wrote: list[float | None], **limits: float) -> DiskMonitor:
    """One whose disk has so much free whenever it is asked, in the end the last, and whose processes wrote so much."""
    monkeypatch.setattr(disk_monitor, "free_mb", lambda place: free.pop(0) if len(free) > 1 else free[0])
    monkeypatch.setattr(disk_monitor.tempfile, "gettempdir", lambda: str(folder))
    monkeypatch.setattr(disk_monitor, "disk_writes_mb", lambda pids: wrote.pop(0))
    return DiskMonitor(Step("trainer", [], "", {}, "", 1.0, folders=[str(folder)], **limits), set())


@pytest.mark.parametrize(
    "free, wrote, expected",
    [
        ([9000.0, 8000.0], 500.0, None),
        ([9000.0, 400.0], 8500.0, EndedBy.FILLED),  # into no folder that is looked at, such as /tmp
        ([9000.0, 400.0], 100.0, EndedBy.FULL),  # others did
        ([9000.0, 400.0], None, EndedBy.FILLED),  # it hides what it writes
        ([400.0, 10.0], 390.0, None),  # full before it began
    ],
)
def test_a_full_disk_is_the_fault_of_who_filled_it(tmp_path, monkeypatch, free, wrote, expected):
    watched = monitor(tmp_path, monkeypatch, free, [0.0, wrote])
    assert watched.exceeded((), now=True) == expected
    if expected == EndedBy.FILLED:
        assert watched.written_mb >= 8000


def test_what_comes_or_goes_during_a_look_is_seen_at_the_next_one(tmp_path, monkeypatch):
    """A file that was not there yet when the folders were looked at is not somebody else's."""
    held = HeldFiles(on_disk={(1, 1): HeldFile(8600.0, "", True)})
    watched = monitor(tmp_path, monkeypatch, [9000.0, 8900.0, 400.0], [0.0] * 9)
    looks = [HeldFiles(), held]
    monkeypatch.setattr(disk_monitor, "held_files", lambda *_: looks.pop(0))
    assert [watched.exceeded((1,), now=True) for _ in range(2)] == [None, EndedBy.FILLED]
    watched = monitor(tmp_path, monkeypatch, [9000.0, 400.0, 8900.0], [0.0] * 9)
    monkeypatch.setattr(disk_monitor, "held_files", lambda *_: HeldFiles())
    assert watched.exceeded((1,), now=True) is None


def test_what_cannot_be_seen_counts_by_what_was_written(tmp_path, monkeypatch):
    step = [9000.0, 8900.0, 8900.0], [0.0, 70.0, 20.0]
    watched = monitor(tmp_path, monkeypatch, *map(list, step), disk=50.0)
    monkeypatch.setattr(disk_monitor, "usage", lambda *_: Usage(whole=False))
    assert watched.exceeded((), now=True) == EndedBy.DISK and watched.written_mb == 70


def test_who_hides_what_it_holds_filled_the_disk(tmp_path, monkeypatch):
    """It may have reserved space that it never wrote. Files on their way through a socket are seen a look later."""
    free, wrote = [9000.0, 400.0, 400.0, 400.0], [0.0, 1.0, 1.0, 1.0]
    watched = monitor(tmp_path, monkeypatch, list(free), list(wrote))
    monkeypatch.setattr(disk_monitor, "held_files", lambda *_: HeldFiles(whole=False))
    assert [watched.exceeded((1,), now=True) for _ in range(3)] == [None, None, EndedBy.FILLED]
    assert watched.written_mb == 8600
    watched = monitor(tmp_path, monkeypatch, list(free), list(wrote))
    looks = [HeldFiles(whole=False), HeldFiles()]
    monkeypatch.setattr(disk_monitor, "held_files", lambda *_: looks.pop(0))
    assert [watched.exceeded((1,), now=True) for _ in range(2)] == [None, EndedBy.FULL]


# A disk of its own, which really becomes full.

RESERVES_AND_HIDES = """
import mmap, os, time
run = os.environ["SWARM_RUN_DIR"]
disk = os.statvfs(run)
file = os.open(run + "/gone", os.O_RDWR | os.O_CREAT)
os.posix_fallocate(file, 0, disk.f_frsize * disk.f_bavail - 50 * 2**20)
os.remove(run + "/gone")
kept = mmap.mmap(file, 4096)
for number in map(int, os.listdir("/proc/self/fd")):  # Python's own copy too
    if os.path.lexists(f"/proc/self/fd/{number}") and "gone" in os.readlink(f"/proc/self/fd/{number}"):
        os.close(number)
time.sleep(600)
"""
LEAVES_NOTHING = """
import os, time
run = os.environ["SWARM_RUN_DIR"]
disk = os.statvfs(run)
file = os.open(run + "/large", os.O_RDWR | os.O_CREAT)
os.posix_fallocate(file, 0, disk.f_frsize * disk.f_bfree - 2**20)
try:
    rest = os.open(run + "/rest", os.O_WRONLY | os.O_CREAT)
    while os.write(rest, bytes(4096)):
        pass
except OSError:
    time.sleep(600)
"""


@pytest.fixture
def small_disk(rig, tmp_path):
    """The rig on a file system of 1.4 GB, of which nothing is there until it is written."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(1400 * 2**20)
    for command in (["mkfs.ext4", "-q", "-F", str(image)], ["mount", "-o", "loop", str(image), str(place)]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"no disk can be made here: {error}")
        if done.returncode:
            pytest.skip(f"no disk can be made here: {done.stderr}")
    rig.guard_folder = place / "gpu0" / rig.guard_folder.relative_to(rig.folder)
    rig.folder = place / "gpu0"
    yield rig
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("program", [RESERVES_AND_HIDES, LEAVES_NOTHING], ids=["hidden", "to the last byte"])
def test_a_disk_that_a_run_filled_is_its_own_fault(small_disk, program):
    run = small_disk.run(program)
    assert run.failure == Failure.CODE and run.reason.endswith("MB, which filled the disk"), run.reason
