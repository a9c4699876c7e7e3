"""A tiny project whose trainer is a few lines of Python, and runners that run it under a real guard."""

from __future__ import annotations

import asyncio
import io
import tarfile
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.execution import run_spec
from swarm.execution.runner import Limits, LocalRunner, Slot
from swarm.project.project import Project
from swarm.records import Measure, Progress, Purpose, Run, Source

RUN = "t-gpu0-0001.1"

REFEREE = """
import json, os, pathlib
folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
(folder / "referee.json").write_text(json.dumps({"val_bpb": float((folder / "model.pt").read_text())}))
"""

# A trainer whose children cannot be found by parent, group or session, and that wants to live on.
STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = '''
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
time.sleep(600)
'''
folder = os.environ["SWARM_RUN_DIR"] + "/../../pids"
os.makedirs(folder, exist_ok=True)
for _ in range(2):
    subprocess.run([sys.executable, "-S", "-c", child, folder])
pathlib.Path(folder, str(os.getpid())).touch()
print("up", flush=True)
time.sleep(600)
"""

# What a program does by `without_main` it does in a process whose main thread has ended: the kernel calls it a zombie.
WITHOUT_MAIN = """
import ctypes, os, threading
def without_main(act):
    threading.Thread(target=act).start()
    ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)  # exit, of this thread alone
"""

# Lines of a program that goes on when its progress was seen, however long that takes.
AWAITS = """
import os, pathlib, time
while not pathlib.Path(os.environ["SWARM_RUN_DIR"], "../../seen").exists():
    time.sleep(0.02)
"""


class Rig:
    """Runs one trainer after another with runners made for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.guard_folder = folder / "guards" / f"{RUN}.1"
        self.seen: list[Progress] = []
        self.awaited: Callable[[Progress], bool] = lambda progress: True  # what a program that waits is told of
        self.known: list[float | None] = []  # how long the untouched code takes to start, as known before each run
        self.project = Project(command=("{python}", "train.py"), editable=("train.py",), fixed=("prepare.py",))
        self.timeouts: list[float | None] = []
        self.referee: str | None = None
        self.hidden: str | None = None
        self.purpose = Purpose.FIRST
        self.slot = Slot("sim", 0, gpu="3", threads=2)
        self.limits = Limits(wall=120.0, cpu=None, referee=120.0, slack=60.0, silence=None, grace=0.3, lock_wait=0.5)
        self.allowed: tuple[str, ...] = ()
        self.sandboxed = False
        self.checkout: Path | None = None
        self.extra: dict[str, str] = {}  # more files of the commit

    def runner(self) -> LocalRunner:
        files = {"train.py": "", "prepare.py": "FIXED = 1\n", **self.extra}
        project = self.project
        if self.referee is not None:
            files["referee.py"] = textwrap.dedent(self.referee)
            project = replace(project, referee=("{python}", "referee.py"), fixed=("prepare.py", "referee.py"))
        if self.hidden is not None:
            files["hidden.py"] = textwrap.dedent(self.hidden)
            project = replace(project, hidden=("{python}", "hidden.py"))
        return LocalRunner(
            replace(project, pass_env=self.allowed), archive(files), self.folder, self.slot, None,
            self._chosen, self.sandboxed, self.checkout,
        )  # fmt: skip

    def _chosen(self, budget: float, device: str, known: float | None, timeout: float | None) -> Limits:
        self.known.append(known)
        self.timeouts.append(timeout)
        return self.limits

    def run(self, trainer: str, run: str = RUN, attempt: int = 1) -> Run:
        return self.run_with(self.runner(), trainer, run, attempt)

    def run_with(self, runner: LocalRunner, trainer: str, run: str = RUN, attempt: int = 1) -> Run:
        return asyncio.run(self.start(runner, trainer, run, attempt))

    async def start(self, runner: LocalRunner, trainer: str, run: str = RUN, attempt: int = 1) -> Run:
        source = Source({"train.py": textwrap.dedent(trainer).encode()})
        work = Measure(run, attempt, "t-gpu0-0001", "an idea", self.purpose, 7, source.sha, source.sha, 1.0)
        return await runner.run(work, source, self._see)

    def _see(self, progress: Progress) -> None:
        self.seen.append(progress)
        if self.awaited(progress):
            (self.folder / "seen").touch()

    def pids(self) -> list[int]:
        """Processes of the stubborn trainer, once they are up."""
        folder = self.folder / "pids"
        return [int(path.name) for path in folder.iterdir()] if folder.is_dir() else []

    def until(self, condition: Callable[[], bool], seconds: float = 100.0) -> None:
        """Waits for something to come true, but not for ever."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)


def archive(files: Mapping[str, str]) -> bytes:
    """A base tree as the head ships it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(run_spec, "LOCK_FOLDER", tmp_path / "locks")
    return Rig(tmp_path / "gpu0")


@pytest.fixture
def base() -> Callable[[Mapping[str, str]], bytes]:
    return archive


@pytest.fixture
def awaits() -> str:
    return AWAITS


@pytest.fixture
def referee() -> str:
    return REFEREE


@pytest.fixture
def stubborn() -> str:
    return STUBBORN


@pytest.fixture
def without_main() -> str:
    return WITHOUT_MAIN
