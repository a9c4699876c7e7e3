"""Moves of several knobs at once, or of a structural patch and a knob: what is left when each was looked at alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from swarm.records import Briefing, Idea, Status
from swarm.researchers.sweep.knob_findings import KnobFindings
from swarm.researchers.sweep.knob_space import STRUCTURE, KnobSpace
from swarm.researchers.sweep.knobs import Value, show
from swarm.researchers.sweep.tuner import dimension, suggest

FEWEST = 2  # knobs of a joint move; with every degree of boldness it may have one more
FROM_A_NEAR_MISS = 0.25  # share of joint moves that carry on what nearly gained
NEAR_MISSES = 8  # the best ones


def joint_moves(
    lead: str,
    weights: Mapping[str, float],
    space: KnobSpace,
    findings: KnobFindings,
    briefing: Briefing,
    chance: random.Random,
) -> Iterator[Idea]:
    """Moves of `lead` together with other knobs, drawn by weight, best first; some on top of a near miss."""
    if len(space.rules) < FEWEST:
        return
    base, why = _base(space, findings, chance)
    count = min(chance.randint(FEWEST, FEWEST + findings.boldness), len(space.rules))
    names = [lead, *_drawn({name: weight for name, weight in weights.items() if name != lead}, count - 1, chance)]
    for move in _moves(names, space, findings, briefing, chance):
        changes = {**move, **base}
        if len(changes) >= FEWEST:
            yield from space.turn(changes, why)


def fine_moves(
    name: str,
    space: KnobSpace,
    findings: KnobFindings,
    briefing: Briefing,
    chance: random.Random,
) -> Iterator[dict[str, Value]]:
    """Where to go with one continuous knob, best first."""
    if space.rules[name].continuous:
        yield from _moves([name], space, findings, briefing, chance)


def patched_moves(
    title: str, weights: Mapping[str, float], space: KnobSpace, findings: KnobFindings, chance: random.Random
) -> Iterator[Idea]:
    """A patch that did no harm alone, with one knob at a neighbouring value: a new structure may want other numbers."""
    about = findings.about(title)
    if not about or any(finding.status == Status.CRASH for finding in about):
        return
    for patched in space.patch(title):
        for name in _drawn(weights, len(weights), chance):
            for value in list(space.rules[name].neighbours(space.knobs[name]))[:2]:
                why = f"{patched.rationale} With it, {name} may want another value."
                for idea in space.turn({name: value}, why):
                    if not idea.knobs.keys() - space.rules.keys():
                        knobs = {STRUCTURE: title, **idea.knobs}
                        yield replace(idea, title=f"{title}, with {idea.title}", category=patched.category, knobs=knobs)


def _moves(
    names: list[str], space: KnobSpace, findings: KnobFindings, briefing: Briefing, chance: random.Random
) -> list[dict[str, Value]]:
    dimensions = {name: dimension(space.rules[name], space.knobs[name], findings.boldness) for name in names}
    return suggest(dimensions, findings.observations(names, briefing), chance)


def _base(space: KnobSpace, findings: KnobFindings, chance: random.Random) -> tuple[dict[str, Value], str]:
    """What a joint move starts from: the trunk as it is, or with a near miss on it."""
    near = findings.near_misses(space.rules.keys(), NEAR_MISSES) if chance.random() < FROM_A_NEAR_MISS else []
    usable = [f for f in near if any(space.knobs[name] != value for name, value in f.knobs.items())]
    if not usable:
        return {}, "Each of these was looked at alone; together they may gain what neither does by itself."
    chosen = chance.choice(usable)
    changes = {name: value for name, value in chosen.knobs.items() if space.knobs[name] != value}
    turned = ", ".join(f"{name} {show(value)}" for name, value in changes.items())
    return changes, f"A near miss ({turned}: {chosen.gain:+.4f}) carried on with what may go with it."


def _drawn(weights: Mapping[str, float], count: int, chance: random.Random) -> list[str]:
    """So many names, drawn by weight without replacement: sorted by u ** (1 / w)."""
    return sorted(weights, key=lambda name: chance.random() ** (1 / weights[name]), reverse=True)[:count]
