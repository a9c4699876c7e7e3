"""How long a machine stood still: asleep, frozen, or far too busy to wake a process. Stdlib only, for the guard.

A guard does next to nothing but wait, a tenth of a second at a time. Where such a wait lasts for seconds, nobody on
this machine came on; what the guard itself does between two waits is not counted, as an edit may give it much to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LATE = 5.0  # seconds by which a wait may last longer than it should, on a machine that is only busy


class Standstill:
    """Adds up the seconds by which waits lasted too long, those of sleep included."""

    def __init__(self, clock: Callable[[], float] = lambda: since_boot()) -> None:
        self.seconds = 0.0
        self._clock = clock

    def over(self, wait: Callable[[float], T], seconds: float) -> T:
        """What `wait(seconds)` gives, which takes about so long, or less."""
        began = self._clock()
        found = wait(seconds)
        late = self._clock() - began - seconds
        if late > LATE:
            self.seconds += late
        return found


def since_boot() -> float:
    """Seconds that nobody can set, those of sleep included where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
