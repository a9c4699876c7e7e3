"""Which files of the base commit are editable and which fixed: patterns are expanded and links followed here, once."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from swarm.errors import UsageError
from swarm.execution.workspace import is_text
from swarm.history.repository import History
from swarm.history.tree import initialise
from swarm.project.patterns import is_glob, rank
from swarm.project.project import Project
from swarm.records import Source

LARGEST = 20_000_000  # bytes of all editable files together: every experiment keeps a copy of them


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a project at a commit. `project` is the same one with its patterns as they lead there.

    Its `editable` are files, and folders and globs below which files may be added. Its `fixed` ends with every single
    fixed file; what is tracked below an editable folder and is no text that a commit could change is among them.
    """

    project: Project
    source: Source
    fixed: Source


def find_files(project: Project, history: History, commit: str) -> Files:
    """UsageError, with the remedy, where a pattern names nothing that can be edited, or kept fixed."""
    names = _Names(history, commit)
    editable, fixed = names.resolved(project.editable, "editable"), names.resolved(project.fixed, "fixed")
    if wrong := next((path for path in editable if path.split("/")[0] == ".."), None):
        raise UsageError(f"editable: {wrong} is not in {history.folder}: name a folder that holds it with -C")
    candidates = [path for path in names.below(editable) if rank(path, editable) > rank(path, fixed)]
    refused = names.refusals(candidates)
    if wrong := next((path for path in refused if path in editable), None):
        raise UsageError(f"editable: {wrong} {refused[wrong]}")
    contents = names.read(path for path in candidates if path not in refused)
    source = {path: content for path, content in contents.items() if path in editable or is_text(content)}
    if not source:
        raise UsageError(f"editable: {', '.join(project.editable)} names no text file that is not fixed")
    if (size := sum(map(len, source.values()))) > LARGEST:
        raise UsageError(
            f"editable: {', '.join(project.editable)} names {len(source)} files of {size / 1e6:.0f} MB, and every"
            f" experiment keeps a copy: name less than {LARGEST / 1e6:.0f} MB"
        )
    kept = [path for path in names.below(fixed) if path not in source]
    if wrong := next(iter(names.incomplete(kept)), None):
        raise UsageError(f"fixed: {wrong} is stored with Git LFS, and its content is not here: `git lfs pull`")
    every = list(dict.fromkeys((*kept, *(path for path in names.below(editable) if path not in source))))
    settled = dataclasses.replace(
        project, prefix=history.prefix, editable=editable, fixed=tuple(dict.fromkeys((*fixed, *every)))
    )
    return Files(settled, Source(source), Source(names.read(every)))


class _Names:
    """The paths of a commit's files and links, seen from the project's folder."""

    def __init__(self, history: History, commit: str):
        self._history, self._tree = history, history.tree(commit)
        self._paths = dict.fromkeys(history.outside(path) for path in self._tree.entries)

    def resolved(self, patterns: Iterable[str], key: str) -> tuple[str, ...]:
        """The patterns in their normal form; in the place of a link, what it leads to."""
        try:
            return tuple(dict.fromkeys(map(self._resolved, patterns)))
        except UsageError as error:
            raise UsageError(f"{key}: {error}") from error

    def below(self, patterns: Iterable[str]) -> list[str]:
        """The files and links that the patterns name, in the order in which they do."""
        found: dict[str, None] = {}
        for pattern in patterns:
            exact = pattern in self._paths
            found |= dict.fromkeys([pattern] if exact else [p for p in self._paths if rank(p, (pattern,)) >= 0])
        return list(found)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The content of these files and links, by path."""
        by_place = {self._history.inside(path): path for path in paths}
        return {by_place[entry.path]: content for entry, content in self._tree.contents(list(by_place))}

    def refusals(self, paths: Iterable[str]) -> dict[str, str]:
        """Why a commit of ours could not hold a changed one, for those of the paths of which that is so."""
        found = {}
        places = {self._history.inside(path): path for path in paths}
        stored = self._tree.stored_apart(list(places))
        for place, path in places.items():
            if submodule := self._tree.submodule_of(place):
                found[path] = f"is in the submodule {submodule}, a repository of its own: launch there, with -C"
            elif self._tree.entries[place].is_link:
                found[path] = "is a symbolic link"
            elif place in stored:
                found[path] = "is stored with Git LFS, and commits of a swarm hold plain files: take it out of LFS"
        return found

    def incomplete(self, paths: Iterable[str]) -> list[str]:
        """Those of the paths whose content Git LFS has not brought here."""
        missing = self._tree.incomplete([self._history.inside(path) for path in paths])
        return [self._history.outside(place) for place in missing]

    def _resolved(self, pattern: str) -> str:
        normal = posixpath.normpath(pattern)
        place = self._history.inside(normal)
        if posixpath.isabs(normal) or place.split("/")[0] == "..":
            raise UsageError(f"{pattern} is not in the repository: name files that it holds")
        if is_glob(normal) and normal not in self._paths:
            if not self.below((normal,)):
                raise UsageError(f"{pattern} matches no file of the last commit")
            return normal
        found = self._tree.follow(place)
        if found not in self._tree.entries and not self._tree.holds(found):
            raise UsageError(self._missing(pattern, place, found))
        return self._history.outside(found or ".")

    def _missing(self, pattern: str, place: str, found: str) -> str:
        """Why there is nothing, and what helps."""
        absent = next((name for name in self._tree.absent if f"{found}/".startswith(f"{name}/")), None)
        if absent is not None:
            return f"{pattern} is in the submodule {absent}, which is not checked out: `{initialise(absent)}`"
        if place != found:
            return f"{pattern} is a symbolic link to {found}, which is not in the last commit"
        return f"{pattern} is not in the last commit: commit it first"
