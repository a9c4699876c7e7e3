"""The board's promises: one claim per idea, one answer per request, nobody acts under a lease that is not theirs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from swarm.board.board import LEASE, MEMORY, Board, steady
from swarm.errors import Fenced
from swarm.ledger.database import Ledger
from swarm.novelty.code import code_of
from swarm.records import Claim, Duplicate, Entered, Failure, Idea, Measure, Rebase, Repair, Rest, Source, Stop
from tests.board.nights import Night, finished, turned

WORDINGS = (
    Idea("K3 1 -> 0.04", knobs={"K3": 0.04}),
    Idea("use a far smaller value for the third knob", knobs={"k3": "4e-2"}),
)


# -- claims --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        WORDINGS,
        (Idea("set the batch to 2**18"), Idea("Batch 262144")),
        (Idea("warmup -> 0.10"), Idea("Warmup 1e-1")),
        (Idea("использовать GELU"), Idea("Использовать gelu")),
    ],
)
def test_the_same_idea_in_other_words_is_claimed_once(night: Night, first: Idea, second: Idea) -> None:
    claim = night.claim("gpu0", first)
    assert isinstance(claim, Claim)
    again = night.claim("gpu1", second)
    assert again == Duplicate(claim.experiment, "idea", again.explanation)
    assert claim.experiment in again.explanation and "being drafted" in again.explanation


def test_opposite_ideas_are_not_the_same(night: Night) -> None:
    pairs = [("replace relu with gelu", "replace gelu with relu"), ("depth 8 -> 9", "depth 9 -> 8"), ("更宽", "更深")]
    for first, second in pairs:
        assert isinstance(night.claim("gpu0", first), Claim)
        assert isinstance(night.claim("gpu1", second), Claim)


def test_of_many_agents_that_have_one_idea_at_once_one_gets_it(make_night: Callable[..., Night]) -> None:
    """The board is one actor: calls of all agents, from their own threads, reach it one at a time in any order."""
    night = make_night(agents=8)
    night.ledger.close()
    actor = ThreadPoolExecutor(1)

    def open_board() -> Board:
        return Board(Ledger(night.path, write=True), "apr5")

    board = actor.submit(open_board).result()
    start = threading.Barrier(8)

    def agent(name: str) -> list[Any]:
        def call(method: str, *arguments: object) -> Any:
            request = f"{name} {random.random()}"
            twice = [actor.submit(getattr(board, method), *arguments, request=request) for _ in range(2)]
            answers = [answer.result() for answer in twice]
            assert answers[0] == answers[1]
            return answers[0]

        fence = call("join", name)
        start.wait()
        ideas = [Idea(f"depth  {number} ", knobs={"DEPTH": number}) for number in range(5)]
        random.Random(name).shuffle(ideas)
        taken = []
        for idea in ideas:
            claim = call("claim", name, fence, idea, 0)
            if isinstance(claim, Claim):
                source = Source({"train.py": f"depth = {idea.title}".encode()})
                assert isinstance(call("enter", claim, code_of(Source({}), source)), Entered)
                taken.append(idea.title)
        return taken

    with ThreadPoolExecutor(8) as agents:
        taken = [title for titles in agents.map(agent, [f"gpu{i}" for i in range(8)]) for title in titles]
    assert sorted(taken) == [f"depth  {number} " for number in range(5)]
    actor.submit(board.ledger.close).result()


def test_processes_take_turns_at_the_ledger_and_never_at_an_idea(make_night: Callable[..., Night]) -> None:
    """Two boards, one after the other in processes of their own: the second knows what the first gave away."""
    night = make_night()
    night.ledger.close()
    code = f"""
import sys, json
from pathlib import Path
from swarm.board.board import Board
from swarm.ledger.database import Ledger
from swarm.errors import UsageError
from swarm.records import Idea
while True:
    try:
        ledger = Ledger(Path({str(night.path)!r}), write=True)
        break
    except UsageError as error:
        assert "already running" in str(error)
board, agent = Board(ledger, "apr5"), sys.argv[1]
fence = board.join(agent, request=agent)
claims = [board.claim(agent, fence, Idea("a " + word, knobs={{"k1": 7}}), 0, request=agent + word) for word in "xy"]
print(json.dumps([type(claim).__name__ for claim in claims]))
ledger.close()
"""
    agents = [
        subprocess.Popen([sys.executable, "-c", code, agent], stdout=subprocess.PIPE, text=True)
        for agent in ("gpu0", "gpu1")
    ]
    answers = [json.loads(agent.communicate()[0]) for agent in agents]
    # the winner's second claim frees its first, and takes the idea anew
    assert sorted(answers) == [["Claim", "Claim"], ["Duplicate", "Duplicate"]]


def test_a_duplicate_names_what_came_of_the_earlier_experiment(night: Night) -> None:
    experiment = night.draft("gpu0", 3)
    told = night.claim("gpu1", Idea("turn it", knobs={"K3": 2.0}))
    assert isinstance(told, Duplicate) and told.of == experiment and "waits for its GPU" in told.explanation
    night.run("gpu0", 1.5)
    told = night.claim("gpu1", Idea("turn it", knobs={"k3": "2"}))
    assert "discard" in told.explanation and "not better than its parent" in told.explanation


def test_a_released_idea_is_free_again(night: Night) -> None:
    claim = night.claim("gpu0", WORDINGS[0])
    night.call("release", claim, "no edit came of it")
    assert night.state(claim.experiment) == "abandoned"
    assert isinstance(night.claim("gpu1", WORDINGS[1]), Claim)


def test_an_agent_that_claims_again_gives_the_first_claim_back(night: Night) -> None:
    first = night.claim("gpu0", WORDINGS[0])
    night.claim("gpu0", "something else")
    assert isinstance(night.claim("gpu1", WORDINGS[0]), Claim)
    with pytest.raises(Fenced, match="abandoned"):
        night.enter(first, turned(night.base, 0, 2))


def test_text_that_no_file_could_hold_is_made_legible(night: Night) -> None:
    claim = night.claim("gpu0", Idea("a\0b\ttab\nline \ud800", "why\0", "cat\negory"))
    assert claim.idea == Idea("a b tab line ?", "why ", "cat egory")
    night.call("release", claim, "x")
    assert len(night.claim("gpu0", Idea("x" * 5000)).idea.title) == 200
    night.board.tell("half \udfff a word\0")
    night.board.warn("gpu0", "\ud800")
    assert night.board.briefing("gpu0").notes == ("half ? a word ",)


# -- code ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [b"k = 262144\n", b"# why\nk = 2**18  # tokens\n", b'"""Doc."""\nk = 2 ** 18', b"pass\nk = (1 << 18)\n"],
)
def test_the_same_code_in_another_spelling_is_refused(night: Night, code: bytes) -> None:
    first = night.enter(night.claim("gpu0", "one"), Source({"train.py": b"k = 2**18\n"}))
    claim = night.claim("gpu1", "two")
    second = night.enter(claim, Source({"train.py": code}))
    assert second == Duplicate(first.experiment, "code", second.explanation)
    assert night.state(claim.experiment) == "abandoned"
    assert isinstance(night.claim("gpu0", "two"), Claim)


def test_an_edit_that_changes_only_words_is_the_baseline(night: Night) -> None:
    claim = night.claim("gpu0", "comment it")
    again = night.enter(claim, Source({"train.py": b"# a comment\n" + night.base.files["train.py"]}))
    assert isinstance(again, Duplicate) and again.of == "apr5-gpu0-0000" and "baseline" in again.explanation


def test_code_whose_experiment_was_given_up_may_be_tried_again(night: Night) -> None:
    experiment = night.draft("gpu0", 1)
    night.clock.tick(LEASE + 1)
    night.board.renew("gpu1", night.fences["gpu1"])
    assert "gpu0" in night.board.expire()
    assert night.state(experiment) == "abandoned"
    assert night.state(night.draft("gpu1", 1)) == "drafted"


def test_a_rebased_experiment_is_known_in_both_shapes(night: Night) -> None:
    night.draft("gpu1", 1)
    night.keep("gpu0", 0, 0.99)
    work = night.measure("gpu1")
    assert turned(turned(night.base, 0, 2), 1, 2).sha == work.source
    for shape in (turned(night.base, 1, 2), turned(turned(night.base, 0, 2), 1, 2)):
        told = night.enter(night.claim("gpu0", f"again {shape.sha}"), shape)
        assert isinstance(told, Duplicate) and told.of == work.experiment


# -- requests ------------------------------------------------------------------------------------------------------


def counts(night: Night) -> tuple[int, ...]:
    tables = ("experiments", "runs", "events", "trunk", "sources", "fingerprints", "answers", "payments")
    fences = night.ledger.value("SELECT total(fence) FROM agents")
    seconds = night.ledger.value("SELECT total(seconds) FROM agents")
    return (*(night.ledger.value(f"SELECT count(*) FROM {table}") for table in tables), fences, seconds)


def twice(night: Night, method: str, *arguments: object) -> Any:
    """The call, then the same again from a caller who never saw the answer; also from a board that was restarted."""
    answer = night.call(method, *arguments, request="the same")
    before = counts(night)
    assert night.call(method, *arguments, request="the same") == answer
    night.restart()
    assert night.call(method, *arguments, request="the same") == answer
    assert counts(night) == before
    night.ledger.execute("DELETE FROM answers WHERE request = 'the same'")
    return answer


def test_a_repeated_request_gets_the_same_answer_and_changes_nothing_twice(night: Night) -> None:
    one = [method for method in vars(Board) if hasattr(getattr(Board, method), "__wrapped__")]
    seen = set()

    def call(method: str, *arguments: object) -> Any:
        seen.add(method)
        return twice(night, method, *arguments)

    fence = night.fences["gpu0"] = call("join", "gpu0")
    released = call("claim", "gpu0", fence, Idea("released"), 0)
    call("release", released, "no edit")
    claim = call("claim", "gpu0", fence, Idea("idea"), 0)
    assert isinstance(call("claim", "gpu1", night.fences["gpu1"], Idea("the idea"), 0), Duplicate)
    source = turned(night.base, 0, 2)
    assert isinstance(call("enter", claim, code_of(night.base, source)), Entered)
    work = call("next_work", "gpu0", fence)
    assert isinstance(work, Measure)
    assert call("record", "gpu0", fence, finished(work, Failure.CODE, 0.0)).status is None
    repair = call("next_work", "gpu0", fence)
    assert isinstance(repair, Repair)
    mended = turned(night.base, 0, 3)
    call("mend", "gpu0", fence, repair.experiment, code_of(night.base, mended))
    night.keep("gpu1", 5, 0.99)
    order = call("next_work", "gpu0", fence)
    assert isinstance(order, Rebase)
    merged = turned(night.board.source(order.onto), 0, 3)
    call("rebase", "gpu0", fence, order, code_of(night.board.source(order.onto), merged))
    assert isinstance(call("next_work", "gpu0", fence), Measure)
    receipt = call("reserve", "gpu0", "claude", 0.5, 1000)
    call("settle", receipt, 0.1, 100, 50, 20)
    call("leave", "gpu0", fence)
    call("retire", "gpu1", night.fences["gpu1"])
    call("tell", "try k3")
    call("decide", "accept", order.experiment)
    call("warn", "gpu0", "why")
    call("end", "finished", "done")
    assert seen == set(one) - {"left_out"}  # tests/board/test_ablations.py


def test_answers_are_forgotten_after_a_while(night: Night) -> None:
    assert night.ledger.value("SELECT count(*) FROM answers") > 0
    night.clock.tick(MEMORY + 1)
    night.board.expire()
    assert night.ledger.value("SELECT count(*) FROM answers") == 0


# -- leases --------------------------------------------------------------------------------------------------------


def test_an_old_holder_is_refused_in_every_call_that_changes_something(night: Night) -> None:
    claim = night.claim("gpu0", "idea")
    code = code_of(night.base, turned(night.base, 0, 2))
    experiment = night.draft("gpu1", 1)
    work = night.measure("gpu1")
    old = dict(night.fences)
    night.join()  # the same agents, started again
    order = Rebase(experiment, Idea("x"), work.parent, work.source, work.parent, 0)
    for method, arguments in {
        "renew": ("gpu0", old["gpu0"]),
        "claim": ("gpu0", old["gpu0"], Idea("other"), 0),
        "enter": (claim, code),
        "release": (claim, "why"),
        "next_work": ("gpu1", old["gpu1"]),
        "rebase": ("gpu1", old["gpu1"], order, code),
        "mend": ("gpu1", old["gpu1"], experiment, code),
        "record": ("gpu1", old["gpu1"], finished(work, 0.5, 0.0)),
        "leave": ("gpu0", old["gpu0"]),
    }.items():
        before = counts(night)
        with pytest.raises(Fenced):
            getattr(night.board, method)(*arguments, **({} if method == "renew" else {"request": method}))
        assert counts(night) == before, method


def test_nobody_changes_what_belongs_to_another_agent_or_is_over(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    night.run("gpu0", 1.5)
    assert night.state(experiment) == "judged"
    code, fence = code_of(night.base, turned(night.base, 0, 3)), night.fences["gpu0"]
    order = Rebase(experiment, Idea("x"), night.base.sha, code.source.sha, night.base.sha, 0)
    other = night.draft("gpu1", 1)
    for method, arguments in [
        ("rebase", ("gpu0", fence, order, code)),
        ("mend", ("gpu0", fence, other, code)),
        ("release", (Claim(experiment, "gpu0", fence, Idea("x"), "", 0), "why")),
    ]:
        with pytest.raises(Fenced):
            night.call(method, *arguments)
    assert night.state(experiment) == "judged"


def test_an_agent_without_a_seat_is_a_bug(night: Night) -> None:
    with pytest.raises(KeyError):
        night.call("join", "gpu9")
    with pytest.raises(Fenced):
        night.call("next_work", "gpu9", 0)


def test_a_lease_lasts_as_long_as_it_is_renewed(night: Night) -> None:
    claim = night.claim("gpu0", WORDINGS[0])
    for _ in range(4):
        night.clock.tick(LEASE * 0.9)
        night.board.renew("gpu0", night.fences["gpu0"])
        night.board.expire()
    assert night.state(claim.experiment) == "claimed"
    with pytest.raises(Fenced):
        night.board.renew("gpu1", night.fences["gpu1"])
    night.clock.tick(LEASE * 1.1)
    assert night.board.expire() == ["gpu0"]
    assert night.board.expire() == []
    assert night.state(claim.experiment) == "abandoned"
    night.join("gpu1")
    assert isinstance(night.claim("gpu1", WORDINGS[1]), Claim)


def test_wall_time_that_jumps_ends_no_lease(night: Night) -> None:
    night.clock.now += 100_000.0
    assert night.board.expire() == []
    night.clock.now -= 300_000.0
    assert night.board.expire() == []


def test_a_run_that_expires_is_the_same_experiments_next_attempt_and_its_late_result_never_counts(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    work = night.measure("gpu0")
    night.clock.tick(LEASE + 1)
    night.board.renew("gpu1", night.fences["gpu1"])
    assert night.board.expire() == ["gpu0"]
    with pytest.raises(Fenced):
        night.record("gpu0", work, 0.5)
    night.join("gpu0")
    again = night.measure("gpu0")
    assert (again.run, again.seed, again.source) == (work.run, work.seed, work.source)
    assert (work.attempt, again.attempt) == (1, 2)
    assert night.record("gpu0", work, 0.5) is None  # found on disk by the new life: stored, and no evidence
    late = night.ledger.value("SELECT late FROM runs WHERE id = ? AND attempt = 1", work.run)
    assert json.loads(late)["metrics"]["value"] == 0.5
    assert night.state(experiment) == "testing"
    verdict = night.record("gpu0", again, 1.5)
    assert verdict and verdict.status == "discard" and verdict.gain == pytest.approx(-0.5)
    assert night.record("gpu0", again, 0.1) is None  # a second word about a run that is done
    assert [run["state"] for run in night.runs(f"experiment = '{experiment}'")] == ["lost", "measured"]


def test_everybody_gets_full_grace_after_a_restart_of_the_board(night: Night) -> None:
    claim = night.claim("gpu0", WORDINGS[0])
    night.clock.tick(LEASE - 1)
    night.restart()
    night.clock.tick(LEASE - 1)
    assert night.board.expire() == []
    night.board.renew("gpu0", night.fences["gpu0"])
    assert isinstance(night.enter(claim, turned(night.base, 0, 2)), Entered)
    night.clock.tick(2)
    assert night.board.expire() == ["gpu1"]


def test_an_agent_that_leaves_is_not_lost_and_finds_its_draft_again(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    claim = night.claim("gpu0", "another")
    night.call("leave", "gpu0", night.fences["gpu0"])
    night.clock.tick(LEASE + 1)
    assert night.board.expire() == ["gpu1"]
    assert not night.ledger.rows("SELECT * FROM events WHERE kind = 'lost'")
    assert (night.state(experiment), night.state(claim.experiment)) == ("drafted", "abandoned")
    night.join("gpu0")
    assert night.measure("gpu0").experiment == experiment


def test_the_end_takes_all_leases_and_leaves_nothing_running(night: Night) -> None:
    night.draft("gpu0", 0)
    night.measure("gpu0")
    night.board.end("stopped", "stopped")
    assert not night.runs("state = 'running'")
    with pytest.raises(Fenced):
        night.next("gpu0")
    assert night.board.swarm.ended == night.clock.now


# -- several swarms on one ledger ----------------------------------------------------------------------------------


def test_the_second_night_knows_the_first_and_frees_what_it_left_open(make_night: Callable[..., Night]) -> None:
    first = make_night(tag="apr5")
    first.baselines()
    judged = first.draft("gpu0", 0)
    first.run("gpu0", 1.5)
    tested, drafted = first.draft("gpu0", 1), first.draft("gpu1", 2)
    first.run("gpu0", 0.99)
    first.measure("gpu0")

    second = make_night(tag="apr6")
    second.join()
    assert isinstance(second.claim("gpu0", Idea("again", knobs={"k0": 2})), Duplicate)
    assert [second.state(experiment) for experiment in (judged, tested, drafted)] == [
        "judged",
        "abandoned",
        "abandoned",
    ]
    assert second.state(second.draft("gpu0", 1)) == second.state(second.draft("gpu1", 2)) == "drafted"
    assert not second.runs("state = 'running'")
    other = second.ledger.one("SELECT * FROM swarms WHERE tag = 'apr5'")
    assert other["status"] == "interrupted" and other["ended"] >= other["started"]


def test_another_key_knows_the_findings_but_refuses_no_idea(make_night: Callable[..., Night]) -> None:
    first = make_night(tag="apr5", key="an H100")
    first.baselines()
    first.draft("gpu0", 0)
    first.run("gpu0", 1.5)
    second = make_night(tag="apr6", key="a Mac")
    second.join()
    known = second.board.briefing("gpu0").findings
    assert [(f.experiment, f.comparable, f.value) for f in known] == [("apr5-gpu0-0001", False, 1.5)]
    assert second.state(second.draft("gpu0", 0)) == "drafted"


def test_a_word_to_an_old_swarm_ends_no_running_one(make_night: Callable[..., Night]) -> None:
    make_night(tag="apr5")
    night = make_night(tag="apr6")
    night.baselines()
    experiment = night.draft("gpu0", 0)
    Board(night.ledger, "apr5").tell("a late thought")
    assert night.state(experiment) == "drafted"
    assert isinstance(night.next("gpu1"), Rest)


def test_stop_now_is_never_taken_back(night: Night) -> None:
    assert night.board.renew("gpu0", night.fences["gpu0"]) == ""
    for word, effect in (("drain", "drain"), ("now", "now"), ("drain", "now")):
        night.board.stop(word)
        assert night.board.renew("gpu0", night.fences["gpu0"]) == effect
    assert night.next("gpu0") == Stop("stopped")
    assert not night.board.wants_draft("gpu0")
    assert isinstance(night.claim("gpu0", "too late"), Stop)


def test_a_wall_clock_that_is_set_ends_no_night_and_forgets_no_answer(make_night: Callable[..., Night]) -> None:
    night = make_night()
    night.swarm(deadline=night.clock.now + 8 * 3600.0)
    for jump in (100_000.0, -300_000.0):
        night.board = Board(
            night.ledger, "apr5", now=steady(lambda: night.clock.now, lambda: night.clock.monotonic),
            monotonic=lambda: night.clock.monotonic,
        )  # fmt: skip
        night.join()
        night.clock.now += jump
        night.board.expire()
        assert night.ledger.value("SELECT count(*) FROM answers") >= 2
        assert night.board.wants_draft("gpu0")
        night.clock.now -= jump
    night.clock.monotonic += 8 * 3600.0
    assert not night.board.wants_draft("gpu0"), "the night's own hours count"
