"""The tree of a base commit, read once from its archive: what every copy of the repository is laid out from."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import SwarmError


class ForbiddenEdit(SwarmError):
    """A researcher changed a file that is not editable: the edit is refused and the claim released."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file (`content`), link (`target`) or folder (neither) of the tree."""

    content: memoryview | None = None
    runs: bool = False  # it may be executed
    target: str | None = None

    @property
    def is_folder(self) -> bool:
        return self.content is None and self.target is None

    def make(self, place: Path) -> None:
        """Makes it at a place where there is nothing, in a folder that is there."""
        if self.target is not None:
            place.symlink_to(self.target)
        elif self.content is None:
            place.mkdir()
        else:
            place.write_bytes(self.content)
            place.chmod(0o755 if self.runs else 0o644)


def base_tree(archive: bytes) -> Mapping[str, Member]:
    """The members by their paths from the repository's root, every folder before what is in it.

    Raises:
        ForbiddenEdit: a member would lie outside, or behind a link.
        tarfile.TarError: it is no tar archive.
    """
    found: dict[str, Member] = {}
    for path, member in _members(archive):
        for folder in reversed([*_parents(path)]):
            if not found.setdefault(folder, Member()).is_folder:
                raise ForbiddenEdit(f"{path} lies behind {folder}, which is no folder")
        if not (member.is_folder and path in found):
            found[path] = member
    return dict(sorted(found.items()))  # a folder's path is the beginning of those in it


def _members(archive: bytes) -> Iterator[tuple[str, Member]]:
    whole = memoryview(archive)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
        for info in opened:
            path = posixpath.normpath(info.name)
            if path == ".":
                continue
            if path.startswith(("/", "../")) or path == "..":
                raise ForbiddenEdit(f"{path} is outside the workspace")
            if info.isdir():
                yield path, Member()
            elif info.issym():
                yield path, Member(target=info.linkname)
            elif info.isreg() and not info.issparse():
                content = whole[info.offset_data : info.offset_data + info.size]
                yield path, Member(content, bool(info.mode & 0o100))


def _parents(path: str) -> Iterator[str]:
    """The folders around a path, the nearest first."""
    while path := posixpath.dirname(path):
        yield path
