"""How an agent, or a whole swarm, ended: a code that decides, and a reason for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How it ended."""

    DONE = "done"  # a limit is reached, or a person ended it
    EXHAUSTED = "exhausted"  # of a swarm: every agent's researcher has proposed all it can, and all of it is judged
    GAVE_UP = "gave up"  # the agent's process died again and again; of a swarm: that of every agent
    HOPELESS = "hopeless"  # the baseline crashes on every agent, so that the board stopped the swarm

    @property
    def failed(self) -> bool:
        return self in (Ending.GAVE_UP, Ending.HOPELESS)


@dataclass(frozen=True, slots=True)
class Ended:
    """An ending, and why in words."""

    ending: Ending
    reason: str
