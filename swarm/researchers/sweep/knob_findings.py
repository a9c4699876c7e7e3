"""What the findings of all agents say about the knobs: kept up to date with every briefing, and asked by the sweep."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from swarm.novelty.likeness import hardly_differ
from swarm.records import Briefing, Finding, Idea, Rung, Status
from swarm.researchers.sweep.knob_space import STRUCTURE, Key, key_of
from swarm.researchers.sweep.knobs import Value, show
from swarm.researchers.sweep.tuner import Observation

_LIMIT = 6.0  # in units of sigma; beyond it a gain only says "very good" or "very bad"
_AFTER_LOSS = 0.7  # how a knob's interest changes with each loss, ...
_AFTER_CRASH = 0.5
_AFTER_KEEP = 1.5  # ... and with each keep
_NEWEST = 12  # looks at a knob that count for its interest
_LOOKS = 40  # at each knob, the newest, that the sampler is told
_STALE = 100  # experiments without a keep after which moves become bolder
_BOLDEST = 3
_GONE = {Rung.UNDONE, Rung.INVALID, Rung.TAINTED}  # kept once, and not part of the trunk any more


class KnobFindings:
    """The comparable findings that this agent has seen, also those that briefings are too short for by now.

    Everything in it follows from the briefings it was shown: a restarted agent builds it anew.
    """

    def __init__(self) -> None:
        self.tried: set[Key] = set()
        self._known: dict[str, Finding] = {}
        self._about: dict[str, dict[str, None]] = defaultdict(dict)  # experiments by knob, or by a patch's title
        self._alike: dict[frozenset[str], list[Mapping[str, Value]]] = defaultdict(list)  # moves by what they turn
        self._trunk: dict[int, Mapping[str, Value]] = {}  # the knobs of its positions, as far as they were seen
        self._codes: set[int] = set()  # hashes of whole settings that were tried
        self._reached: dict[int, float] = {}  # what the trunk had gained at a position
        self._keeps: dict[str, Finding] = {}
        self._since_keep = 0

    # -- what is learned ---------------------------------------------------------------------------------------

    def learn(self, briefing: Briefing, knobs: Mapping[str, Value]) -> None:
        """Takes up what the briefing brings; `knobs` are those of its parent."""
        if briefing.position not in self._trunk:
            self._trunk[briefing.position] = dict(knobs)
            self._codes.add(_hash(knobs))
        for finding in reversed(briefing.findings):
            old = self._known.get(finding.experiment)
            if finding.comparable and (old is None or (old.rung, old.gain) != (finding.rung, finding.gain)):
                self._learn(finding, new=old is None)

    def _learn(self, finding: Finding, new: bool) -> None:
        self._known[finding.experiment] = finding
        kept = finding.status == Status.KEEP
        if kept or finding.experiment in self._keeps:
            self._keeps[finding.experiment] = finding
            self._reached.clear()
        if not new:
            return
        self._since_keep = 0 if kept else self._since_keep + 1
        self.tried.add(key_of(finding))
        if STRUCTURE in finding.knobs:
            self._about[str(finding.knobs[STRUCTURE])][finding.experiment] = None
            return
        for name in finding.knobs or (finding.title,):
            self._about[name][finding.experiment] = None
        if finding.knobs:
            self._alike[frozenset(finding.knobs)].append(finding.knobs)
            self._codes.add(_hash(self._setting(finding)))

    # -- what is asked -----------------------------------------------------------------------------------------

    def is_known(self, idea: Idea, knobs: Mapping[str, Value]) -> bool:
        """Whether the idea, a number that hardly differs from it, or the code that it makes of `knobs` was tried."""
        if key_of(idea) in self.tried:
            return True
        if not idea.knobs or STRUCTURE in idea.knobs:
            return False
        return self.is_like(idea, self._alike[frozenset(idea.knobs)]) or _hash({**knobs, **idea.knobs}) in self._codes

    @staticmethod
    def is_like(idea: Idea, others: Collection[Mapping[str, Value]]) -> bool:
        """Whether one of the others turns the same knobs to values that hardly differ."""
        return any(
            other.keys() == idea.knobs.keys()
            and all(hardly_differ(value, other[name]) for name, value in idea.knobs.items())
            for other in others
        )

    def about(self, name: str) -> list[Finding]:
        """The findings about a knob, or a patch by its title, oldest first."""
        return [self._known[experiment] for experiment in self._about.get(name, ())]

    @property
    def kept(self) -> list[Finding]:
        """The kept findings whose step still stands, newest first."""
        return [finding for finding in reversed(self._keeps.values()) if finding.rung not in _GONE]

    def near_misses(self, known: Collection[str], most: int) -> list[Finding]:
        """The best findings that were measured better than their parent more than once, but not surely; only those
        that turn nothing but `known` knobs."""
        near = [
            finding
            for finding in self._known.values()
            if finding.status == Status.DISCARD and finding.n > 1 and (finding.gain or 0) > 0
            if finding.knobs and all(name in known for name in finding.knobs)
        ]
        return sorted(near, key=lambda finding: -(finding.gain or 0))[:most]

    @property
    def boldness(self) -> int:
        """How much farther than usual to go, from 0: the trunk has not moved for long."""
        return min(self._since_keep // _STALE, _BOLDEST)

    def interest(self, name: str) -> float:
        """How a knob's own record changes the chance to be turned again: 1 where nothing is known."""
        factors: dict[str, float] = {Status.KEEP: _AFTER_KEEP, Status.DISCARD: _AFTER_LOSS, Status.CRASH: _AFTER_CRASH}
        return math.prod(factors.get(finding.status, 1.0) for finding in self.about(name)[-_NEWEST:])

    def record_of(self, name: str) -> str:
        """What is known of a knob in a sentence, empty where nothing is."""
        known = [f for f in self.about(name) if f.gain is not None]
        if not known:
            return ""
        best = max(known, key=lambda finding: finding.gain or 0.0)
        times = "once" if len(known) == 1 else f"{len(known)} times"
        return f"Tried {times} before; best {show(best.knobs[name])} with a gain of {best.gain:+.4f} (n={best.n})."

    def observations(self, names: Collection[str], briefing: Briefing) -> list[Observation]:
        """The settings in which these knobs were measured, with their worth over the code that the swarm began with.

        A finding's gain is over its own parent, so what was kept before it is added: all worths share one zero. The
        trunk's positions are observations too, and what is being tried now is one without a worth.
        """
        unit = briefing.sigma or self._typical_gain()
        chosen = dict.fromkeys(id for name in names for id in list(self._about.get(name, ()))[-_LOOKS:])
        seen = [
            Observation(self._setting(finding), self._worth(finding, unit))
            for finding in map(self._known.__getitem__, chosen)
            if finding.gain is not None or finding.status == Status.CRASH
        ]
        here = self._trunk[briefing.position]
        trunk = [Observation(knobs, self._reached_at(position) / unit) for position, knobs in self._trunk.items()]
        live = [{**here, **idea.knobs} for _, idea in briefing.live if not idea.knobs.keys().isdisjoint(names)]
        return [*seen, *trunk, *(Observation(setting, None) for setting in live)]

    # -- pieces ------------------------------------------------------------------------------------------------

    def _worth(self, finding: Finding, unit: float) -> float | None:
        if finding.gain is None:
            return None
        return self._reached_at(finding.position) / unit + max(-_LIMIT, min(_LIMIT, finding.gain / unit))

    def _reached_at(self, position: int) -> float:
        if position not in self._reached:
            earlier = (finding.gain or 0.0 for finding in self.kept if finding.position < position)
            self._reached[position] = math.fsum(earlier)
        return self._reached[position]

    def _setting(self, finding: Finding) -> Mapping[str, Value]:
        """The whole setting that it ran with: its parent's, or that of the nearest position which this agent saw."""
        at = finding.position
        known = self._trunk.get(at)
        if known is None:
            known = self._trunk[min(self._trunk, key=lambda position: (abs(position - at), position))]
        return {**known, **finding.knobs}

    def _typical_gain(self) -> float:
        sizes = sorted(_gains(self._known.values()))
        return sizes[len(sizes) // 2] if sizes else 1.0


def _gains(findings: Collection[Finding]) -> Iterator[float]:
    yield from (abs(finding.gain) for finding in findings if finding.gain)


def _hash(knobs: Mapping[str, Value]) -> int:
    return hash(frozenset(knobs.items()))
