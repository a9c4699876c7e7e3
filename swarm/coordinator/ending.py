"""How an agent, or a whole swarm, ended: a code that decides, and a reason for people."""

from __future__ import annotations

from collections import Counter
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


def end_of(agents: list[Ended], noted: str, found: Ending) -> Ended:
    """How the swarm ended: as the board `noted` and `found`, or as most of its agents did, of those that did not give
    up."""
    if noted:
        return Ended(found, noted)
    agents = [end for end in agents if end.ending is Ending.DONE] or agents
    return Counter(agents).most_common(1)[0][0]


def status_of(word: str, ending: Ending) -> str:
    """The status of a swarm in the ledger that ended so, after this word of a person ("", "drain" or "now")."""
    if ending.failed:
        return "failed"
    return {"": "finished", "drain": "stopped", "now": "stopped"}[word]
