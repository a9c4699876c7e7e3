"""`swarm doctor`: checks what a swarm needs; each line is ok, or says the command that helps."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from swarm.errors import SwarmError
from swarm.execution.machine import gpu
from swarm.execution.sandbox import sandbox
from swarm.execution.sandbox.held_out import cache_of, held_out_of
from swarm.execution.sandbox.probe import ProbeError, probe
from swarm.history.repository import History
from swarm.launch.access import refuse_access, unset
from swarm.launch.data import named, prepared
from swarm.launch.files import find_files
from swarm.launch.start import changes, find_project
from swarm.project.project import Project, load_project
from swarm.researchers.registry import REGISTRY, profile_of

ENOUGH_DISK = 5e9  # bytes


@dataclass(frozen=True, slots=True)
class Examined:
    """One line of the doctor. `ok` is None where something optional is missing."""

    name: str
    ok: bool | None
    text: str
    remedy: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        mark, style = {True: ("ok", "green"), False: ("no", "bold red"), None: ("--", "yellow")}[self.ok]
        yield Text.assemble((f"{mark}  ", style), (f"{self.name:<12}", "bold"), self.text)
        if self.remedy and not self.ok:
            yield Text(f"                {self.remedy}", "cyan")


def examine_machine(folder: Path) -> list[Examined]:
    """The checks that need no repository; `folder` says which disk is meant."""
    nowhere = Examined("repository", None, "none here: this is about the machine", "name one with -C FOLDER")
    return [_python(), _git(), nowhere, _ray(), _torch(), _gpus(None), *_researchers(), _disk(folder), _sandbox()]


def examine(root: Path) -> list[Examined]:
    """All checks on the repository at `root`; none of them changes anything or starts Ray."""
    checks: list[Callable[[], Examined]] = [
        _python,
        _git,
        lambda: _project(root),
        lambda: _runs(root),
        _ray,
        _torch,
        lambda: _gpus(root),
        lambda: _data(root),
    ]
    return [*(check() for check in checks), *_researchers(), _disk(root), _sandbox(), *_reach(root), *_opened(root)]


def _python() -> Examined:
    version = ".".join(map(str, sys.version_info[:3]))
    return Examined("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _git() -> Examined:
    path = shutil.which("git")
    if not path:
        return Examined("git", False, "not on the PATH", "install git")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return Examined("git", True, said.removeprefix("git version "))


def _project(root: Path) -> Examined:
    try:
        history = History(root)
        head = history.head()
        project = find_files(find_project(history), history, head).project
        changed = changes(history, project)
        gaps = history.tree(head).gaps()
    except SwarmError as error:
        return Examined("repository", False, str(error))
    if changed:
        return Examined(
            "repository",
            False,
            f"uncommitted changes in {', '.join(changed)}",
            "git add and git commit, or git stash -u",
        )
    if gaps:
        return Examined("repository", None, f"runs will not find all that is tracked: {'; '.join(gaps)}")
    return Examined("repository", True, f"{history.folder.name} at {head[:7]}, edits {', '.join(project.editable)}")


def _runs(root: Path) -> Examined:
    """What a launch would run and measure, whatever else is still missing."""
    try:
        project = load_project(root)
    except SwarmError as error:
        return Examined("runs", False, str(error))
    tried = "" if project.referee else "; see what it gives: python -m swarm launch --dry-run --try"
    return Examined("runs", True, f"{project.command_line}, for {project.metric}, {project.direction} is better{tried}")


def _ray() -> Examined:
    return _package("ray", "ray")


def _torch() -> Examined:
    return _package("torch", "torch")


def _package(name: str, module: str) -> Examined:
    if importlib.util.find_spec(module) is None:
        return Examined(name, False, "not installed", f"{Path(sys.executable).name} -m pip install {name}")
    return Examined(name, True, importlib.metadata.version(name))


def _gpus(root: Path | None) -> Examined:
    cards, kind = gpu.gpus(), gpu.device_kind()
    if gpu.names_instances():
        problem = "CUDA_VISIBLE_DEVICES names MIG instances, and only whole GPUs are supported"
        return Examined("gpus", False, problem, "name whole GPUs by their indices: CUDA_VISIBLE_DEVICES=0,1")
    if not cards:
        kinds = {"mps": "the Apple GPU will be used", "cpu": "none: agents run on CPU cores, with a small model"}
        return Examined("gpus", True if kind == "mps" else None, kinds.get(kind, "none"))
    if why := gpu.unfit(cards, root is not None and _refereed(root)):
        return Examined("gpus", False, why)
    busy = [
        f"gpu {card.index} is used by {', '.join(name for _, name in card.holders)}" for card in cards if card.holders
    ]
    found = f"{len(cards)} x {cards[0].name}" + (f"; {'; '.join(busy)}" if busy else "")
    return Examined("gpus", not busy, found, "leave busy GPUs out: python -m swarm launch --gpus 0,1")


def _refereed(root: Path) -> bool:
    try:
        return bool(load_project(root).referee)
    except SwarmError:  # its own line says so
        return False


def _data(root: Path) -> Examined:
    try:
        project = load_project(root)
    except SwarmError as error:
        return Examined("data", False, str(error))
    if not project.data:
        return Examined("data", None, "the project names no command that checks it")
    try:
        found = prepared(project, root, root)
    except SwarmError as error:
        return Examined("data", False, str(error), project.prepare)
    return Examined("data", True, named(found) or "prepared")


def _researchers() -> Iterator[Examined]:
    """What the researchers that ship need from this machine, for those that need something."""
    for name in REGISTRY:
        if check := profile_of(name).check:
            there = check({})
            version = f": {_version(there.program)}" if there.program else ""
            version += f"; tried up to {there.tried}" if there.program and there.tried else ""
            yield Examined(
                name,
                there.met or None,
                there.found + version,
                f"{there.remedy}, or do without: the sweep needs nothing",
            )


def _version(program: str) -> str:
    """What a program says of its version, in one line."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return "it cannot tell its version"
    return next(iter(done.stdout.splitlines()), "")[:80]


def _disk(root: Path) -> Examined:
    free = shutil.disk_usage(root).free
    return Examined("disk", free > ENOUGH_DISK, f"{free / 1e9:.0f} GB free", f"free some space around {root}")


def _sandbox() -> Examined:
    why = sandbox.missing()
    if not why:
        return Examined("sandbox", True, f"{sandbox.name()}; what edited code reaches in it, tried from inside:")
    return Examined("sandbox", None, f"{why}: {sandbox.exposure()}", "apt-get install bubblewrap")


def _reach(root: Path) -> list[Examined]:
    """What edited code can do here, tried by a program in its place: in the sandbox where there is one."""
    cache, held_out, project = cache_of(os.environ), _held_out(root), _asked(root)
    network = bool(project and project.network)
    with tempfile.TemporaryDirectory() as folder:
        box = None if sandbox.missing() else sandbox.Sandbox((), held_out, Path(folder), network=network)
        try:
            found = probe(lambda script: box.command(script, (), (cache,)) if box else script, held_out)
        except ProbeError as error:
            return [Examined("reach", None, f"what edited code reaches could not be tried: {error}")]
    lines = [
        (
            "network",
            found.network,
            f"edited code can use it{', as `network = true` says' * network}",
            "closed to edited code",
        ),
        ("home", found.home, f"edited code can read {Path.home()}, keys in it too", "closed to edited code"),
        ("system", found.system, "edited code can change its files", "edited code cannot change its files"),
        ("processes", found.processes, "edited code can end others of yours", "others are out of its reach"),
        (
            "sockets",
            found.sockets,
            "edited code can talk to servers by files, Docker's and Ray's too",
            "closed to edited code",
        ),
    ]
    if held_out:
        lines.append(("held-out", found.held_out, "edited code can read the held-out data", "closed to edited code"))
    return [Examined(name, None if reached else True, bad if reached else good) for name, reached, bad, good in lines]


def _held_out(root: Path) -> tuple[Path, ...]:
    """The held-out data of the project that is on this machine."""
    try:
        return held_out_of(load_project(root), os.environ, root)
    except SwarmError:  # its own line says so
        return ()


def _asked(root: Path) -> Project | None:
    """The project, for what it asks to be opened; None where it cannot be read."""
    try:
        return load_project(root)
    except SwarmError:  # its own line says so
        return None


def _opened(root: Path) -> Iterator[Examined]:
    """What the project has opened for its runs beyond the usual."""
    project = _asked(root)
    if project is None:
        return
    try:
        refuse_access(project, root)
    except SwarmError as error:
        yield Examined("access", False, str(error))
        return
    if project.readable:
        yield Examined("readable", None, f"edited code can read {', '.join(project.readable)}")
    if project.pass_env:
        missing = unset(project)
        also = f"; not set here: {', '.join(missing)}" if missing else ""
        yield Examined("passed", None, f"edited code can read the variables {', '.join(project.pass_env)}{also}")
