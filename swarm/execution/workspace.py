"""A workspace: a plain folder with all files of a repository at one state, to edit in or to run in."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from swarm.errors import Unmakeable, is_of_the_machine
from swarm.execution.base_tree import ForbiddenEdit, Member, base_tree
from swarm.execution.laid_tree import LaidTree
from swarm.execution.machine.folder_walk import Entry, walk
from swarm.execution.machine.plain_file import TooLarge, read_plain_file
from swarm.foreign_python import parse
from swarm.project.project import Project
from swarm.records import Edit, Source
from swarm.text import read_text

LARGEST = 2_000_000  # bytes of a file that is edited as text
LARGEST_READ = 2**28  # and of one that is read at all


class Workspace:
    """A folder made from a base tree and a source, as often as wanted; what is still as it was is not written again.

    `base` is a tar archive of the base commit's tree: hosts need no clone. `folder` holds the whole repository and
    `project_folder` in it the project, from where all paths lead. Nothing outside `folder` is ever written or removed,
    whatever links a run left in it.
    """

    def __init__(self, folder: Path, base: bytes, project: Project) -> None:
        self.folder = folder
        self.project_folder = folder / project.prefix
        self._base = base
        self._project = project

    def fresh(self, source: Source) -> Path:
        """The project's folder in the workspace, which is emptied and made anew: the base tree with the source's files.
        Nothing of earlier runs is left. Unmakeable where that cannot be done, on whatever machine."""
        try:
            return self._lay(source)
        except (OSError, tarfile.TarError) as error:
            if isinstance(error, OSError) and is_of_the_machine(error):
                raise
            raise Unmakeable(f"the project's files cannot be laid out in {self.folder}: {error}") from error

    def _lay(self, source: Source) -> Path:
        self._laid.lay()
        self.project_folder.mkdir(parents=True, exist_ok=True)
        for path, content in source.files.items():
            target = self._inside(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            runs = target.is_file() and not target.is_symlink() and target.stat().st_mode & stat.S_IXUSR
            target.unlink(missing_ok=True)  # a link in the base tree may lead out of the folder
            target.write_bytes(content)
            target.chmod(0o755 if runs else 0o644)
        self._laid.remember([posixpath.join(self._project.prefix, path) for path in source.files])
        return self.project_folder

    def read(self, paths: Iterable[str]) -> Source:
        """The files as they now are. A missing one, or one that became a link, is a ForbiddenEdit."""
        return Source({path: self._content(path) for path in paths})

    def edit_from(self, parent: Source) -> Edit:
        """What differs from `parent` among the editable files, for researchers that edit in place.

        New files count where they may be made (new_files), and are ignored elsewhere. ForbiddenEdit where an editable
        file was deleted, or any other file of the base tree changed or deleted.
        """
        touched = [path for path, sha in self._shas.items() if path not in parent.files and self._sha(path) != sha]
        if touched:
            editable = ", ".join(self._project.editable)
            raise ForbiddenEdit(f"changed {_some(touched)}, but only {editable} may be edited")
        known = {*self._shas, *parent.files}
        new = (path for path in new_files(self.project_folder, self._project.may_edit) if path not in known)
        return self.read([*parent.files, *new]).edit_from(parent)

    @cached_property
    def paths(self) -> frozenset[str]:
        """Every file and link of the base tree, from the project's folder."""
        return frozenset(self._outside(path) for path, member in self._tree.items() if not member.is_folder)

    def fixed_files(self) -> dict[str, str]:
        """sha256 by path of the fixed files as the base tree has them. A fixed folder stands for all files in it."""
        return {path: sha for path, sha in self._shas.items() if self._project.is_fixed(path)}

    def hashes(self, source: Source) -> dict[str, str]:
        """sha256 by path of the files that a run must not change: the fixed files, and the source that it trains."""
        return self.fixed_files() | {
            path: hashlib.sha256(content).hexdigest() for path, content in source.files.items()
        }

    def is_untouched(self, source: Source) -> bool:
        """Whether the source is the base tree's own, byte for byte."""
        return all(hashlib.sha256(held).hexdigest() == self._shas.get(path) for path, held in source.files.items())

    @cached_property
    def _tree(self) -> Mapping[str, Member]:
        return base_tree(self._base)

    @cached_property
    def _laid(self) -> LaidTree:
        return LaidTree(self.folder, self._tree)

    def _outside(self, path: str) -> str:
        """The path from the project's folder, of one from the repository's root."""
        return posixpath.relpath(path, self._project.prefix or ".")

    @cached_property
    def _shas(self) -> dict[str, str]:
        """sha256 by path, from the project's folder, of every plain file in the base tree."""
        files = ((path, member.content) for path, member in self._tree.items() if member.content is not None)
        return {self._outside(path): hashlib.sha256(content).hexdigest() for path, content in files}

    def _sha(self, path: str) -> str | None:
        try:
            return hashlib.sha256(self._content(path)).hexdigest()
        except ForbiddenEdit:
            return None

    def _content(self, path: str) -> bytes:
        try:
            return read_plain_file(self._inside(path), LARGEST_READ)
        except TooLarge as error:
            raise ForbiddenEdit(f"{path} is larger than {LARGEST_READ} bytes") from error
        except OSError as error:
            raise ForbiddenEdit(
                f"{path} is gone: editable files may be changed, not deleted or replaced by links"
            ) from error

    def _inside(self, path: str) -> Path:
        """The place of a relative path: all folders on its way are inside the workspace, itself may be a link."""
        target = Path(os.path.normpath(self.project_folder / path))
        inside = target.is_relative_to(self.folder) and target != self.folder
        if not inside or not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(self.folder)):
            raise ForbiddenEdit(f"{path} is outside the workspace")
        return target


def new_files(folder: Path, may_edit: Callable[[str], bool]) -> Iterator[str]:
    """Paths of text files in the folder that an edit may bring, those that are there already among them.

    What programs leave behind is none of them: hidden files, caches, and what is no text.
    """
    found = (entry for entry in walk(folder, enters=_holds_code) if entry.is_file and not entry.name.startswith("."))
    for path in sorted(entry.path for entry in found if may_edit(entry.path)):
        if _is_text_file(folder / path):
            yield path


def _holds_code(folder: Entry) -> bool:
    return not folder.name.startswith(".") and folder.name != "__pycache__"


def _is_text_file(path: Path) -> bool:
    try:
        return is_text(read_plain_file(path, LARGEST))
    except OSError:
        return False


def is_text(content: bytes) -> bool:
    """Whether a person could edit this: it is not large, and its text, in whatever encoding, is one."""
    return len(content) <= LARGEST and read_text(content).is_proper


def parses(edit: Edit) -> str | None:
    """None if every Python file of the edit parses, else one line that says where it does not."""
    for path, content in edit.files.items():
        if path.endswith(".py"):
            try:
                parse(content)
            except SyntaxError as error:
                return f"{path}, line {error.lineno}: {error.msg}"
            except (ValueError, RecursionError, MemoryError) as error:  # null bytes; nested too deep for the parser
                return f"{path}: {error or type(error).__name__}"
    return None


def _some(paths: list[str]) -> str:
    shown = ", ".join(sorted(paths)[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
