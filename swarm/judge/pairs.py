"""Fresh runs of two arms, side by side: both on each GPU, in alternating order, so that no GPU favours either."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from msgspec import Struct


class Half(Struct, frozen=True):
    """One run of a pair: which GPU has begun it, of which arm (0 the candidate, 1 its rival), in which pair."""

    gpu: str
    arm: int
    pair: int


def next_half(
    begun: Sequence[Half], gpu: str, alive: Collection[str], wanted: int, only: int | None = None
) -> Half | None:
    """What `gpu` should run next for `wanted` pairs; None where nothing is left for it.

    `begun` are the halves that run or have ended; one that was lost is not among them, and is begun again. A GPU
    finishes its own pair before it begins another; what is left of a pair whose GPU is not `alive` is for anybody.
    `only` is the one arm that may run now, where the other is not settled yet.
    """
    arms = (0, 1) if only is None else (only,)
    pairs: dict[int, list[Half]] = defaultdict(list)
    for half in begun:
        pairs[half.pair].append(half)
    left = [(halves[0].gpu, Half(gpu, 1 - halves[0].arm, pair)) for pair, halves in pairs.items() if len(halves) == 1]
    left = sorted((other for other in left if other[1].arm in arms), key=lambda other: other[1].pair)
    own = next((half for whose, half in left if whose == gpu), None)
    if own:
        return own
    fresh = next((pair for pair in range(wanted) if pair not in pairs), None)
    if fresh is not None:
        return Half(gpu, arms[fresh % len(arms)], fresh)
    return next((half for whose, half in left if whose not in alive), None)
