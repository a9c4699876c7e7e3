"""The folder in which a coding command edits: the project's files laid out anew for each step, and what it changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from swarm.execution.machine.folder_walk import walk
from swarm.execution.machine.plain_file import open_plain, read_plain_file
from swarm.execution.machine.removal import remove
from swarm.execution.workspace import LARGEST, new_files
from swarm.project.patterns import Scope
from swarm.records import Edit

# What coding commands read as instructions or settings. A project's own are for those who develop it.
_INSTRUCTIONS = (
    "CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", "GEMINI.md", ".claude", ".mcp.json", ".codex", ".gemini",
    ".aider.conf.yml", ".cursor", ".git",
)  # fmt: skip


NOWHERE = Scope()
NOTE, PREFIX = "scratch.txt", "swarm-"  # in an agent's folder: where its home is; and how the name of that begins


def make_home(agent: str, folder: Path | None) -> tempfile.TemporaryDirectory[str]:
    """A home outside the repository for the agent that works in `folder`; what an earlier life of it left is removed.

    An agent that is killed cannot clear up behind itself: the next one does, or the head at the end of the swarm.
    """
    if folder:
        clear(folder)
    home = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{agent}-", ignore_cleanup_errors=True)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NOTE).write_text(home.name)
    return home


def clear(folder: Path) -> None:
    """Removes the home that the agent of this folder left, if there is one."""
    try:
        home = Path((folder / NOTE).read_text())
    except OSError:
        return
    if home.parent == Path(tempfile.gettempdir()) and home.name.startswith(PREFIX) and home.exists():
        remove(home)
    (folder / NOTE).unlink(missing_ok=True)


class Scratch:
    """The folder `home/project`, laid out anew for every run of a command. It stays the same path, as sessions need.

    The base tree never changes within a swarm: it is kept once, when it is first seen. So no run depends on a folder
    that somebody else is clearing meanwhile.
    """

    def __init__(self, home: Path, tree: Path | None = None, scope: Scope = NOWHERE) -> None:
        """`scope` says where new files may be made."""
        self.folder = home / "project"
        self._base = home / "base"
        self.editable: Mapping[str, bytes] = {}
        self._fixed: Mapping[str, str] = {}
        self._papers: frozenset[str] = frozenset()
        self.scope = scope
        if tree:
            self.keep(tree)

    def keep(self, tree: Path) -> None:
        """Takes the base tree from a folder that holds it."""
        if not self._base.exists():
            shutil.copytree(tree, self._base, symlinks=True, ignore=shutil.ignore_patterns(*_INSTRUCTIONS))

    def lay(self, files: Mapping[str, bytes], more: Mapping[str, str]) -> None:
        """The base tree with the editable files as given, and the texts of `more` beside them."""
        remove(self.folder)
        if self._base.exists():
            shutil.copytree(self._base, self.folder, symlinks=True)
        texts = {path: text.encode() for path, text in more.items()}
        for path, content in {**files, **texts}.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_bytes(content)
        self.editable, self._papers = dict(files), frozenset(texts)
        shas = {entry.path: _sha(self.folder / entry.path) for entry in walk(self.folder) if entry.is_file}
        self._fixed = {path: sha for path, sha in shas.items() if path not in self.editable and path not in texts}

    def edit(self) -> Edit:
        """What differs from what was laid. A fixed file that was touched is among it, and an editable one that is gone:
        neither passes the gate, which says so. New files elsewhere than in editable folders are scribbles."""
        changed, gone = {}, []
        for path, content in self.editable.items():
            try:
                now = self.read(path)
            except OSError:
                gone.append(path)
                continue
            if now != content:
                changed[path] = now
        for path, sha in self._fixed.items():
            target = self.folder / path
            if _sha(target) != sha:
                changed[path] = b""
        for path in new_files(self.folder, self.scope.may_edit):
            if path not in self.editable and path not in self._fixed and path not in self._papers:
                changed[path] = self.read(path)
        return Edit(changed, tuple(gone))

    def read(self, path: str) -> bytes:
        """A plain file's content; OSError where there is none, or a link, or one that is too large."""
        target = self.folder / path
        if not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self.folder)):
            raise OSError(f"{path} is no plain file of at most {LARGEST} bytes")
        return read_plain_file(target, LARGEST)


def _sha(path: Path) -> str:
    """The hash of a plain file; "" where there is none any more."""
    try:
        with open_plain(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
