"""Are two changes, or two values, so near that the second would hardly teach anything new?"""

from __future__ import annotations

import functools
import re

from swarm.records import Change

LONG = 80  # tokens from which on likeness of the text says something about likeness of the idea
ALIKE, AKIN = 0.93, 0.8  # shares of tokens in common, in order: alike, and alike if the words are too
SAME_WORDS = 90.0  # of 100: how far title and rationale of one are in those of the other
NEAR = 0.03  # by how much, relatively, two numbers may differ and be nearly one

_TOKENS = re.compile(r"\d+\.?\d*(?:e[-+]?\d+)?|\w+|[^\w\s]")


def alike(one: Change, other: Change) -> bool:
    """Whether two changes are so near that the second would hardly teach anything new.

    The same code with a number that is hardly another one, or much code that is nearly the same. Two short changes in
    different words are never alike: GELU for ReLU is not SiLU for ReLU.
    """
    (ours, shape), (theirs, other_shape) = _read_change(one.diff), _read_change(other.diff)
    if shape == other_shape:
        return all(map(_near, ours, theirs))
    if len(ours) < LONG or len(theirs) < LONG:
        return False
    from rapidfuzz import fuzz  # only where two long changes are compared
    from rapidfuzz.distance import Indel

    share = Indel.normalized_similarity(ours, theirs)
    return share >= ALIKE or (share >= AKIN and fuzz.token_set_ratio(one.words, other.words) >= SAME_WORDS)


@functools.lru_cache(maxsize=4096)  # every new change is compared with the same old ones
def _read_change(diff: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the change brings and where (of one that only removes, what it removes), in tokens; and without numbers."""
    lines = diff.splitlines()
    brought = [line for line in lines if not line.startswith("- ")]
    tokens = tuple(_TOKENS.findall("\n".join(brought if any(b.startswith("+ ") for b in brought) else lines)))
    return tokens, tuple("0" if token[0].isdigit() else token for token in tokens)


def _near(first: str, second: str) -> bool:
    """Whether two tokens are one, or two numbers that hardly differ."""
    if first == second:
        return True
    if not (first[0].isdigit() and second[0].isdigit()):
        return False
    whole = first.isdigit() and second.isdigit()
    return hardly_differ(int(first), int(second)) if whole else hardly_differ(float(first), float(second))


def hardly_differ(a: float | str, b: float | str) -> bool:
    """Whether two values are one, or two numbers so near that the second would hardly teach anything new.

    Whole numbers below a thousand are counted: 3 layers are not 4.
    """
    if a == b or isinstance(a, str) or isinstance(b, str):
        return a == b
    if isinstance(a, int) and isinstance(b, int) and min(a, b) < 1000:
        return False
    rests = (a, b) if min(a, b) >= 1 else (1 - a, 1 - b)  # seen from 1, 0.99 is twice as far as 0.995
    return _ratio(a, b) <= NEAR and _ratio(*rests) <= NEAR


def _ratio(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-300)
