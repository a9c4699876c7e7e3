"""Where an idea stands after its verdict. One losing run proves nothing: unproven is not refuted."""

from __future__ import annotations

from enum import StrEnum

from swarm.judge.race import NEAR_MISS
from swarm.records import Status

NOOP = "no-op"  # how the reason of a verdict begins where the edit changed no loss


class Standing(StrEnum):
    """What is known of an idea."""

    KEPT = "kept"
    REFUTED = "refuted"  # a gain of even half a sigma is unlikely
    UNPROVEN = "unproven"  # no gain showed, which does not rule out a small one
    NEAR_MISS = "near miss"  # could not be told from its parent
    NOOP = "no-op"  # its edit did nothing: the idea itself was never tested
    CRASHED = "crashed"


def standing(status: str | None, reason: str, high: float | None, sigma: float | None) -> Standing | None:
    """The standing of an experiment with this verdict; None before there is one.

    `high` is the upper 95% bound of its gain, `sigma` the noise of one run. Refuted needs that bound under half a
    sigma, whatever the number of runs.
    """
    match status:
        case None:
            return None
        case Status.KEEP:
            return Standing.KEPT
        case Status.CRASH:
            return Standing.CRASHED
    for word in (Standing.NOOP, Standing.NEAR_MISS):
        if reason.startswith({Standing.NOOP: NOOP, Standing.NEAR_MISS: NEAR_MISS}[word]):
            return word
    refuted = high is not None and sigma is not None and high < sigma / 2
    return Standing.REFUTED if refuted else Standing.UNPROVEN
