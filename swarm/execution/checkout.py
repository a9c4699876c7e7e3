"""The user's checkout on this machine, as far as a run sees it: what is included, and the repository's environments."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swarm.errors import MachineFault, UsageError
from swarm.execution.included import MANY, Included, environments, include
from swarm.project.environment import own_environment
from swarm.project.project import Project

_IN_CHECKOUT = re.compile(r"\{repo\}/([^\s'\";&|<>()]+)")  # a path of it, in a word or a line for a shell


@dataclass(frozen=True, slots=True)
class Checkout:
    """`root` is None on a host that does not have the repository; then a run sees what git holds, and no more."""

    root: Path | None = None
    included: Included = field(default_factory=Included)
    environments: Included = field(default_factory=Included)
    manifests: tuple[Path, ...] = ()  # files at the top that git holds: tools look for them in all folders above a copy

    @staticmethod
    def of(root: Path | None, project: Project, held: Collection[str]) -> Checkout:
        """The checkout at `root`, whose commit holds the paths `held`; MachineFault where something to include is not
        on this machine."""
        if root is None and project.include:
            raise MachineFault(f"{_listed(project)}: the repository's folder is not there; share it, or copy it there")
        if root is None:
            return Checkout()
        try:
            included = include(root, project.include, held)
            top = (root / name for name in sorted(held) if "/" not in name)
            manifests = tuple(path for path in top if path.is_file() and not path.is_symlink())
            return Checkout(root, included, environments(root, held, included), manifests[:MANY])
        except UsageError as error:
            raise MachineFault(str(error)) from error

    @property
    def links(self) -> Mapping[str, str]:
        """What the links to included data lead to, by their paths in a copy: a run must leave them as they are."""
        return {link.path: link.target for link in self.included.links}

    def place(self, copy: Path) -> None:
        """Makes the links in a fresh copy of the repository."""
        self.included.place(copy)
        self.environments.place(copy)

    def opened(self, project: Project) -> Iterator[Path]:
        """What a sandbox lets a run read besides its copy."""
        yield from (*self.included.opened, *self.environments.opened, *readable_of(project, self.root))
        if self.root and (own := own_environment(self.root)):
            yield own
        words = (*project.command, *project.referee, *project.hidden, *project.checks) if self.root else ()
        for name in (match[1] for word in words for match in _IN_CHECKOUT.finditer(word)):
            yield Path(self.root or "", name)


def readable_of(project: Project, root: Path | None) -> Iterator[Path]:
    """The folders that `readable` names; what is no absolute path starts at the repository."""
    for name in project.readable:
        path = Path(name).expanduser()
        if root or path.is_absolute():
            yield (root or Path()) / path


def _listed(project: Project) -> str:
    return f"include = [{', '.join(map(repr, project.include))}]"
