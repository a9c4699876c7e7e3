"""Finds code in an edit that could falsify its result: imports, file access, the clock, the seed, patches, prints.

What is found is compared with what the file held before the edit, and only what is new counts: what a project's own
file does is its owner's business. Reading the syntax finds what is not hidden, before a GPU is spent on it; code that
hides what it does is stopped by the referee and the sandbox.
"""

from __future__ import annotations

from collections import Counter

from swarm.agent.cheat_marks import Mark, marks
from swarm.agent.cheat_names import NEEDED
from swarm.foreign_python import UNREADABLE


def new_fault(before: bytes, after: bytes) -> str:
    """The first thing in `after` that an edit of `before` may not bring or take away, as `check: what (line n)`; "" if
    there is none. Of a `before` that is no Python everything is new."""
    try:
        found = sorted(marks(after), key=lambda pair: pair[1])
    except UNREADABLE:
        return "syntax: it does not parse, or is nested too deep to be checked"
    left = Counter(mark for mark, _ in _marks_if_any(before))
    there = frozenset(left)
    for mark, line in found:
        left[mark] -= 1
        known = mark.check == "dependency" and mark in there  # what is there may be used more
        if left[mark] < 0 and not known and mark.check != "keeps":
            return f"{mark.check}: {mark.what} (line {line})"
    for mark, missing in left.items():
        if mark.check == "keeps" and missing > 0:
            return f"{NEEDED[mark.what]}: .{mark.what} is no longer used as it was"
    return ""


def _marks_if_any(code: bytes) -> tuple[tuple[Mark, int], ...]:
    try:
        return marks(code)
    except UNREADABLE:
        return ()
