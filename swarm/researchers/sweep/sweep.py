"""A researcher that needs no key: it turns knobs and patches code by the playbook, and learns from all findings."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from swarm.records import Briefing, Edit, Failure, Idea, Run, Status
from swarm.researchers.protocol import Exhausted, Profile
from swarm.researchers.sweep.constraints import canonical, settle
from swarm.researchers.sweep.knob_findings import interest, observations, record_of
from swarm.researchers.sweep.knob_space import Key, KnobSpace, key_of, open_knob_space
from swarm.researchers.sweep.knobs import Value
from swarm.researchers.sweep.patches import Patch
from swarm.researchers.sweep.playbook import OPENINGS, Turn
from swarm.researchers.sweep.rules import Grid, Rule
from swarm.researchers.sweep.structures import PATCHES
from swarm.researchers.sweep.tuner import suggest

_OWN_CATEGORY = 4.0  # how much more often an agent draws from its own category
_UNTRIED = 2.0  # ... and from one that nobody has tried
_PLATEAU = 3.0  # ... and a structural patch, when turning knobs has stopped to pay
_ASKED = 8  # questions to the tuner before a knob is given up for now: its answers may round to tried values


class Sweep:
    """Proposes, in this order: a further step where one was kept; two near misses together; the playbook's openings;
    then it draws a knob or patch by what is known of it, and lets Optuna choose a continuous knob's value.

    What the board's findings and live ideas hold is not proposed, nor what was refused before, nor the same twice from
    one parent. Raises Exhausted when nothing is left. Equal seeds and briefings give equal proposals.
    """

    profile = Profile("the sweep", "knows a playbook, needs no key and costs nothing", offers=True)

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        self._agent, self._seed = agent, seed
        self._proposed: dict[Key, tuple[str, int]] = {}  # its title, and the trunk position it was proposed from
        self._refused: set[Key] = set()
        self._trail: dict[str, list[Value]] = {}  # each knob's values on the trunk, as far as this agent saw them

    async def propose(self, briefing: Briefing) -> Idea:
        space = open_knob_space(briefing.parent, briefing.device)
        if space is None:
            raise Exhausted("no editable file has knobs that the sweep can read")
        self._follow(space)
        taken = self._taken(briefing)
        for idea in self._ideas(space, briefing, taken):
            if key_of(idea) not in taken:
                self._proposed[key_of(idea)] = (idea.title, briefing.position)
                return idea
        raise Exhausted("every knob and patch of the playbook was tried")

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        """The idea applied to the briefing's parent; an empty Edit where it has no place there any more."""
        space = open_knob_space(briefing.parent, briefing.device)
        return (space.edit(idea) if space else None) or Edit({})

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        """After an OOM the same idea in smaller micro-batches, or else a smaller model; None for other crashes."""
        space = open_knob_space(briefing.parent.edited(edit), briefing.device)
        changes = next(_shrunk(space), None) if space and run.failure is Failure.OOM else None
        if space is None or changes is None:
            return None
        return Edit({**edit.files, **space.set(changes).files})

    # -- what is known -----------------------------------------------------------------------------------------

    def _follow(self, space: KnobSpace) -> None:
        for name, value in space.knobs.items():
            trail = self._trail.setdefault(name, [])
            if value not in trail[-1:]:
                trail.append(value)

    def _taken(self, briefing: Briefing) -> set[Key]:
        """What must not be proposed. A draft that the moving trunk threw out was not tried: it becomes free again."""
        refused = {text.split(":")[0] for text in briefing.refused}
        self._refused |= {key for key, (title, _) in self._proposed.items() if title in refused}
        here = {key for key, (_, position) in self._proposed.items() if position == briefing.position}
        tried = {key_of(finding) for finding in briefing.findings if finding.comparable}
        return self._refused | here | tried | {key_of(idea) for _, idea in briefing.live}

    # -- what to propose, best first ---------------------------------------------------------------------------

    def _ideas(self, space: KnobSpace, briefing: Briefing, taken: set[Key]) -> Iterator[Idea]:
        yield from self._further(space, briefing)
        yield from _together(space, briefing)
        yield from self._openings(space, briefing, taken)
        yield from self._draws(space, briefing, taken)

    def _further(self, space: KnobSpace, briefing: Briefing) -> Iterator[Idea]:
        """From every kept step that still stands: the same step again, then half of it."""
        for finding in briefing.findings:
            name = next(iter(finding.knobs), "")
            trail = self._trail.get(name, [])
            if finding.status != Status.KEEP or len(trail) < 2 or finding.knobs[name] != trail[-1]:
                continue
            old, new = trail[-2:]
            rule = space.rules.get(name)
            if rule is None or isinstance(old, str) or isinstance(new, str):
                continue
            why = f"{finding.title} was kept: the optimum may lie further in that direction."
            for share in (1.0, 0.5) if rule.continuous else (1.0,):
                for value in rule.within(new, rule.shifted(new, share * rule.distance(old, new))):
                    yield from space.turn({name: value}, why)

    def _openings(self, space: KnobSpace, briefing: Briefing, taken: set[Key]) -> Iterator[Idea]:
        """The device's best-known first moves: one of the agent's own category first, then in their order."""
        moves = OPENINGS.get(briefing.device, OPENINGS["cuda"])
        ideas = [idea for move in moves for idea in _opening(move, space) if key_of(idea) not in taken]
        if ideas and not taken:  # all agents begin at once: each begins at its own place in the list
            start = sum(map(int, filter(str.isdigit, self._agent))) % len(ideas)
            ideas = ideas[start:] + ideas[:start]
        if not self._proposed:
            ideas.sort(key=lambda idea: idea.category != briefing.category)
        yield from ideas

    def _draws(self, space: KnobSpace, briefing: Briefing, taken: set[Key]) -> Iterator[Idea]:
        """Every knob and patch, in an order drawn by weight."""
        chance = random.Random(f"{self._seed} {self._agent} {len(taken)}")
        knobs = space.rules
        weights = {name: rule.weight * _lean(rule, briefing) * interest(name, briefing) for name, rule in knobs.items()}
        structure = _PLATEAU if briefing.plateau else 1.0
        weights |= {patch.title: patch.weight * _lean(patch, briefing) * structure for patch in PATCHES}
        # Sorted by u ** (1 / w), a list is a weighted draw without replacement.
        for name in sorted(weights, key=lambda name: chance.random() ** (1 / weights[name]), reverse=True):
            if name in taken:
                continue
            if name in knobs:
                yield from _turns(name, knobs[name], space, briefing, chance)
            else:
                yield from space.patch(name)


def _together(space: KnobSpace, briefing: Briefing) -> Iterator[Idea]:
    """Two near misses (better than their parent more than once, but not surely) may pass together."""
    near = [f for f in briefing.findings if f.status == Status.DISCARD and f.n > 1 and (f.gain or 0) > 0]
    near = [f for f in near if f.comparable and f.knobs and f.knobs.keys() <= space.knobs.keys()]
    near.sort(key=lambda finding: -(finding.gain or 0))
    for one, other in combinations(near[:4], 2):
        if not one.knobs.keys() & other.knobs.keys():
            why = f"Each alone was a near miss ({one.gain:+.4f} and {other.gain:+.4f}); together they may show."
            yield from space.turn({**one.knobs, **other.knobs}, why)


def _opening(move: Turn | str, space: KnobSpace) -> Iterator[Idea]:
    if isinstance(move, str):
        yield from space.patch(move)
        return
    for name, value in space.knobs.items():
        rule = space.rules.get(name)
        if canonical(name) == move.knob and rule:
            wanted = move.apply(value)
            inside = [wanted] if isinstance(value, str) or isinstance(wanted, str) else rule.within(value, wanted)
            for reached in inside:
                yield from space.turn({name: reached}, _why(rule, value, reached))


def _turns(name: str, rule: Rule, space: KnobSpace, briefing: Briefing, chance: random.Random) -> Iterator[Idea]:
    """One knob's next values: its neighbours first; for a continuous one, once they are known, the tuner's choice."""
    value, known = space.knobs[name], record_of(name, briefing)
    for neighbour in _shuffled(list(rule.neighbours(value)), chance):
        yield from space.turn({name: neighbour}, f"{_why(rule, value, neighbour)} {known}".strip())
    if isinstance(value, str) or not rule.continuous:
        return
    low, high = rule.span(value)
    seen = observations(name, value, briefing)
    pending = [new for _, idea in briefing.live if not isinstance(new := idea.knobs.get(name, ""), str)]
    for _ in range(_ASKED):
        wanted = suggest(low, high, rule.grid is Grid.LOG, seen, pending, chance.getrandbits(31))
        for rounded in rule.within(value, wanted):
            yield from space.turn({name: rounded}, f"{_why(rule, value, rounded)} {known}".strip())
        pending.append(wanted)


def _shuffled(values: list[Value], chance: random.Random) -> list[Value]:
    """The nearest neighbour on either side first, in a drawn order, then the farther ones."""
    near, far = values[:2], values[2:]
    chance.shuffle(near)
    return near + far


def _lean(play: Rule | Patch, briefing: Briefing) -> float:
    own = _OWN_CATEGORY if play.category == briefing.category else 1.0
    return own * (_UNTRIED if play.category in briefing.untried else 1.0)


def _why(rule: Rule, old: Value, new: Value) -> str:
    if isinstance(old, str) or isinstance(new, str):
        return rule.up
    return rule.up if new > old else rule.down


def _shrunk(space: KnobSpace) -> Iterator[Mapping[str, Value]]:
    """Knobs that make the run fit: half the micro-batch at the same step size, a narrower model, a shallower one."""
    names = {canonical(name): name for name in space.knobs}
    for knob, factor in (("device_batch_size", 0.5), ("width", 0.75), ("aspect_ratio", 0.75), ("depth", 0.75)):
        name = names.get(knob, "")
        value = space.knobs.get(name, 0)
        if isinstance(value, int) and value > 1 and (changes := settle(space.knobs, {name: int(value * factor)})):
            yield changes
