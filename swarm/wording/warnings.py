"""What a person who looks at a swarm should know first: the head's warnings, and what is not as it was asked for."""

from __future__ import annotations

from swarm.judge.saturation import SATURATED
from swarm.snapshot.records import Snapshot
from swarm.wording.formatting import clean, short_id
from swarm.wording.verdict_text import is_held, is_large, judged


def warnings(snapshot: Snapshot) -> list[str]:
    """The most urgent first: the newest of the head's, then a policy that did not hold, what waits for a person,
    researchers that are stood in for, edits that cannot be distinguished."""
    found = [*reversed(snapshot.warnings), snapshot.lost_policy, _for_a_person(snapshot), _standin(snapshot)]
    return [clean(text) for text in (*found, snapshot.saturated * SATURATED) if text]


def _for_a_person(snapshot: Snapshot) -> str:
    """The newest experiment that waits for a person, or should be looked at by one, with the verb that ends it."""
    held = [experiment for experiment in judged(snapshot) if is_held(experiment)]
    large = [experiment for experiment in judged(snapshot) if is_large(experiment)]
    if held:
        name = short_id(held[-1].id, snapshot.tag)
        return f"{len(held)} held for a person: `swarm show {name}`, then `swarm accept {name}` if it is honest"
    if large:
        name = short_id(large[-1].id, snapshot.tag)
        return f"large, unaudited gain: look at `swarm show {name}`; `swarm reject {name}` takes it back"
    return ""


def _standin(snapshot: Snapshot) -> str:
    """Where agents do without their researchers: how many, and why the first of them."""
    alone = [agent for agent in snapshot.agents if agent.standin]
    if not alone:
        return ""
    who = "everywhere" if len(alone) == len(snapshot.agents) else f"for {', '.join(agent.agent for agent in alone)}"
    return f"the sweep thinks {who}: {alone[0].standin}"
