"""A researcher that needs no key: it turns knobs and patches code by the playbook, and learns from all findings."""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, product
from pathlib import Path

from msgspec.structs import replace

from swarm.project.knob_names import canonical
from swarm.records import Briefing, Edit, Failure, Idea, Run
from swarm.researchers.protocol import BoardAccess, Exhausted, Profile
from swarm.researchers.sweep.by_prior import ranked
from swarm.researchers.sweep.constraints import settle
from swarm.researchers.sweep.history import History
from swarm.researchers.sweep.joint_moves import fine_moves, joint_moves, patched_moves
from swarm.researchers.sweep.knob_findings import KnobFindings
from swarm.researchers.sweep.knob_space import STRUCTURE, Key, KnobSpace, key_of, open_knob_space
from swarm.researchers.sweep.knobs import Value
from swarm.researchers.sweep.patches import Patch
from swarm.researchers.sweep.playbook import OPENINGS, Turn
from swarm.researchers.sweep.rules import Rule
from swarm.researchers.sweep.structures import BY_TITLE, PATCHES

_OWN_CATEGORY = 4.0  # how much more often an agent draws from its own category
_UNTRIED = 2.0  # ... and from one that nobody has tried
_PLATEAU = 3.0  # ... and a structural patch, when turning knobs has stopped to pay
_FIRST_LOOKS = 6  # at a continuous knob alone, before it mostly moves together with others
_FINE = 0.2  # share of later moves of such a knob that are of it alone
_URGENT = 0.4  # share of the best ideas that an agent takes though they are another's to look at first
_REMEMBERED = 16  # proposals, the newest, whose refusal a briefing may tell of


class Sweep:
    """Proposes, in this order: a further step where one was kept; two near misses together; the playbook's openings;
    then it draws a knob or patch by what is known of it. A knob goes to its neighbours first; after that a sampler
    (tuner.py) moves it, alone or together with others, and a patch is tried with a knob.

    What the board's findings and live ideas hold is not proposed, nor what was refused before, nor the same twice from
    one parent. Raises Exhausted when nothing is left. Equal seeds and briefings give equal proposals.
    """

    profile = Profile("the sweep", "knows a playbook, needs no key and costs nothing", offers=True)

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        self._agent, self._seed = agent, seed
        self._findings = KnobFindings()
        self._history: History | None = None
        self._newest: deque[Idea] = deque(maxlen=_REMEMBERED)  # its own proposals
        self._proposed: dict[Key, int] = {}  # and the trunk position that each was proposed from last
        self._refused: set[Key] = set()
        self._trail: dict[str, list[Value]] = {}  # each knob's values on the trunk, as far as this agent saw them

    def connect(self, agent: str, board: BoardAccess) -> None:
        """Lets it look up the findings that briefings are too short for."""
        self._history = History(board)

    async def propose(self, briefing: Briefing) -> Idea:
        space = open_knob_space(briefing.parent, briefing.device)
        if space is None:
            raise Exhausted("no editable file has knobs that the sweep can read")
        if self._history:
            briefing = await self._history.completed(briefing)
        self._follow(space, briefing)
        live = [idea.knobs for _, idea in briefing.live if idea.knobs]
        taken = {key_of(idea) for _, idea in briefing.live} | self._refused
        for idea in self._ideas(space, briefing):
            key = key_of(idea)
            here = self._proposed.get(key) == briefing.position
            if key in taken or here or self._findings.is_known(idea, space.knobs) or KnobFindings.is_like(idea, live):
                continue
            self._proposed[key] = briefing.position
            self._newest.append(idea)
            return idea
        raise Exhausted("everything that the sweep can propose was tried")

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        """The idea applied to the briefing's parent; an empty Edit where it has no place there any more."""
        return _edited(idea, briefing)

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        """After an OOM the same idea in smaller micro-batches, or else a smaller model; None for other crashes."""
        space = open_knob_space(briefing.parent.edited(edit), briefing.device)
        changes = next(_shrunk(space), None) if space and run.failure is Failure.OOM else None
        if space is None or changes is None:
            return None
        return Edit({**edit.files, **space.set(changes).files})

    # -- what is known -----------------------------------------------------------------------------------------

    def _follow(self, space: KnobSpace, briefing: Briefing) -> None:
        """Takes up the trunk's knobs, the findings, and what was refused.

        A draft that the moving trunk threw out was not tried: it becomes free again.
        """
        for name, value in space.knobs.items():
            trail = self._trail.setdefault(name, [])
            if value not in trail[-1:]:
                trail.append(value)
        self._findings.learn(briefing, space.knobs)
        for idea in self._newest:
            if any(text.startswith(f"{idea.title}:") for text in briefing.refused):
                self._refused.add(key_of(idea))

    # -- what to propose, best first ---------------------------------------------------------------------------

    def _ideas(self, space: KnobSpace, briefing: Briefing) -> Iterator[Idea]:
        """What the agent should look at first; then all there is, whoever should."""
        chance = random.Random(f"{self._seed} {self._agent} {len(self._findings.tried)} {len(self._proposed)}")
        share = _Share(self._agent, briefing, chance)
        yield from share.of(self._further(space), others=_URGENT)
        yield from share.of(_together(space, self._findings), others=_URGENT)
        yield from self._openings(space, briefing, share)
        yield from self._draws(space, briefing, chance, share)
        yield from _everything(space)

    def _further(self, space: KnobSpace) -> Iterator[Idea]:
        """From every kept step that still stands: the same step again, then half of it."""
        for finding in self._findings.kept:
            name = next(iter(finding.knobs), "")
            trail = self._trail.get(name, [])
            if len(trail) < 2 or finding.knobs[name] != trail[-1]:
                continue
            old, new = trail[-2:]
            rule = space.rules.get(name)
            if rule is None or isinstance(old, str) or isinstance(new, str):
                continue
            why = f"{finding.title} was kept: the optimum may lie further in that direction."
            for share in (1.0, 0.5) if rule.continuous else (1.0,):
                for value in rule.within(new, rule.shifted(new, share * rule.distance(old, new))):
                    yield from space.turn({name: value}, why)

    def _openings(self, space: KnobSpace, briefing: Briefing, share: _Share) -> Iterator[Idea]:
        """The device's best-known first moves: one of the agent's own category first, then its share of the others."""
        moves = OPENINGS.get(briefing.device, OPENINGS["cuda"])
        ideas = ranked([idea for move in moves for idea in _opening(move, space)], briefing)
        if not self._proposed:
            yield from (idea for idea in ideas if idea.category == briefing.category)
        if not briefing.live:  # all agents begin at once: each begins at its own place in the list
            start = share.number % max(1, len(ideas))
            yield from ideas[start:] + ideas[:start]
        yield from share.of(ideas)

    def _draws(self, space: KnobSpace, briefing: Briefing, chance: random.Random, share: _Share) -> Iterator[Idea]:
        """Every knob and patch, in an order drawn by weight."""
        rules = space.rules
        weights = {name: rule.weight * self._lean(rule, name, briefing) for name, rule in rules.items()}
        structure = _PLATEAU if briefing.plateau else 1.0
        patches = {p.title: p.weight * self._lean(p, p.title, briefing) * structure for p in PATCHES}
        both = weights | patches
        # Sorted by u ** (1 / w), a list is a weighted draw without replacement.
        for name in sorted(both, key=lambda name: chance.random() ** (1 / both[name]), reverse=True):
            if name in rules:
                yield from share.of(_neighbours(name, rules[name], space, self._findings, chance))
                yield from self._later(name, weights, space, briefing, chance)
            else:
                yield from space.patch(name)
                yield from patched_moves(name, weights, space, self._findings, chance)

    def _later(
        self, name: str, weights: Mapping[str, float], space: KnobSpace, briefing: Briefing, chance: random.Random
    ) -> Iterator[Idea]:
        """Moves of a knob whose neighbours are known: of it alone at first, then mostly together with others."""
        rule, value, findings = space.rules[name], space.knobs[name], self._findings
        if len(findings.about(name)) < _FIRST_LOOKS or chance.random() < _FINE:
            for move in fine_moves(name, space, findings, briefing, chance):
                yield from space.turn(move, f"{_why(rule, value, move[name])} {findings.record_of(name)}".strip())
        yield from joint_moves(name, weights, space, findings, briefing, chance)

    def _lean(self, play: Rule | Patch, name: str, briefing: Briefing) -> float:
        """How much more or less often than usual the agent draws it."""
        own = _OWN_CATEGORY if play.category == briefing.category else 1.0
        return own * (_UNTRIED if play.category in briefing.untried else 1.0) * self._findings.interest(name)


class _Share:
    """One agent's share of a list that all agents see: they draft at the same moment, and none should wait for
    another's idea to be refused its own. Of what is others' it takes some, as nobody may be there to take it."""

    def __init__(self, agent: str, briefing: Briefing, chance: random.Random) -> None:
        self._agents = len({agent, *(other for other, _ in briefing.live)})
        self.number = sum(map(int, filter(str.isdigit, agent)))
        self._chance = chance

    def of(self, ideas: Iterable[Idea], others: float = 0.0) -> Iterator[Idea]:
        """Its share of the ideas, and at least the share `others` of the rest."""
        for idea in ideas:
            owner = zlib.crc32(idea.title.encode())
            if (owner - self.number) % self._agents == 0 or self._chance.random() < max(others, 1 / self._agents):
                yield idea


def _edited(idea: Idea, briefing: Briefing) -> Edit:
    """The idea applied to the briefing's parent: its patch, if it has one, then its knobs."""
    knobs = dict(idea.knobs)
    title = knobs.pop(STRUCTURE, None)
    if title is None:
        space = open_knob_space(briefing.parent, briefing.device)
        return (space.edit(idea) if space else None) or Edit({})
    patch = _edited(Idea(str(title)), briefing) if title in BY_TITLE and knobs else Edit({})
    patched = replace(briefing, parent=briefing.parent.edited(patch))
    turned = _edited(replace(idea, knobs=knobs), patched) if patch.files else Edit({})
    return Edit({**patch.files, **turned.files}) if turned.files else Edit({})


def _together(space: KnobSpace, findings: KnobFindings) -> Iterator[Idea]:
    """Two near misses (better than their parent more than once, but not surely) may pass together."""
    for one, other in combinations(findings.near_misses(space.knobs.keys(), 4), 2):
        if not one.knobs.keys() & other.knobs.keys():
            why = f"Each alone was a near miss ({one.gain:+.4f} and {other.gain:+.4f}); together they may show."
            yield from space.turn({**one.knobs, **other.knobs}, why)


def _everything(space: KnobSpace) -> Iterator[Idea]:
    """All single moves to a neighbour and all pairs of them, in a fixed order."""
    moves = {name: list(rule.neighbours(space.knobs[name])) for name, rule in space.rules.items()}
    for name, values in moves.items():
        for value in values:
            yield from space.turn({name: value}, _why(space.rules[name], space.knobs[name], value))
    for one, other in combinations(moves, 2):
        for first, second in product(moves[one], moves[other]):
            yield from space.turn({one: first, other: second}, "Each was looked at alone, and now both are together.")


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


def _neighbours(
    name: str, rule: Rule, space: KnobSpace, findings: KnobFindings, chance: random.Random
) -> Iterator[Idea]:
    """One knob's neighbouring values."""
    value, known = space.knobs[name], findings.record_of(name)
    for neighbour in _shuffled(list(rule.neighbours(value)), chance):
        yield from space.turn({name: neighbour}, f"{_why(rule, value, neighbour)} {known}".strip())


def _shuffled(values: list[Value], chance: random.Random) -> list[Value]:
    """The nearest neighbour on either side first, in a drawn order, then the farther ones."""
    near, far = values[:2], values[2:]
    chance.shuffle(near)
    return near + far


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
