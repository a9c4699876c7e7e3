"""What a person who looks at a swarm should know first: the head's warnings, and what is not as it was asked for."""

from __future__ import annotations

from swarm.judge.saturation import SATURATED
from swarm.snapshot.records import Snapshot
from swarm.wording.formatting import clean


def warnings(snapshot: Snapshot) -> list[str]:
    """The most urgent first: the newest of the head's, then a policy that did not hold, researchers that are stood in
    for, edits that cannot be distinguished."""
    found = [*reversed(snapshot.warnings), snapshot.lost_policy, _standin(snapshot), snapshot.saturated * SATURATED]
    return [clean(text) for text in found if text]


def _standin(snapshot: Snapshot) -> str:
    """Where agents do without their researchers: how many, and why the first of them."""
    alone = [agent for agent in snapshot.agents if agent.standin]
    if not alone:
        return ""
    who = "everywhere" if len(alone) == len(snapshot.agents) else f"for {', '.join(agent.agent for agent in alone)}"
    return f"the sweep thinks {who}: {alone[0].standin}"
