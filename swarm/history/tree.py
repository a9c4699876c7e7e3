"""All that a commit holds, as a run should see it: submodules from their checkouts, Git LFS files whole."""

from __future__ import annotations

import hashlib
import itertools
import os
import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from swarm.errors import UsageError
from swarm.history.git import Git

LINK, EXECUTABLE, SUBMODULE = "120000", "100755", "160000"  # modes of a tree's entries
HOPS = 40  # links on the way to one file, at most, as on Linux
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-\S+ \S+\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n?"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or link by its path from the root. `git` is the repository that holds it, which a submodule's file has
    in `own` by the path there."""

    path: str
    mode: str
    sha: str
    git: Git
    own: str

    @property
    def is_link(self) -> bool:
        return self.mode == LINK


class Tree:
    """The commit's files and links by path. `submodules` are those whose files are among them, `absent` are not."""

    def __init__(self, git: Git, commit: str):
        self.entries: dict[str, Entry] = {}
        self.submodules: set[str] = set()
        self.absent: list[str] = []
        self._git = git
        self._add(git, commit, "")

    def contents(self, paths: list[str]) -> Iterator[tuple[Entry, bytes]]:
        """The entries at these paths with their content: of a link where it points to, of a Git LFS file what the
        pointer stands for, as far as that is here."""
        for entry, content in self._raw(paths):
            yield entry, content if entry.is_link else _stored(entry, content)

    def read(self, path: str) -> bytes:
        """The content of the file at `path`, which links may lead to; UsageError where none does."""
        found = self.follow(path)
        if found not in self.entries:
            raise UsageError(f"{self._shown(path, found)} is not in the last commit: commit it first")
        [(_, content)] = self.contents([found])
        if is_pointer(content):
            raise UsageError(f"{path} is stored with Git LFS and its content is not here: `git lfs pull`")
        return content

    def follow(self, path: str) -> str:
        """Where the path leads when all links on its way are followed; UsageError where they leave the repository."""
        left, done, hops = list(PurePosixPath(path).parts), list[str](), 0
        while left:
            part = left.pop(0)
            if part == "..":
                if not done:
                    raise UsageError(f"{path} leads out of the repository: name a file that is in it")
                done.pop()
                continue
            done.append(part)
            entry = self.entries.get("/".join(done))
            if entry is None or not entry.is_link:
                continue
            hops += 1
            if hops > HOPS:
                raise UsageError(f"{path} is a symbolic link that leads back to itself")
            target = self._target(entry)
            if target.startswith("/"):
                raise UsageError(
                    f"{path} leads out of the repository, to {target}: name a file that is in it, or copy that one here"
                )
            done.pop()
            left = [*PurePosixPath(target).parts, *left]
        return "/".join(done)

    def holds(self, folder: str) -> bool:
        """Whether there is anything in a folder; "" is the root."""
        return any(not folder or path.startswith(f"{folder}/") for path in self.entries)

    def submodule_of(self, path: str) -> str:
        """The innermost submodule that the file is in, or ""."""
        return max((name for name in self.submodules if path.startswith(f"{name}/")), key=len, default="")

    def stored_apart(self, paths: list[str]) -> set[str]:
        """Those of the files that Git LFS stores."""
        plain = [path for path in paths if not self.entries[path].is_link]
        return {entry.path for entry, content in self._raw(plain) if is_pointer(content)}

    def incomplete(self, paths: list[str]) -> list[str]:
        """Those of the files whose content Git LFS stores and has not brought here."""
        plain = [path for path in paths if not self.entries[path].is_link]
        found = self._raw(plain)
        return [entry.path for entry, content in found if is_pointer(content) and not _places(entry, content)]

    def outward(self, entry: Entry, target: str) -> bool:
        """Whether the link leads out of the repository."""
        folder = posixpath.dirname(entry.path)
        return target.startswith("/") or posixpath.normpath(posixpath.join(folder, target)).startswith("..")

    def gaps(self) -> list[str]:
        """What a run will not find in its copy although it is tracked, with the remedy; for people."""
        found = [f"the submodule {path} is not checked out: `{initialise(path)}`" for path in self.absent]
        links = [path for path, entry in self.entries.items() if entry.is_link]
        for entry, content in self.contents(links):
            target = os.fsdecode(content)
            if self.outward(entry, target) and (entry.git.root / entry.own).exists():
                found.append(f"the link {entry.path} leads out of the repository, to {target}, on this host only")
        if pointers := self.incomplete(list(self.entries)) if self._uses_lfs() else []:
            some = ", ".join(pointers[:3]) + (f" and {len(pointers) - 3} more" if len(pointers) > 3 else "")
            found.append(f"the content of {some} is not here, as Git LFS keeps it: `git lfs pull`")
        return found

    # -- reading git ---------------------------------------------------------------------------------------------

    def _add(self, git: Git, commit: str, place: str) -> None:
        for line in git.fields("ls-tree", "-r", "-z", "--full-tree", commit):
            head, _, own = line.partition("\t")
            mode, _, sha = head.split(" ")
            path = place + own
            if mode != SUBMODULE:
                self.entries[path] = Entry(path, mode, sha, git, own)
            elif (submodule := _checked_out(git.root / own)) and submodule.commit(sha):
                self.submodules.add(path)
                self._add(submodule, sha, f"{path}/")
            else:
                self.absent.append(path)

    def _target(self, link: Entry) -> str:
        return os.fsdecode(next(link.git.contents([link.sha])))

    def _uses_lfs(self) -> bool:
        rules = [path for path in self.entries if posixpath.basename(path) == ".gitattributes"]
        return any(b"filter=lfs" in content for _, content in self._raw(rules))

    def _raw(self, paths: list[str]) -> Iterator[tuple[Entry, bytes]]:
        """The entries at these paths with what git itself holds of them."""
        entries = (self.entries[path] for path in paths)
        for git, some in itertools.groupby(entries, key=lambda entry: entry.git):
            group = list(some)
            yield from zip(group, git.contents([entry.sha for entry in group]), strict=True)

    def _shown(self, path: str, found: str) -> str:
        return path if path == found else f"{path}, a symbolic link to {found},"


def initialise(submodule: str) -> str:
    """What a person types to check a submodule out."""
    return f"git submodule update --init --recursive {shlex.quote(submodule)}"


def is_pointer(content: bytes) -> bool:
    """Whether this is what git holds of a file that Git LFS stores."""
    return len(content) < 1024 and _POINTER.fullmatch(content) is not None


def _stored(entry: Entry, content: bytes) -> bytes:
    """What a Git LFS pointer stands for, where that is here; else what git holds."""
    for place in _places(entry, content):
        found = place.read_bytes()
        if hashlib.sha256(found).hexdigest().encode() in content:
            return found
    return content


def _places(entry: Entry, content: bytes) -> list[Path]:
    """Files that should hold what a Git LFS pointer stands for: in LFS's own store, and in the checkout."""
    pointer = _POINTER.fullmatch(content) if len(content) < 1024 else None
    if pointer is None:
        return []
    oid, size = pointer[1].decode(), int(pointer[2])
    places = (entry.git.common / "lfs" / "objects" / oid[:2] / oid[2:4] / oid, entry.git.root / entry.own)
    return [place for place in places if place.is_file() and place.stat().st_size == size]


def _checked_out(folder: Path) -> Git | None:
    """The repository of a submodule; None where there is only its empty folder."""
    if not (folder / ".git").exists():
        return None
    try:
        return Git(folder)
    except UsageError:
        return None
