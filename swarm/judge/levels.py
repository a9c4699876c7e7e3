"""The levels of all states of a trunk, learned from every run: a child that is run measures its parent again for free.

value = level of the state + sigma * noise, and level of a child = level of its parent - effect of its edit
(swarm/judge/effects.py). Each state has a normal belief about its level. What a child says of its parent is kept as a
message of its own, so that it can be taken out again when the child is looked at: expectation propagation (Minka 2001,
https://arxiv.org/abs/1301.2294). All values are sign-normalised: lower is better, and a positive effect is a gain.
"""

from __future__ import annotations

import math

from msgspec import Struct, field

from swarm.judge.effects import Effect, Effects, Seen

SETTLED = 0.01  # sigmas of change below which a state's own parent need not hear of it
_NARROWEST, _WIDEST = 0.02, 1.5  # of a belief's variance after one child, as a share of that before
# The variance, in sigmas, by which a level is off that children tell, however many they are: effects are not spread
# quite as they are thought to be. Where edits that do nothing cost half a sigma, all children say so of their parent.
MISFIT = 0.5
_VAGUE = 1e6  # the variance of what nothing is known of


class Level(Struct, frozen=True):
    """A belief about a state's level, in the metric's units."""

    mean: float
    deviation: float


class _Normal(Struct, frozen=True):
    """A normal belief or message as precision and precision times mean: they multiply by adding up."""

    precision: float = 0.0
    weighted: float = 0.0

    @classmethod
    def at(cls, mean: float, variance: float) -> _Normal:
        return cls(1.0 / variance, mean / variance)

    @property
    def mean(self) -> float:
        return self.weighted / self.precision if self.precision else 0.0

    @property
    def variance(self) -> float:
        return 1.0 / self.precision if self.precision > 1.0 / _VAGUE else _VAGUE

    def __add__(self, other: _Normal) -> _Normal:
        return _Normal(self.precision + other.precision, self.weighted + other.weighted)

    def __sub__(self, other: _Normal) -> _Normal:
        return _Normal(max(self.precision - other.precision, 1.0 / _VAGUE), self.weighted - other.weighted)


class _State(Struct):
    """A state of the trunk. `sites` are what its children say of it, by their ideas."""

    parent: str | None = None
    idea: str | None = None
    runs: _Normal = field(default_factory=_Normal)
    sites: dict[str, _Normal] = field(default_factory=dict)
    told: _Normal = field(default_factory=_Normal)  # all sites together: there may be thousands
    belief: _Normal = field(default_factory=_Normal)

    @property
    def evidence(self) -> _Normal:
        """What is known of it but for what its parent says."""
        return self.runs + self.told

    def without(self, idea: str) -> _Normal:
        return self.belief - self.sites.get(idea, _Normal())


class _Idea(Struct):
    """One edit: its runs on each parent that it was tried on, oldest first, and what they say of its effect."""

    arms: dict[str, _Normal] = field(default_factory=dict)
    state: str | None = None  # of the trunk that it became
    seen: Seen | None = None


class Levels:
    """All levels of one trunk, in its order of events. `sigma` is the noise of one run, above 0, in the metric's units.

    The first state that is measured is the root. Names of states and ideas are the caller's.
    """

    def __init__(self, sigma: float, effects: Effects | None = None) -> None:
        self.effects = effects or Effects()
        self._sigma, self._origin = sigma, 0.0
        self._states: dict[str, _State] = {}
        self._ideas: dict[str, _Idea] = {}
        self.touched: dict[str, None] = {}  # ideas whose effect looks otherwise since somebody last emptied this

    # -- what happens --------------------------------------------------------------------------------------------

    def measured(self, state: str, value: float) -> None:
        """One more run of a state that nobody chose by its luck: the baseline, a repeat, a confirmation."""
        if not self._states:
            self._origin = value
        here = self._states.setdefault(state, _State())
        here.runs = here.runs + _Normal(1.0, self._scaled(value))
        self._settle(state)

    def tried(self, idea: str, parent: str, value: float, tells: bool = True) -> None:
        """One run of an idea's edit on top of a state; one that does not tell says nothing of that state."""
        arms = self._ideas.setdefault(idea, _Idea()).arms
        arm = arms.pop(parent, _Normal()) + _Normal(1.0, self._scaled(value))
        arms[parent] = arm  # the newest is last
        alone = self._seen([(self._states[parent].without(idea), arm)])
        if tells:
            self._tell(parent, idea, self.effects.of(alone))
            self._settle(parent)
        self._weigh(idea)

    def carried(self, idea: str, state: str) -> None:
        """The edit, on the parent that it was tried on last, becomes a state of the trunk."""
        self._ideas[idea].state = state
        parent, arm = next(reversed(self._ideas[idea].arms.items()))
        self._states[state] = _State(parent, idea, arm)
        self._settle(state)

    # -- what is known -------------------------------------------------------------------------------------------

    def __contains__(self, state: str) -> bool:
        """Whether anything was measured of that state."""
        return state in self._states

    def level(self, state: str) -> Level:
        """What is believed of a state's level."""
        belief = self._states[state].belief
        return Level(self._origin + self._sigma * belief.mean, self._sigma * math.sqrt(belief.variance))

    def effect(self, idea: str) -> Effect:
        """What is believed of an idea's effect, in sigmas."""
        return self.effects.of(self.effect_seen(idea))

    def effect_seen(self, idea: str) -> Seen:
        """An idea's effect as its runs alone show it, beside its parents' levels. KeyError where it was never tried."""
        seen = self._ideas[idea].seen
        assert seen, f"{idea} was never tried"
        return seen

    def seen(self) -> list[Seen]:
        """Every idea's effect as it was seen, for `Effects.learned`."""
        return [idea.seen for idea in self._ideas.values() if idea.seen]

    # -- the arithmetic, in sigmas from the origin ------------------------------------------------------------------

    def _scaled(self, value: float) -> float:
        return (value - self._origin) / self._sigma

    def _settle(self, name: str | None) -> None:
        """The belief about a state from all that is known of it, and so on up its line, until nothing changes."""
        while name is not None:
            here, before = self._states[name], self._states[name].belief
            if here.parent is None or here.idea is None:
                here.belief = here.evidence
                return
            own, told = here.evidence, self._states[here.parent].belief
            effect = self._believe(here, own, here.parent, here.idea)
            self._tell(here.parent, here.idea, effect)
            near = abs(self._states[here.parent].belief.mean - told.mean) < SETTLED
            if near and abs(here.belief.mean - before.mean) < SETTLED and before.precision:
                return
            name = here.parent

    def _believe(self, here: _State, own: _Normal, parent: str, idea: str) -> Effect:
        """Gives the idea's effect as this one parent shows it, which is what it tells that one."""
        above = self._states[parent].without(idea)
        others = [
            (self._states[other].without(idea), arm) for other, arm in self._ideas[idea].arms.items() if other != parent
        ]
        self._ideas[idea].seen = seen = self._seen([(above, own), *others])
        self.touched[idea] = None
        effect = self.effects.of(seen)
        spread, v, r = above.variance + own.variance, above.variance, own.variance
        mean = (own.mean * v + (above.mean - effect.mean) * r) / spread
        here.belief = _Normal.at(mean, v * r / spread + (r / spread) ** 2 * effect.variance)
        return self.effects.of(self._seen([(above, own)])) if others else effect

    def _tell(self, parent: str, idea: str, effect: Effect) -> None:
        """What an edit, as it was seen, says of its parent's level: the moments that it moves the belief to."""
        above = self._states[parent]
        before = above.without(idea)
        v = before.variance
        variance = min(max(v + v**2 * effect.curve, _NARROWEST * v), _WIDEST * v)
        after = _Normal.at(before.mean + v * effect.score, variance)
        old = above.sites.get(idea, _Normal())
        new = _Normal(after.precision - before.precision, after.weighted - before.weighted)
        above.sites[idea] = new
        above.told = above.told + _Normal(new.precision - old.precision, new.weighted - old.weighted)
        above.belief = after

    def _weigh(self, idea: str) -> None:
        """The effect as it is seen beside all parents that the idea was tried on."""
        tried = self._ideas[idea]
        tried.seen = self._seen([(self._states[parent].without(idea), arm) for parent, arm in tried.arms.items()])

    def _seen(self, pairs: list[tuple[_Normal, _Normal]]) -> Seen:
        """The gain of what was run over its parent, from several such pairs by inverse variance."""
        if len(pairs) == 1:  # nearly always: the same numbers, without the sums
            above, own = pairs[0]
            weight = 1.0 / (above.variance + own.variance)
            return Seen(weight * (above.mean - own.mean) / weight, math.sqrt(1.0 / weight))
        weights = [1.0 / (above.variance + own.variance) for above, own in pairs]
        whole = math.fsum(weights)
        gains = (w * (above.mean - own.mean) for w, (above, own) in zip(weights, pairs, strict=True))
        return Seen(math.fsum(gains) / whole, math.sqrt(1.0 / whole))
