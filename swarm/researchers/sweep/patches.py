"""Structural patches: changes of expressions in a training file, as syntax. One that finds no place is not offered."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from swarm.researchers.sweep.patch_places import has_code, has_name


@dataclass(frozen=True, slots=True)
class Exchange:
    """Every expression (or simple statement) that reads `old` becomes `new`; only in the top-level `within`, if named.

    Layout does not matter when `old` is looked for; `new` brings its own parentheses where its place needs them.
    """

    old: str
    new: str
    within: str = ""


@dataclass(frozen=True, slots=True)
class Insertion:
    """`code`, whole statements, goes before the top-level class or function `before`."""

    before: str
    code: str


Change = Exchange | Insertion


@dataclass(frozen=True, slots=True)
class Patch:
    """One structural idea. `ways` says how, for files that are shaped differently: the first that fits is taken.

    `weight` is how often such a change is drawn, where a good knob has 1.
    """

    title: str
    category: str
    rationale: str
    ways: tuple[tuple[Change, ...], ...]
    weight: float = 0.5

    def fits(self, text: str) -> bool:
        """Whether the text has all places of one way: what is not so is not applied. Takes no time worth a word."""
        return any(_fits(text, way) for way in self.ways)

    def apply(self, text: str) -> str | None:
        """`text` with all changes of the first way that finds all its places; None where no way does."""
        return _applied(self, text)


@functools.lru_cache(maxsize=64)  # one parent is asked for every patch, at every proposal
def _applied(patch: Patch, text: str) -> str | None:
    for way in patch.ways:
        # Rewriting a file takes a tenth of a second; most patches are seen not to fit without it.
        if _fits(text, way) and (changed := _changed(text, way)):
            return changed
    return None


def _fits(text: str, way: tuple[Change, ...]) -> bool:
    """Whether every change of this way has a place in the text, as far as the changes before it do not make one."""
    return all(
        has_name(text, change.before) if isinstance(change, Insertion) else has_code(text, change.old, change.within)
        for change in way
    )


def _changed(text: str, way: tuple[Change, ...]) -> str | None:
    from swarm.researchers.sweep import patch_syntax  # it imports libcst, which takes as long as a plan without it

    try:
        changed = patch_syntax.parsed_module(text)
        for change in way:
            if isinstance(change, Insertion):
                changed = patch_syntax.inserted(changed, change.before, change.code)
            else:
                changed = patch_syntax.exchanged(changed, change.old, change.new, change.within)
            if changed is None:
                return None
        return changed.code
    except patch_syntax.UNCHANGEABLE:
        return None
