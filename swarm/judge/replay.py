"""The runs of one swarm, judged once more by another policy: what it would have decided, and as long as they allow it.

As long as both policies agree on what the trunk carries, every run is one that the other would have made too. Where
one keeps what the other does not, the ideas that follow were tried on a state that the other would not have had: from
there on each is judged beside the parent that it did have, which tells of the rule and nothing of the swarm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from swarm.judge.decide import Evidence, Policy, decide
from swarm.judge.noise import NOISELESS, Noise, Observation, age_of, calibrate
from swarm.judge.race import Arm
from swarm.judge.trunk_levels import Event, Measured, Stepped, TrunkLevels
from swarm.records import Status, Verdict


class Tested(Struct, frozen=True):
    """An experiment as the swarm recorded it. `runs` are its own with a number; `broken_guard` and the rest are no
    policy's opinion, and hold under each."""

    title: str
    kept: bool
    runs: int
    added_size: int = 0
    broken_guard: str = ""
    no_effect: bool = False
    unaudited: bool = False
    given_up: bool = False  # the time was up, or its edit fitted the trunk no more


class Replayed(Struct, frozen=True):
    """One experiment under the other policy. `verdict` is its first one, or, with a status of None, what it still asks
    for when the runs end; `allowed` is whether both trunks were the same until then."""

    experiment: str
    title: str
    kept: bool  # by the swarm itself
    verdict: Verdict
    allowed: bool
    given_up: bool = False

    @property
    def agrees(self) -> bool:
        """Whether both made the same of it. What was given up undecided is so under any policy."""
        return self.given_up if self.verdict.status is None else self.keeps == self.kept

    @property
    def keeps(self) -> bool:
        return self.verdict.status is Status.KEEP


class Replay(Struct, frozen=True):
    """All experiments in the order of their verdicts, and where and why the trunks part; "" where they do not."""

    rows: tuple[Replayed, ...]
    parts_at: str
    why: str


def replay(
    base: str,
    prior: float | None,
    events: Iterable[Event],
    tested: Mapping[str, Tested],
    policy: Policy,
    same_way_back: bool = False,
) -> Replay:
    """Judges the runs of a swarm, in their order, by that policy. `base` is its untouched code, `prior` the sigma that
    was expected. With `same_way_back` the swarm's own rule for taking steps back is the policy's too."""
    replaying = _Replaying(base, prior, tested, policy, same_way_back)
    for event in events:
        replaying.add(event)
    return Replay(tuple(replaying.rows), replaying.parts_at, replaying.why)


class _Replaying:
    def __init__(
        self, base: str, prior: float | None, tested: Mapping[str, Tested], policy: Policy, same_way_back: bool
    ):
        self.same_way_back = same_way_back
        self.levels = TrunkLevels(base, prior)
        self.prior, self.measured, self._known = prior, 0, (-1, NOISELESS)
        self.base, self.tested, self.policy = base, tested, policy
        self.runs: dict[str, list[Observation]] = defaultdict(list)  # of each state
        self.arms: dict[str, dict[str, list[Observation]]] = defaultdict(dict)  # of each idea, by parent
        self.verdicts: dict[str, Verdict] = {}
        self.rows: list[Replayed] = []
        self.parts_at = self.why = ""

    def add(self, event: Event) -> None:
        """What happened next, in the swarm as it was."""
        back = self.levels.losing(self.base) if self.policy.levels else None
        if isinstance(event, Stepped):
            if not event.idea and event.source != back and not self.same_way_back:
                self._part("", "the swarm took steps back that it would have gone on from")
            self.levels.add(event)
            return
        if back is not None:
            self._part("", "it takes steps back that the swarm went on from")
        self.levels.add(event)
        self.measured += 1
        self.runs[event.observation.state].append(event.observation)
        if event.idea in self.tested:
            self._run(event)

    def _run(self, event: Measured) -> None:
        """A run of an experiment: the policy is asked, unless it has decided before."""
        name = event.idea
        self.arms[name].setdefault(event.parent, []).append(event.observation)
        if name not in self.verdicts or self.verdicts[name].status is None:
            self.verdicts[name] = self._verdict(name, event.parent)
        if sum(map(len, self.arms[name].values())) == self.tested[name].runs:
            self._close(name)

    def _verdict(self, name: str, parent: str) -> Verdict:
        noise, tested = self._noise(), self.tested[name]

        def values(runs: Iterable[Observation]) -> tuple[float, ...]:
            return tuple(noise.corrected(run) for run in runs)

        arms = [Arm(values(own), values(self.runs[above])) for above, own in self.arms[name].items()]
        evidence = Evidence(
            arms,
            noise.sigma,
            tested.added_size,
            broken_guard=tested.broken_guard,
            no_effect=tested.no_effect,
            belief=self.levels.belief(name) if self.policy.levels else None,
            unaudited=tested.unaudited,
            trunk_moved=parent != self.levels.tip,
        )
        return decide(evidence, self.policy)

    def _noise(self) -> Noise:
        """The noise as the board knew it then."""
        if not self.policy.noiseless and self._known[0] != (age := age_of(self.measured)):
            repeated = (run for runs in self.runs.values() if len(runs) > 1 for run in runs)
            self._known = age, calibrate(repeated, self.prior)
        return self._known[1]

    def _close(self, name: str) -> None:
        """The swarm has made its last run of it."""
        tested, verdict = self.tested[name], self.verdicts[name]
        row = Replayed(name, tested.title, tested.kept, verdict, not self.parts_at, tested.given_up)
        self.rows.append(row)
        if row.agrees:
            return
        if row.verdict.status is None:
            self._part(name, "it asks for runs that were not made")
        elif row.keeps:
            self._part(name, "it keeps what the swarm discarded, and nothing was tried on top of it")
        else:
            self._part(name, "it discards what the swarm kept, and built on")

    def _part(self, name: str, why: str) -> None:
        if not self.why:
            self.parts_at, self.why = name or (self.rows[-1].experiment if self.rows else "the baseline"), why
