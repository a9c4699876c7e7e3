"""The sandbox that trainings run in, where the machine has one: bubblewrap on Linux. Stdlib only.

Inside there is no network, the world is read-only, home, /tmp and /run are empty and private, other runs cannot be
seen, the held-out tokens are zeros, and everything ends with the process that started it.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import UsageError
from swarm.workshop.probe import Unprobed, probe

_PRIVATE = ("/tmp", "/var/tmp", "/run")
_DEVICES = ("/dev/nvidia*", "/dev/nvidia-caps", "/dev/dri", "/dev/kfd")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What is hidden from all that runs inside. `blanks` is a folder for the files that stand for hidden ones."""

    hidden: tuple[Path, ...]
    held_out: tuple[Path, ...]
    blanks: Path

    def command(self, argv: Sequence[str], writable: Iterable[Path], readable: Iterable[Path] = ()) -> list[str]:
        """`argv` as it runs inside, where only `writable` folders can be written to; they and `readable` are there
        even below what is hidden."""
        home = Path.home().resolve()
        words = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
        words += ["--die-with-parent", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
        for pattern in _DEVICES:
            for device in sorted(Path("/").glob(pattern.lstrip("/"))):
                words += ["--dev-bind-try", str(device), str(device)]
        for folder in (*map(Path, _PRIVATE), *self.hidden, home):
            if folder.is_dir() and folder != Path("/"):
                words += ["--tmpfs", str(folder)]
        for path in (*_python(), *_installation(argv[0] if argv else ""), home / ".cache", *readable):
            if path.exists() and not home.is_relative_to(real := path.resolve()):
                words += ["--ro-bind", str(real), str(real)]
        for path in (home / ".cache" / "huggingface" / name for name in ("token", "stored_tokens")):
            if path.is_file():
                words += ["--ro-bind", "/dev/null", str(path)]
        for path in self.held_out:
            words += ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", str(self._blank(path)), str(path)]
        for path in writable:
            words += ["--bind", str(path), str(path)]
        return [*words, "--", *argv]

    def _blank(self, path: Path) -> Path:
        """A file of zeros, as long as `path`: who looks only at sizes notices nothing."""
        size = path.stat().st_size
        blank = self.blanks / str(size)
        if not blank.exists():
            self.blanks.mkdir(parents=True, exist_ok=True)
            with blank.open("wb") as file:
                file.truncate(size)
        return blank


def missing() -> str:
    """Why there is no sandbox on this machine, in a few words; "" where there is one, tried from the inside."""
    if sys.platform != "linux":
        return f"there is none for {sys.platform}"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    return _trial()


@functools.cache
def _trial() -> str:
    with tempfile.TemporaryDirectory(dir=Path.cwd() if os.access(Path.cwd(), os.W_OK) else None) as folder:
        secret = Path(folder, "secret.bin")
        secret.write_bytes(b"held out")
        box = Sandbox((), (secret,), Path(folder, "blanks"))
        try:
            reach = probe(lambda script: box.command(script, (), (Path(folder),)), [secret])
        except Unprobed as error:
            return f"bubblewrap does not work here: {error}"
    through = {"home": reach.home, "a world that can be written to": reach.system, "a network": reach.network}
    seen = [name for name, seen in (through | {"held-out tokens": reach.held_out}).items() if seen]
    return f"bubblewrap lets through {'; '.join(seen)}" if seen else ""


def exposure() -> str:
    """What edited code can do where no sandbox holds it, plainly."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    who = "as root, who may read and change everything here" if root else "with your rights"
    return f"edited code runs {who}, on your network, and can read the held-out data"


def wanted(mode: str) -> bool:
    """Whether runs on this machine go into a sandbox.

    Raises:
        UsageError: the mode requires one, and there is none.
    """
    why = "" if mode == "off" else missing()
    if mode == "require" and why:
        raise UsageError(f"--sandbox require: {why}; apt-get install bubblewrap, or --sandbox off")
    return mode != "off" and not why


def _python() -> set[Path]:
    """The folders that this interpreter and its packages are in."""
    return {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1]}


def _installation(program: str) -> set[Path]:
    """What a program named by its path is a part of, such as a repository's own .venv, and the Python behind that."""
    path = Path(program)
    if not path.is_absolute() or len(path.parents) < 3:
        return set()
    return {path.parents[1], path.resolve().parents[1]}
