"""The one home of the keep rule: which rules there are, and what outweighs them.

A rule is a function from the runs to a Verdict (in swarm/judge/race.py, exact.py and carry.py) and one line in
POLICIES. Values are sign-normalised: lower is better, gains are positive.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from statistics import fmean

from msgspec import Struct
from msgspec.structs import replace

from swarm.errors import UsageError
from swarm.foreign import LARGEST
from swarm.judge.carry import by_belief, carry
from swarm.judge.closing import CLOSING_RUNS
from swarm.judge.confirm import FRESH_RUNS, SHARE
from swarm.judge.exact import exact
from swarm.judge.race import STANDARD, Arm, Rules, greedy, impossible, incredible, race
from swarm.judge.trunk_levels import Belief
from swarm.records import Outcome, Rung, Status, Verdict

Rule = Callable[[Sequence[Arm], float | None, Rules, int], Verdict]  # arms, sigma, parameters, nodes of code added


UNKNOWN = 4  # runs of the untouched code where nothing else is known of the noise


class Policy(Struct, frozen=True):
    """A keep rule with its parameters, and what goes with it."""

    rule: Rule
    confirms: bool = True  # the trunk's tip is tested against the champion on fresh seeds
    fills: bool = True  # an idle GPU measures the leader again
    rolls_back: bool = True  # a step that later runs show to be a loss is taken back
    needs_referee: bool = True  # a kept gain so large that only a referee's word is taken for it is marked
    holds: bool = True  # a gain that no honest edit makes waits for a person, even if a referee measured it
    baseline_runs: int = 2  # of the untouched code, on every GPU; a single one is enough for all of them
    closing_runs: tuple[int, int] = (FRESH_RUNS, CLOSING_RUNS)  # fewest and most, each of leader and baseline
    closing_part: int = 10  # of the swarm's runs each gets one in so many, within these bounds
    confirm_share: float = SHARE  # of the swarm's runs, for all confirmations
    levels: bool = False  # all runs together say what a step is worth; one that loses is undone at once
    dawn: float = 0.0  # share of the runs that measure steps of the trunk again at the end
    noiseless: bool = False  # equal code gives equal numbers, whatever the seed
    fallback: str = ""  # the policy that goes on where a repeat shows that this one's premise does not hold
    rules: Rules = STANDARD

    def baselines_of_each(self, agents: int, known: bool) -> int:
        """How often each of so many agents measures the untouched code. Where its noise is not `known` beforehand and
        these runs are all that tells it for long, the whole swarm makes UNKNOWN at least."""
        return self.baseline_runs if known or not self.levels else max(self.baseline_runs, math.ceil(UNKNOWN / agents))


DEFAULT = "carry"  # the policy of whoever names none
POLICIES: dict[str, Policy] = {
    "carry": Policy(carry, rolls_back=False, closing_part=60, confirm_share=0.05, levels=True, dawn=0.05),
    "race": Policy(race),
    "greedy": Policy(
        greedy, confirms=False, fills=False, rolls_back=False, needs_referee=False, holds=False, closing_part=60,
    ),
    "exact": Policy(
        exact, confirms=False, fills=False, rolls_back=False, needs_referee=False, holds=False,
        baseline_runs=1, closing_runs=(1, 1), noiseless=True, fallback="carry",
    ),
}  # fmt: skip


class Evidence(Struct, frozen=True):
    """All that is known about an experiment when it is judged."""

    arms: Sequence[Arm]  # its runs, beside those of the parent each was made on
    sigma: float | None  # noise of one run
    added_size: int = 0  # syntax-tree nodes that its edit adds, net
    broken_guard: str = ""  # the bound beside the metric that it breaks, or the check that fails, in one line
    unchecked: bool = False  # the project has checks, and they have not run on this code
    no_effect: bool = False  # its losses are its parent's, step by step
    unaudited: bool = False  # its own code printed the number, no referee measured it
    trunk_moved: bool = False  # its parent is not the trunk's newest step any more
    belief: Belief | None = None  # what all runs of the swarm say of it, where the policy asks them


def decide(evidence: Evidence, policy: Policy) -> Verdict:
    """The verdict of the policy's rule, unless something outweighs it. Its status is None while runs are missing."""
    verdict = _verdict(evidence, policy)
    if evidence.broken_guard:
        return _discarded(verdict, Outcome.BROKE_GUARD, evidence.broken_guard)
    if evidence.no_effect and evidence.added_size >= 0:  # less code of no effect may be kept
        return _discarded(verdict, Outcome.NO_EFFECT, NO_EFFECT)
    if verdict.status is not Status.KEEP:
        return verdict
    if policy.holds and not evidence.unaudited and _exceeds(impossible, verdict, evidence, policy.rules):
        return _discarded(verdict, Outcome.HELD, HELD)
    if evidence.trunk_moved:
        reason = f"{verdict.reason}; the trunk moved: once more on it"
        return Verdict(None, verdict.gain, verdict.se, verdict.n, reason, Outcome.UNDECIDED)
    if evidence.unchecked:  # last: they are asked for only where nothing else is missing
        reason = f"{verdict.reason}; the project's checks come first"
        return Verdict(None, verdict.gain, verdict.se, verdict.n, reason, Outcome.UNCHECKED)
    if policy.needs_referee and evidence.unaudited and _exceeds(incredible, verdict, evidence, policy.rules):
        return replace(verdict, outcome=Outcome.LARGE, reason=f"{LARGE}: {verdict.reason}")
    return verdict


def _verdict(evidence: Evidence, policy: Policy) -> Verdict:
    if evidence.belief is None:
        return policy.rule(evidence.arms, evidence.sigma, policy.rules, evidence.added_size)
    runs = sum(len(arm.candidate) for arm in evidence.arms)
    return by_belief(evidence.belief, runs, policy.rules, evidence.added_size)


NO_EFFECT = "no-op: its losses are its parent's, step by step: look whether the edit is ever reached"
LARGE = "large, unaudited"
HELD = (
    "held for a person: no honest edit gains so much in one step, so it may have found the held-out text; look at its"
    " diff, and if it is honest `swarm accept` keeps it"
)


def _discarded(verdict: Verdict, outcome: Outcome, reason: str) -> Verdict:
    return replace(verdict, status=Status.DISCARD, outcome=outcome, reason=reason, rung=Rung.SEEN, refresh=False)


def _exceeds(limit: Callable[..., bool], verdict: Verdict, evidence: Evidence, rules: Rules) -> bool:
    level = fmean(evidence.arms[-1].parent)
    return verdict.gain is not None and limit(verdict.gain, level, evidence.sigma, rules)


def fallback_of(text: str) -> str:
    """The policy that goes on in place of this one where its premise does not hold, with the same parameters."""
    name, *changes = text.split(":")
    return ":".join([POLICIES[name].fallback, *changes])


@functools.lru_cache
def read_policy(text: str, outlier_gain: float = 0.0) -> Policy:
    """The policy of that name, as it is or with other parameters: `carry`, `race:keep_z=1.5:max_runs=4`.

    `outlier_gain` is the project's, where the text names none. UsageError that lists what exists where something is
    not known.
    """
    name, *changes = text.split(":")
    if name not in POLICIES:
        raise UsageError(f"--policy {text!r:.80}: it is one of {', '.join(POLICIES)}")
    known = {name: type(getattr(STANDARD, name)) for name in Rules.__struct_fields__}
    values: dict[str, float] = {}
    for change in changes:
        rule, _, value = change.partition("=")
        if rule not in known:
            raise UsageError(f"--policy {text!r:.80}: its rules are {', '.join(known)}")
        try:
            values[rule] = known[rule](value)
            if not abs(values[rule]) <= LARGEST:
                raise ValueError("no number to reckon with")
        except ValueError as error:
            raise UsageError(f"--policy {text!r:.80}: {rule} is a number such as {getattr(STANDARD, rule)}") from error
    policy = POLICIES[name]
    rules = replace(policy.rules, **values)  # type: ignore[arg-type]
    return replace(policy, rules=replace(rules, outlier_gain=rules.outlier_gain or outlier_gain))
