"""What a run sees of the user's checkout beyond the files of its commit: data that git does not hold, by links.

A link in the run's copy leads to where the data lies, so that nothing is copied; a sandbox lets it be read, never
written. What git holds comes from the commit, also below an included folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from swarm.errors import UsageError
from swarm.execution.machine.folder_walk import DEEPEST, Unwalked, walk
from swarm.project.environment import FOLDERS, is_environment
from swarm.project.patterns import is_glob

MOST_FILES = 5_000_000
MANY = 256  # places that are opened one by one
MOST, BLOCK = 2 * 2**30, 2**20  # bytes of content that a key is made of, read in such blocks
PRIVATE = (".git", ".swarm")
OTHER_DATA = "which `include` names, was changed since the launch: put it back, or end this swarm and start another"
KEYS = (  # what is closed in an included folder, unless it is named itself
    *(".env", ".env.local", ".netrc", ".git-credentials", ".pypirc", "credentials.json", "service_account.json"),
    *("id_rsa", "id_ed25519", "secrets.toml", "secrets.json", "secrets.yaml", "secrets.yml"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link at `path` of a run's copy, to `target`: an absolute path, or one that is relative to the link."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that is included: its name in the copy, where it lies, and what tells whether it was changed."""

    name: str
    path: str
    size: int
    changed: int  # nanoseconds


@dataclass
class Included:
    """The links of a run's copy, in `opened` what a sandbox must let be read for them, in `keys` what it must not."""

    links: list[Link] = field(default_factory=list)
    opened: list[Path] = field(default_factory=list)
    keys: list[Path] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    committed: list[str] = field(default_factory=list)  # patterns that name only what git holds

    def place(self, folder: Path) -> None:
        """Makes the links in a fresh copy."""
        for link in self.links:
            path = folder / link.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_symlink() and not path.exists():
                path.symlink_to(link.target)

    def changed(self) -> list[str]:
        """Names of the files that are not as they were when this was made."""
        return [file.name for file in self.files if _times(file.path) != (file.size, file.changed)]

    def is_as_before(self) -> bool:
        """Whether all content is that of the key, whatever its times say: somebody may have put it back. Then these
        times count from now on. False where the key was not made before."""
        if "key" not in self.__dict__:
            return False
        times = [(file, _times(file.path)) for file in self.files]
        files = [File(file.name, file.path, *now) for file, now in times if now is not None]
        try:
            same = len(files) == len(self.files) and Included(links=self.links, files=files).key == self.key
        except UsageError:
            return False
        if same:
            self.files = files
        return same

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @cached_property
    def key(self) -> str:
        """One hash over all: names and sizes, and the content; of more than MOST bytes every second, third, .. block
        of it, so that it takes seconds however large they are. "" where nothing is included. UsageError where a file
        cannot be read."""
        if not self.links:
            return ""
        digest = hashlib.sha256()
        files = sorted(self.files, key=lambda file: file.name)
        for file in files:
            digest.update(f"{file.name}\0{file.size}\n".encode(errors="surrogateescape"))
        step, place = -(-self.size // MOST) or 1, 0
        for file in files:
            blocks = range(place, place + -(-file.size // BLOCK))
            place = blocks.stop
            for block in _blocks(file, [block - blocks.start for block in blocks if not block % step]):
                digest.update(block)
        return digest.hexdigest()[:16]


def include(root: Path, patterns: Iterable[str], held: Collection[str]) -> Included:
    """What `patterns` (files, folders, globs) name in the checkout at `root`. `held` are the paths that git holds.

    UsageError, with the remedy, for a pattern that names nothing, or something out of bounds.
    """
    found = Included()
    walk = _Walk(root, held, found)
    for pattern in patterns:
        paths = _matching(root, pattern)
        before = len(found.links)
        for path in paths:
            walk.take(path, named=pattern == path.relative_to(root).as_posix())
        if len(found.links) == before:
            found.committed.append(pattern)
    found.opened = _few(found.opened, root)
    return found


def environments(root: Path, held: Collection[str], but: Included) -> Included:
    """The repository's own environments and node_modules, which any run may use as the user does; not those in `but`,
    nor what git holds."""
    found = Included()
    walk = _Walk(root, held, found)
    taken = {link.path for link in but.links}
    for name in (*FOLDERS, "node_modules"):
        path = root / name
        if name not in taken and path.is_dir() and (name == "node_modules" or is_environment(path)):
            walk.take(path, contents=name == "node_modules")
    found.opened = _few(found.opened, root)
    return found


def outside(pattern: str) -> str:
    """Why a pattern is no path of the repository; "" where it is one."""
    parts = Path(pattern).parts
    if Path(pattern).is_absolute() or pattern.startswith("~") or ".." in parts:
        return f'it is outside of the repository: readable = ["{pattern}"] opens it'
    if not parts:
        return "name the folders that a run needs, not the whole repository"
    return f"{parts[0]} is never part of a run" if parts[0] in PRIVATE else ""


class _Walk:
    """Takes paths of a checkout up into what is `found`."""

    def __init__(self, root: Path, held: Collection[str], found: Included) -> None:
        self._root, self._real, self._found = root, Path(os.path.realpath(root)), found
        self._held = set(held)
        self._above = {str(parent) for path in held for parent in Path(path).parents}  # folders of what git holds
        self._seen: set[str] = set()
        self._opened = set(found.opened)
        self._names = {link.path for link in found.links}

    def take(self, path: Path, named: bool = False, contents: bool = True) -> None:
        """Links to the path; where git holds some of a folder, to the rest of it, one by one."""
        waiting = [path]
        while waiting:
            path = waiting.pop()
            name = path.relative_to(self._root).as_posix()
            if name in self._held or name in PRIVATE:
                continue
            if path.is_dir() and (name in self._above or self._leads_back(path)):
                waiting += [Path(entry.path) for entry in reversed(_entries(path))]
                named, contents = False, True
            else:
                self._link(path, name, named, contents)

    def _link(self, path: Path, name: str, named: bool, contents: bool) -> None:
        real, own = Path(os.path.realpath(path)), self._own(path)
        if name in self._names or not real.exists() or (path.name in KEYS and not named):
            return
        self._names.add(name)
        if own:
            self._found.links.append(Link(name, os.path.relpath(own, Path(name).parent)))
            return
        self._found.links.append(Link(name, str(real)))
        self._open(real)
        if contents:
            self._read(real, name)

    def _open(self, real: Path) -> None:
        if self._opened.isdisjoint((real, *real.parents)):
            self._opened.add(real)
            self._found.opened.append(real)

    def _read(self, real: Path, name: str) -> None:
        """Every file in it; what links in it lead to is opened, and read too."""
        waiting = [(real, name)]
        while waiting:
            place, below = waiting.pop()
            if str(place) in self._seen:
                continue
            self._seen.add(str(place))
            if not place.is_dir():
                self._note(below, str(place), place.stat())
                continue
            left = Unwalked()
            for entry in walk(place, unwalked=left):
                where, path = place / entry.path, f"{below}/{entry.path}"
                if entry.is_folder:
                    self._seen.add(str(where))
                elif stat.S_ISLNK(entry.status.st_mode):
                    target = Path(os.path.realpath(where))
                    if target.exists():
                        self._open(target)
                        waiting.append((target, path))
                elif entry.is_file and entry.name in KEYS:
                    self._found.keys.append(where)
                elif entry.is_file:
                    self._note(path, str(where), entry.status)
            if left.deeper or left.closed:
                why = f"is more than {DEEPEST} folders deep" if left.deeper else "has folders that cannot be read"
                raise UsageError(f"include: {place} {why}")

    def _note(self, name: str, path: str, status: os.stat_result) -> None:
        self._found.files.append(File(name, path, status.st_size, status.st_mtime_ns))
        if len(self._found.files) > MOST_FILES:
            raise UsageError(
                f"include: {name.partition('/')[0]} holds more than {MOST_FILES} files: pack them together"
            )

    def _leads_back(self, folder: Path) -> bool:
        """Whether a link in the folder leads to what git holds, as those of npm's workspaces do: a run's must lead to
        its own copy. Looked for where such links are, in node_modules and the folders of scopes in it."""
        if folder.is_symlink() or not {"node_modules"} & set(folder.parts[len(self._root.parts) :]):
            return False
        entries = [*_entries(folder)]
        scopes = [entry for entry in entries if entry.name.startswith("@") and entry.is_dir(follow_symlinks=False)]
        entries += [entry for scope in scopes for entry in _entries(Path(scope.path))]
        return any(self._own(Path(entry.path)) for entry in entries if entry.is_symlink())

    def _own(self, path: Path) -> str:
        """Where in the repository a link leads, if git holds that; or ""."""
        real = Path(os.path.realpath(path)) if path.is_symlink() else None
        if not real or not real.is_relative_to(self._real):
            return ""
        name = real.relative_to(self._real).as_posix()
        return name if name in self._held or name in self._above else ""


def _few(places: list[Path], root: Path) -> list[Path]:
    """The places that a sandbox opens; of very many the folder around them all, where that is not too wide."""
    if len(places) <= MANY:
        return places
    around = Path(os.path.commonpath(places))
    if any(Path(os.path.realpath(inner)).is_relative_to(around) for inner in (root, Path.home())):
        raise UsageError(f"include: {len(places)} places lie side by side: move them into a folder, and include that")
    return [around]


def _matching(root: Path, pattern: str) -> Sequence[Path]:
    if why := outside(pattern):
        raise UsageError(f"include {pattern}: {why}")
    if (root / pattern).exists():
        return [root / pattern]
    try:
        found = sorted(root.glob(pattern)) if is_glob(pattern) else []
    except (ValueError, NotImplementedError):
        found = []
    if not found:
        raise UsageError(f"include {pattern}: there is no such path in {root}")
    return [path for path in found if path != root and path.relative_to(root).parts[0] not in PRIVATE]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"include: {folder} cannot be read ({error.strerror})") from error


def _blocks(file: File, blocks: Sequence[int]) -> Iterator[bytes]:
    if not blocks:
        return
    try:
        with Path(file.path).open("rb", buffering=0) as stream:
            for block in blocks:
                stream.seek(block * BLOCK)
                yield stream.read(BLOCK)
    except OSError as error:
        raise UsageError(f"include: {file.name} cannot be read ({error.strerror})") from error


def _times(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
