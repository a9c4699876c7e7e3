"""What was tried is answered with its result; it runs again for a reason, and for another once things have moved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from swarm.board.repeats import Standing, standing
from swarm.novelty.code import code_of
from swarm.records import Claim, Duplicate, Entered, Failure, Idea, Outcome
from tests.board.nights import Night, turned

K3 = Idea("k3 -> 2", "why", "batch", {"k3": 2})
AGAIN = replace(K3, title="the third knob, once more", again="the batch has grown since")


def tried(night: Night, idea: Idea = K3, value: float | Failure = 1.5, agent: str = "gpu1") -> str:
    """The idea, put into code and judged after one run."""
    claim = night.claim(agent, idea)
    assert isinstance(claim, Claim), claim
    knob, setting = next(iter(idea.knobs.items()))
    entered = night.enter(claim, turned(night.board.source(claim.parent), int(knob[1:]), setting))
    assert isinstance(entered, Entered), entered
    night.run(agent, value)
    assert night.state(claim.experiment) == "judged"
    return claim.experiment


def test_the_answer_is_the_earlier_result_with_its_evidence_and_its_change(night: Night) -> None:
    experiment = tried(night)
    again = night.claim("gpu0", Idea("set the third knob to two", knobs={"K3": "2.0"}))
    assert isinstance(again, Duplicate) and (again.of, again.gate) == (experiment, "idea")
    for part in (
        f"{experiment} (k3 -> 2), by gpu1, 1970-01-12",
        "discard, refuted, gain -0.5 (95%: -0.50",
        "n=1",
        "not better than its parent",
        "- k3 = 1\n+ k3 = 2",
        "say so in `again`",
    ):
        assert part in again.explanation, again.explanation
    assert len(again.explanation) < 2_500


def test_what_runs_now_is_never_tried_beside_it_whatever_the_reason(night: Night) -> None:
    claim = night.claim("gpu0", K3)
    assert isinstance(night.claim("gpu1", AGAIN), Duplicate)
    night.enter(claim, turned(night.base, 3, 2))
    assert isinstance(night.claim("gpu1", AGAIN), Duplicate)
    night.measure("gpu0")
    told = night.claim("gpu1", AGAIN)
    assert isinstance(told, Duplicate) and "being tested now" in told.explanation and "again" not in told.explanation


def test_a_reason_opens_it_once_but_never_for_the_same_code(night: Night) -> None:
    tried(night)
    night.keep("gpu0", 0, 0.99)
    claim = night.claim("gpu1", AGAIN)
    assert isinstance(claim, Claim) and night.row(claim.experiment)["again"] == AGAIN.again
    assert isinstance(night.enter(claim, turned(night.base, 3, 2)), Duplicate), "the very code that ran"
    second = tried(night, AGAIN)
    told = night.claim("gpu0", AGAIN)
    assert isinstance(told, Duplicate) and told.of == second
    assert "Propose something else" in told.explanation


@pytest.mark.parametrize(("category", "opened"), [("batch", True), ("optimizer", False)])
def test_a_refuted_idea_is_open_again_when_its_category_changed(night: Night, category: str, opened: bool) -> None:
    tried(night)
    night.keep("gpu0", 0, 0.99)
    tried(night, AGAIN)
    experiment = night.keep("gpu0", 1, 0.98)
    night.ledger.execute("UPDATE experiments SET category = ? WHERE id = ?", category, experiment)
    assert isinstance(night.claim("gpu0", K3), Duplicate), "nobody repeats it without knowing"
    assert isinstance(night.claim("gpu0", AGAIN), Claim if opened else Duplicate)


def test_an_unproven_idea_is_open_again_when_the_trunk_has_moved_far(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    night.ledger.execute("UPDATE experiments SET category = 'schedule' WHERE status = 'keep'")
    tried(night)
    night.keep("gpu0", 1, 0.98)
    tried(night, AGAIN)
    night.ledger.execute("UPDATE experiments SET outcome = 'near miss' WHERE agent = 'gpu1' AND status = 'discard'")
    for knob, value in ((2, 0.97), (4, 0.96)):
        assert isinstance(night.claim("gpu1", AGAIN), Duplicate)
        night.keep("gpu0", knob, value)
    assert isinstance(night.claim("gpu1", AGAIN), Duplicate), "two steps since"
    night.keep("gpu0", 5, 0.95)
    assert isinstance(night.claim("gpu1", AGAIN), Claim)


def test_the_same_change_on_another_parent_is_refused_in_any_words(night: Night) -> None:
    experiment = tried(night)
    night.keep("gpu0", 0, 0.99)
    for idea in (Idea("something bold"), Idea("a new gate", knobs={"gate": 7})):
        claim = night.claim("gpu0", idea)
        told = night.enter(claim, turned(night.board.source(claim.parent), 3, "2  # a gate"))
        assert isinstance(told, Duplicate) and (told.of, told.gate) == (experiment, "change")
        assert night.state(claim.experiment) == "abandoned"
    claim = night.claim("gpu0", Idea("something bold", again="the trunk moved"))
    assert isinstance(night.enter(claim, turned(night.board.source(claim.parent), 3, 2)), Entered)


def test_what_is_very_like_is_shown_once_and_may_be_insisted_on(night: Night) -> None:
    experiment = tried(night)
    idea = Idea("k3 -> 2.01", knobs={"k3": 2.01})
    claim = night.claim("gpu0", idea)
    code = code_of(night.base, turned(night.base, 3, 2.01))
    told = night.call("enter", claim, code, experiment)
    assert isinstance(told, Duplicate) and (told.of, told.gate) == (experiment, "likeness")
    assert "very like it" in told.explanation and "gain -0.5" in told.explanation
    claim = night.claim("gpu0", replace(idea, again="it sits on an edge"))
    assert isinstance(night.call("enter", claim, code, experiment), Entered)


def test_neighbours_are_the_newest_changes_under_this_key(make_night: Callable[..., Night]) -> None:
    first = make_night(key="another machine")
    first.baselines()
    tried(first)
    night = make_night(tag="apr6")
    night.baselines()
    assert night.board.neighbours() == ()
    experiment = tried(night)
    night.claim("gpu0", "no code yet")
    assert [(c.experiment, c.diff, c.words) for c in night.board.neighbours()] == [
        (experiment, "- k3 = 1\n+ k3 = 2", "k3 -> 2 why")
    ]


def test_another_night_knows_it_and_what_moved_since(make_night: Callable[..., Night]) -> None:
    first = make_night(tag="apr5")
    first.baselines()
    tried(first)
    first.keep("gpu0", 0, 0.99)
    tried(first, AGAIN)

    anew = make_night(tag="apr6")  # from the same untouched code: the step that was kept then is a difference now
    anew.join()
    assert isinstance(anew.claim("gpu0", AGAIN), Duplicate)
    anew.ledger.execute("UPDATE experiments SET category = 'batch' WHERE status = 'keep' AND baseline = 0")
    assert isinstance(anew.claim("gpu0", AGAIN), Claim)


def test_a_night_that_goes_on_from_another_has_its_steps(make_night: Callable[..., Night]) -> None:
    first = make_night(tag="apr5")
    first.baselines()
    kept = first.keep("gpu0", 0, 0.99)
    first.ledger.execute("UPDATE experiments SET category = 'batch' WHERE id = ?", kept)
    tried(first)
    first.keep("gpu0", 1, 0.98)
    tried(first, AGAIN)
    newest = first.board.source(first.board.briefing("gpu0").parent.sha).files["train.py"]
    second = make_night(tag="apr6", from_tag="apr5", base=newest)
    second.join()
    assert isinstance(second.claim("gpu0", AGAIN), Duplicate), "nothing moved since"


@pytest.mark.parametrize(
    ("status", "outcome", "high", "known"),
    [
        (None, None, 0.1, None),
        ("keep", Outcome.GAINED, 0.1, Standing.KEPT),
        ("crash", Outcome.CRASHED, None, Standing.CRASHED),
        ("discard", Outcome.NO_EFFECT, 0.0, Standing.NOOP),
        ("discard", Outcome.NEAR_MISS, 0.1, Standing.NEAR_MISS),
        ("discard", Outcome.NO_GAIN, 0.0004, Standing.REFUTED),
        ("discard", Outcome.NO_GAIN, 0.0006, Standing.UNPROVEN),
        ("discard", None, None, Standing.UNPROVEN),
    ],
)
def test_unproven_is_not_refuted(
    status: str | None, outcome: Outcome | None, high: float | None, known: Standing | None
) -> None:
    assert standing(status, outcome, high, 0.001) == known
