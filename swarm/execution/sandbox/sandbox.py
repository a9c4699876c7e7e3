"""The sandbox that trainings run in, where the machine has one: bubblewrap, or else Landlock. Linux, stdlib only.

Inside there is no network; the file system is read-only; home, /tmp and /run are closed; neither the files of other
runs nor the held-out tokens can be read. Bubblewrap also gives namespaces of its own: an empty home, its own loopback
and /dev/shm, and no other processes. With Landlock there is no TCP at all, and where a user may have no mounts either
/dev/shm is the machine's, which outlives a run: it is closed where a referee's number has to be believed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import UsageError
from swarm.execution.sandbox import landlock
from swarm.execution.sandbox.held_out_text import closed_sources
from swarm.execution.sandbox.home_folders import credentials, tools
from swarm.execution.sandbox.probe import ProbeError, probe
from swarm.project.environment import is_environment

LONG = 50_000  # characters of rules, above which they are in a file
# Bubblewrap with rules from a file, by a descriptor that is free: those of a measurement are inherited.
_FROM_FILE = """
import os, sys
rules = os.open(sys.argv[1], os.O_RDONLY)
os.set_inheritable(rules, True)
os.execvp("bwrap", ["bwrap", "--args", str(rules), "--", *sys.argv[2:]])
"""
_PRIVATE = ("/tmp", "/var/tmp", "/run")
_PLAIN = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_SHARED = ("/dev/shm",)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a program inside can access: this machine, read-only, without what is `closed`; of that, what is `readable`
    all the same (where one lies in the other, the deeper decides); `writable` folders; the `network`, or none. Zeros
    replace the content of what is `secret`, and an empty file each of the `tokens` of other services; these
    replacements are in the folder `blanks`. Tools look for their settings in all folders above, and end where they find
    a file that they may not read: where closed files can be seen, those `above` are readable. Where memory that
    processes share by name would be the whole machine's, it is closed unless it is to be `shared`: that outlives a
    run. Of the machine's devices there are those that hold nothing, and `devices`."""

    closed: tuple[Path, ...]
    readable: tuple[Path, ...]
    secret: tuple[Path, ...]
    tokens: tuple[Path, ...]
    writable: tuple[Path, ...]
    blanks: Path
    network: bool
    above: tuple[Path, ...]
    shared: bool = True
    devices: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that hides `hidden` folders and `held_out` files. `blanks` is a folder for the files that replace
    hidden ones, `mechanism` is bubblewrap or landlock: the best that works here, where it is not given. With `network`
    the machine's network is open inside. `above` are files of the checkout that tools look for, `devices` those of a
    GPU (Bounds)."""

    hidden: tuple[Path, ...]
    held_out: tuple[Path, ...]
    blanks: Path
    mechanism: str = ""
    network: bool = False
    above: tuple[Path, ...] = ()
    shared: bool = True
    devices: tuple[Path, ...] = ()

    def command(self, argv: Sequence[str], writable: Iterable[Path], readable: Iterable[Path] = ()) -> list[str]:
        """`argv` as it runs inside, where only `writable` folders can be written to; they and `readable` are there
        even below what is hidden."""
        return self.within(self.bounds(argv, writable, readable), argv)

    def within(self, bounds: Bounds, argv: Sequence[str]) -> list[str]:
        """`argv` as it runs inside these bounds."""
        return [*_MECHANISMS[self.mechanism or name()](bounds), *argv]

    def bounds(self, argv: Sequence[str], writable: Iterable[Path], readable: Iterable[Path] = ()) -> Bounds:
        """What `argv` can access inside. Credentials in a folder that is open are closed, unless they are named; and so
        is the text that held-out data was made from, wherever it lies."""
        home, named, writable = Path.home().resolve(), tuple(readable), tuple(writable)
        places = (*_python(), *_installation(argv[0] if argv else ""), home / ".cache", *tools(home, os.environ))
        places += (*named, *(_resolver() if self.network else ()))
        opened = {path: path.resolve() for path in places if path.exists()}
        opened = {path: place for path, place in opened.items() if not home.is_relative_to(place)}
        keys = [
            path
            for path in map(Path.resolve, credentials(home, os.environ))
            if path not in named and any(map(path.is_relative_to, opened.values()))
        ]
        places = (*map(Path, _PRIVATE), *self.hidden, home)
        closed = tuple(path for path in places if path.is_dir() and path != Path("/"))
        seen = (*opened.values(), *writable)
        own = [path for path in seen if path in writable or any(map(path.is_relative_to, self.hidden))]
        sources = closed_sources(self.held_out, [path for path in seen if path not in own], own)
        sources = (path for path in sources if _is_visible(path, closed, seen))
        return Bounds(
            closed,
            tuple(opened),
            (*self.held_out, *sources, *filter(Path.is_dir, keys)),
            tuple(path for path in keys if path.is_file()),
            writable,
            self.blanks,
            self.network,
            self.above,
            self.shared,
            self.devices,
        )


def _is_visible(path: Path, closed: Iterable[Path], opened: Iterable[Path]) -> bool:
    """Whether a path could be read inside: of the places that it lies in, the deepest decides."""
    parts = path.parts  # of thousands of paths: is_relative_to would take seconds
    depths = [
        max((len(place.parts) for place in kind if parts[: len(place.parts)] == place.parts), default=0)
        for kind in (closed, opened)
    ]
    return depths[1] >= depths[0]


def _bubblewrap(bounds: Bounds) -> list[str]:
    words = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += [] if bounds.network else ["--unshare-net"]
    words += ["--die-with-parent", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    for device in map(str, bounds.devices):
        words += ["--dev-bind-try", device, device]
    closed = dict.fromkeys((path.resolve() for path in bounds.closed), True)
    for path, hides in sorted((closed | dict.fromkeys((path.resolve() for path in bounds.readable), False)).items()):
        words += ["--tmpfs", str(path)] if hides else ["--ro-bind", str(path), str(path)]
    for path in bounds.readable:  # a link in a closed folder went with it
        if path.is_symlink() and path.parent == path.parent.resolve() and any(map(path.is_relative_to, closed)):
            words += ["--symlink", str(path.resolve()), str(path)]
    for path in bounds.secret:
        blank = ["--tmpfs"] if path.is_dir() else ["--ro-bind", _blank(path.stat().st_size, bounds.blanks)]
        words += [*blank, str(path)]
    for path in bounds.tokens:  # empty counts as none; /dev/null could not be read on a mount without devices
        words += ["--ro-bind", _blank(0, bounds.blanks), str(path)]
    for path in bounds.writable:
        words += ["--bind", str(path), str(path)]
    if not bounds.writable:  # nothing means nothing: neither the empty folders in place of what is closed
        empty = (
            str(path) for path, hides in closed.items() if hides and path not in map(Path.resolve, bounds.readable)
        )
        words += [word for path in (*empty, "/dev") for word in ("--remount-ro", path)]
    if sum(map(len, words)) < LONG:
        return [*words, "--"]
    given = _kept("\0".join(words[1:]), bounds.blanks)
    return [sys.executable, "-I", "-S", "-c", _FROM_FILE, given]


def _landlock(bounds: Bounds) -> list[str]:
    rules = {
        "closed": [*map(str, bounds.closed), "/dev"],
        "readable": [*map(str, (*bounds.readable, *bounds.above))],
        "secret": [*map(str, (*bounds.secret, *bounds.tokens))],
        "writable": [*map(str, bounds.writable)],
        "devices": [*_PLAIN, *(_SHARED if _may_share(bounds) else ()), *map(str, bounds.devices)],
        "network": ["open"] if bounds.network else [],
    }
    text = json.dumps(rules)
    return [sys.executable, "-I", "-S", landlock.__file__, text if len(text) < LONG else _kept(text, bounds.blanks)]


def _may_share(bounds: Bounds) -> bool:
    return bool(bounds.writable) and (bounds.shared or landlock.mounts())


_MECHANISMS: dict[str, Callable[[Bounds], list[str]]] = {
    "bubblewrap": _bubblewrap,
    "landlock": _landlock,
}  # the best first


def _kept(text: str, folder: Path) -> str:
    """A file of that text, which no run can write to: one argument, or variable, of a program is 128 KiB at most."""
    path = folder / f"rules-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.with_suffix(f".{os.getpid()}").write_text(text)
        path.with_suffix(f".{os.getpid()}").replace(path)
    return str(path)


def _blank(size: int, blanks: Path) -> str:
    """A file of zeros, as long as the one it replaces: code that looks only at sizes sees no difference."""
    blank = blanks / str(size)
    if not blank.exists():
        blanks.mkdir(parents=True, exist_ok=True)
        with blank.open("wb") as file:
            file.truncate(size)
    return str(blank)


def name() -> str:
    """The sandbox mechanism of this machine; "" where none works, each tried from the inside."""
    return next((mechanism for mechanism in _MECHANISMS if not _missing(mechanism)), "")


def missing() -> str:
    """Why there is no sandbox on this machine, in a few words; "" where there is one."""
    if sys.platform != "linux":
        return f"there is none for {sys.platform}"
    return "" if name() else ", ".join(map(_missing, _MECHANISMS))


def _missing(mechanism: str) -> str:
    """Why this mechanism does not work here; "" where it does."""
    if mechanism == "bubblewrap" and not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    if mechanism == "landlock" and landlock.version() < landlock.NEEDED:
        return "Landlock needs Linux 6.2, allowed for containers"
    return _trial(mechanism)


@functools.cache
def _trial(mechanism: str) -> str:
    with tempfile.TemporaryDirectory(dir=Path.cwd() if os.access(Path.cwd(), os.W_OK) else None) as folder:
        secret = Path(folder, "secret.bin")
        secret.write_bytes(b"held out")
        box = Sandbox((), (secret,), Path(folder, "blanks"), mechanism)
        try:
            reach = probe(lambda script: box.command(script, (), (Path(folder),)), [secret])
        except ProbeError as error:
            return f"{mechanism} does not work here: {error}"
    through = {"home": reach.home, "a world that can be written to": reach.system, "a network": reach.network}
    seen = [what for what, seen in (through | {"held-out tokens": reach.held_out}).items() if seen]
    return f"{mechanism} lets through {'; '.join(seen)}" if seen else ""


def protection(network: bool = False) -> str:
    """What the sandbox of this machine protects from edited code, and what not, where the `network` is open or not."""
    if name() == "bubblewrap":
        first = "THE NETWORK IS OPEN" if network else "no network"
        return f"bubblewrap: {first}, read-only world, private home and /tmp, held-out data hidden"
    mortal = "" if landlock.version() >= landlock.SCOPED else "your other processes, abstract sockets, "
    first = "THE NETWORK IS OPEN" if network else "no network, no TCP even to itself"
    kept = "" if landlock.mounts() else ", the modes and times of your files, /dev/shm in projects without a referee"
    return (
        f"Landlock: {first}, read-only world, home and /tmp closed, held-out data closed,"
        f" nothing of root's powers; NOT closed: {mortal}sockets in files such as Docker's{kept}"
        " (bubblewrap closes them)"
    )


def exposure() -> str:
    """What edited code can do where there is no sandbox."""
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


def _resolver() -> tuple[Path, ...]:
    """What names are resolved with: the file that says how may lie in /run, which is closed."""
    return tuple({Path("/etc/resolv.conf").resolve().parent, Path("/run/nscd")} - {Path("/etc"), Path("/run")})


def _python() -> set[Path]:
    """The folders that this interpreter and its packages are in."""
    return {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1]}


def _installation(program: str) -> set[Path]:
    """What a program named by its path is a part of, such as a repository's own .venv, and the Python behind that."""
    path = Path(program)
    if not path.is_absolute() or len(path.parents) < 3:
        return set()
    places = {path, path.resolve()}
    return {one.parents[1] if is_environment(one.parents[1]) or not _holds_git(one) else one for one in places}


def _holds_git(program: Path) -> bool:
    """Whether a program is a script of a checkout: what else lies there is no part of it."""
    return any((folder / ".git").exists() for folder in program.parents[:2])
