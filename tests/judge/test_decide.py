"""The keep rule's one home: the policies, what outweighs their rules, and how a rule is added.

python -m pytest tests/judge/test_decide.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarm.errors import UsageError
from swarm.judge.decide import POLICIES, Evidence, Policy, decide, read_policy
from swarm.judge.race import STANDARD, Arm, Rules
from swarm.project.settings import Config
from swarm.records import Outcome, Rung, Status, Verdict

RACE, GREEDY = read_policy("race"), read_policy("greedy")
BETTER = Evidence([Arm((0.97, 0.97), (1.0,) * 6)], 0.01)  # kept by any rule
WORSE = Evidence([Arm((1.01,), (1.0,) * 6)], 0.01)


def test_without_anything_else_the_rule_decides() -> None:
    for policy in (RACE, GREEDY):
        kept, lost = decide(BETTER, policy), decide(WORSE, policy)
        assert (kept.status, kept.outcome, kept.rung) == (Status.KEEP, Outcome.GAINED, Rung.KEPT)
        assert (lost.status, lost.outcome, lost.rung) == (Status.DISCARD, Outcome.NO_GAIN, Rung.SEEN)


@pytest.mark.parametrize("policy", [RACE, GREEDY])
@pytest.mark.parametrize(
    ("known", "status", "outcome"),
    [
        ({"broken_guard": "guard: latency is 70"}, Status.DISCARD, Outcome.BROKE_GUARD),
        ({"no_effect": True}, Status.DISCARD, Outcome.NO_EFFECT),
        ({"no_effect": True, "added_size": -30}, Status.KEEP, Outcome.GAINED),  # less code of no effect may be kept
        ({"trunk_moved": True}, None, Outcome.UNDECIDED),
        ({"unchecked": True}, None, Outcome.UNCHECKED),
        ({"unchecked": True, "trunk_moved": True}, None, Outcome.UNDECIDED),  # it becomes other code first
        ({"unchecked": True, "broken_guard": "guard: x"}, Status.DISCARD, Outcome.BROKE_GUARD),
        ({"broken_guard": "guard: x", "no_effect": True, "trunk_moved": True}, Status.DISCARD, Outcome.BROKE_GUARD),
    ],
)
def test_what_outweighs_a_rule(policy: Policy, known: dict[str, object], status: Status, outcome: Outcome) -> None:
    verdict = decide(replace(BETTER, **known), policy)  # type: ignore[arg-type]
    assert (verdict.status, verdict.outcome) == (status, outcome)
    assert verdict.gain == decide(BETTER, policy).gain, "the evidence stays, whatever is made of it"
    assert verdict.rung is (Rung.KEPT if status is Status.KEEP else Rung.SEEN)
    if known.get("broken_guard"):
        assert verdict.reason == known["broken_guard"]


def test_a_gain_too_large_to_be_believed_needs_a_referee() -> None:
    huge = Evidence([Arm((0.8, 0.8, 0.8), (1.0,) * 6)], 0.001)
    assert decide(huge, RACE).outcome is Outcome.GAINED
    alone = decide(replace(huge, unaudited=True), RACE)
    assert (alone.status, alone.outcome, alone.rung) == (Status.KEEP, Outcome.LARGE, Rung.KEPT), "marked for a person"
    assert alone.reason.startswith("large, unaudited: ")
    small = Evidence([Arm((0.995,) * 3, (1.0,) * 6)], 0.001, unaudited=True)
    assert decide(small, RACE).outcome is Outcome.GAINED
    exact_repeats = Evidence([Arm((0.8,) * 3, (1.0,) * 6)], 0.0, unaudited=True)
    assert decide(exact_repeats, RACE).outcome is Outcome.LARGE, (
        "where no noise was seen its share of the metric says it"
    )
    assert decide(replace(huge, unaudited=True), GREEDY).outcome is Outcome.GAINED, "it takes every number as it is"


@pytest.mark.parametrize(
    ("level", "sigma", "gain", "held"),
    [
        (2.37, 0.025, 2.37 - 0.397, True),  # a table of 12 tokens, read in the library
        (2.37, 0.025, 2.37 - 0.03, True),  # both readers were given the rows
        (0.998, 0.0006, 0.998 - 0.97, False),  # a whole night on an H100, in one step
        (2.385, 0.025, 2.385 - 2.22, False),  # twice the training on a CPU
        (2.4, 0.025, 0.59, False),
        (2.4, 0.025, 0.61, True),
        (-0.6, 0.01, 0.2, True),  # higher is better
        (0.1, 0.02, 0.05, False),  # half of the metric, and within the noise
    ],
)
def test_a_gain_that_no_honest_edit_makes_waits_for_a_person_even_if_audited(level, sigma, gain, held) -> None:
    known = Evidence([Arm((level - gain,) * 5, (level,) * 6)], sigma)
    verdict = decide(known, RACE)
    assert (verdict.outcome is Outcome.HELD) == held
    assert verdict.status is (Status.DISCARD if held else Status.KEEP) or not verdict.gain
    assert decide(known, read_policy("race:held_share=2")).outcome is not Outcome.HELD, "a person may say otherwise"
    assert decide(known, GREEDY).outcome is Outcome.GAINED, "it takes every number as it is"


def test_what_is_held_is_no_near_miss_that_researchers_would_build_on() -> None:
    held = decide(Evidence([Arm((0.4,) * 5, (1.0,) * 6)], 0.01), RACE)
    assert held.outcome is Outcome.HELD and not held.outcome.is_near_miss and "person" in held.reason


def test_greedy_is_karpathys_rule_and_nothing_beside_it() -> None:
    assert not any((GREEDY.confirms, GREEDY.fills, GREEDY.rolls_back, GREEDY.needs_referee))
    assert all((RACE.confirms, RACE.fills, RACE.rolls_back, RACE.needs_referee))


def test_nobody_else_asks_which_policy_it_is() -> None:
    """What goes with a policy stands in its record: no other file knows one by name, but as a default or in a text."""
    root = Path(__file__).resolve().parents[2] / "swarm"
    named = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in root.rglob("*.py")
        if path.parent.name != "judge" and "lab" not in path.parts
        for line in path.read_text(encoding="utf-8").splitlines()
        if "policy" in line and ('"greedy"' in line or "is race" in line or ".policy.startswith" in line)
    ]
    assert not named, named


def test_a_rule_is_one_function_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def best_of_all(arms: Sequence[Arm], sigma: float | None, rules: Rules, added_size: int) -> Verdict:
        """Keeps what beat its parent with every run; without a run of either it asks for one."""
        if not (arms and arms[-1].candidate and arms[-1].parent):
            return Verdict(None, None, None, 0, "no run yet", Outcome.UNDECIDED, refresh=bool(arms))
        best = max(arms[-1].candidate) < min(arms[-1].parent)
        status, outcome = (Status.KEEP, Outcome.GAINED) if best else (Status.DISCARD, Outcome.NO_GAIN)
        return Verdict(status, 0.1, None, len(arms[-1].candidate), "every run", outcome, Rung.KEPT)

    monkeypatch.setitem(POLICIES, "best-of-all", Policy(best_of_all))
    assert Config(policy="best-of-all:max_runs=3").check().policy == "best-of-all:max_runs=3"
    policy = read_policy("best-of-all:max_runs=3")
    assert policy.rules.max_runs == 3
    assert decide(BETTER, policy).status is Status.KEEP and decide(WORSE, policy).status is Status.DISCARD
    assert decide(replace(BETTER, broken_guard="guard: x"), policy).outcome is Outcome.BROKE_GUARD


def test_the_projects_limit_of_a_gain_holds_where_the_policy_names_none() -> None:
    assert read_policy("race", 0.01).rules == replace(STANDARD, outlier_gain=0.01)
    assert read_policy("race:outlier_gain=0.5", 0.01).rules.outlier_gain == 0.5


@pytest.mark.parametrize("text", ["racer", "race:keep=1", "race:keep_z=high", "", ":", "race:=1"])
def test_a_policy_that_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_policy(text)
    assert "\n" not in str(refused.value) and "--policy" in str(refused.value)


values = st.lists(st.floats(0.1, 2.0), min_size=1, max_size=6).map(tuple)
evidence = st.builds(
    Evidence,
    st.lists(st.builds(Arm, values, values), min_size=1, max_size=3),
    st.one_of(st.none(), st.floats(0.0, 0.1)),
    st.integers(-500, 500),
    st.sampled_from(("", "guard: x")),
    *(st.booleans() for _ in range(4)),
)


@settings(deadline=None)  # the first one loads scipy
@given(evidence, st.sampled_from(sorted(POLICIES)))
def test_every_verdict_makes_sense(known: Evidence, name: str) -> None:
    verdict = decide(known, POLICIES[name])
    assert (verdict.status is None) == (verdict.outcome in (Outcome.UNDECIDED, Outcome.UNCHECKED))
    assert (verdict.rung is Rung.KEPT) == (verdict.status is Status.KEEP)
    if verdict.status is Status.KEEP:
        assert not known.broken_guard and not known.trunk_moved and not known.unchecked
        assert not known.no_effect or known.added_size < 0
    assert not (verdict.refresh and verdict.status)
