"""Where prepared data lies, and which of it a sandboxed training must not read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swarm.project.project import Project

_USUAL_CACHE = "~/.cache/autoresearch"


def cache_of(environment: Mapping[str, str]) -> Path:
    """The folder of the prepared data for a program with this environment."""
    return Path(environment.get("AUTORESEARCH_CACHE") or _USUAL_CACHE).expanduser().resolve()


def held_out_of(project: Project, environment: Mapping[str, str], root: Path | None = None) -> tuple[Path, ...]:
    """The project's held-out data, as far as it is prepared for a program with this environment, or is included from
    the checkout at `root`; and what else was prepared here, where it is known which corpus runs use: another split of
    the same text trains on what this one holds out."""
    cache, usual = cache_of(environment), Path(_USUAL_CACHE).expanduser().resolve()
    places = (cache, *((root,) if root and project.include else ()))
    found = {path.resolve() for place in places for pattern in project.held_out for path in place.glob(pattern)}
    used = environment.get("AUTORESEARCH_CORPUS") or ""
    corpora = {path.parent for path in found if path.is_file() and path.parent != cache and cache in path.parents}
    if any(folder.name == used for folder in corpora):
        others = {folder for folder in corpora if folder.name != used}
        found = {path for path in found if path.parent not in others} | others
    if project.held_out and usual.is_dir() and not cache.is_relative_to(usual) and not usual.is_relative_to(cache):
        found.add(usual)  # caches are open to runs, and this one's held-out data is as good
    return tuple(sorted(found))
