"""What every view is drawn from: one state of the ledger, at any time, from any process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path, open_ledger
from swarm.ledger.swarms import newest_tag, reopen
from swarm.ledger.transaction import of_swarm
from swarm.records import Failure, Idea, Metrics, Run
from swarm.snapshot.read import STALE, _live, read_snapshot
from swarm.snapshot.records import AgentView, ExperimentView, Snapshot
from swarm.views.status import status_json
from swarm.wording.headline import second_opinion
from tests.board.nights import Night

MakeNight = Callable[..., Night]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def told(night: Night) -> Night:
    """A night with one of everything."""
    night.keep("gpu0", 0, 0.99)
    night.draft("gpu0", 1)
    night.run("gpu0", 1.5)
    night.draft("gpu1", 2)
    night.run("gpu1", Failure.INVALID)
    night.claim("gpu0", Idea("claimed and given back"))
    night.claim("gpu0", Idea("being drafted"))
    night.draft("gpu1", 3)
    night.run("gpu1", 0.985)
    night.measure("gpu1")
    night.board.projected({"apr5-gpu0-0001": "a" * 40, "apr5-gpu0-0002": "b" * 40})
    night.board.tell("try smaller batches")
    return night


def look(root: Path, now: float = 1_000_500.0, tag: str = "apr5") -> Snapshot:
    ledger = open_ledger(root)
    try:
        return read_snapshot(root, ledger, tag, now)
    finally:
        ledger.close()


def by_id(snapshot: Snapshot) -> dict[str, ExperimentView]:
    return {view.id.removeprefix("apr5-"): view for view in snapshot.experiments}


def test_the_time_between_two_lives_of_a_swarm_is_nobodys(night: Night, root: Path) -> None:
    for number in range(2):
        night.keep("gpu0", number, 0.99 - number / 100)
        night.clock.tick(5.0)
    before = look(root).train_share
    night.clock.tick(36_000.0)
    swarm = of_swarm(night.ledger, night.tag, night.clock.now)
    limits, agents = (None, None, "scripted", "{}"), dict.fromkeys(night.agents, ("a device", "optimizer"))
    reopen(night.ledger, night.tag, agents, swarm.now, *limits)
    night.restart()
    night.join()
    for number in range(2, 4):
        night.keep("gpu0", number, 0.99 - number / 100)
    after = look(root).train_share
    assert before and after and after > before / 2, "ten hours in which nothing ran are not the GPUs'"


def test_a_filler_passes_the_time_and_is_no_failure_where_it_gives_way(night: Night, root: Path) -> None:
    night.keep("gpu0", 0, 0.99)
    for ended in (Failure.INTERRUPTED, 0.99):
        night.next("gpu0")
        night.clock.tick(20.0)
        filler = night.measure("gpu0")
        assert filler.purpose == "filler"
        night.record("gpu0", filler, ended)
    snapshot = look(root)
    spans = [[run["started"] for run in night.runs(f"agent = '{agent}'")] for agent in night.agents]
    wall = sum(max(own) + 10.0 - min(own) for own in spans)
    assert snapshot.train_share == pytest.approx(10.0 * len(night.runs("purpose != 'filler'")) / wall)
    assert status_json(snapshot)["failures"] == {}
    night.draft("gpu0", 1)
    night.run("gpu0", Failure.INTERRUPTED)
    assert status_json(look(root))["failures"] == {"interrupted": 1}


def test_a_repository_without_a_swarm_says_how_to_start_one(root: Path) -> None:
    with pytest.raises(UsageError, match="swarm launch"):
        open_ledger(root)
    path = ledger_path(root)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(UsageError, match="swarm launch"):
        open_ledger(root)
    Ledger(path, write=True).close()
    ledger = open_ledger(root)
    assert newest_tag(ledger) is None
    with pytest.raises(UsageError, match="there are: none yet"):
        read_snapshot(root, ledger, "apr5")


def test_an_unknown_tag_lists_what_there_is(told: Night, root: Path) -> None:
    with pytest.raises(UsageError, match="no swarm apr9; there are: apr5"):
        look(root, tag="apr9")


def test_experiments_are_told_as_they_are(told: Night, root: Path) -> None:
    snapshot = look(root)
    views = by_id(snapshot)
    assert [view.id for view in snapshot.experiments] == [f"apr5-{name}" for name in views]
    assert list(views) == [
        *("gpu0-0000", "gpu1-0000", "gpu0-0001", "gpu0-0002", "gpu1-0001"),
        *("gpu0-0004", "gpu1-0002"),
    ], "judged ones in their order, then open ones; none that was abandoned"
    kept, discarded, crashed, open_ = (views[n] for n in ("gpu0-0001", "gpu0-0002", "gpu1-0001", "gpu1-0002"))
    assert (kept.state, kept.status, kept.rung, kept.position, kept.n) == ("judged", "keep", "kept", 1, 3)
    assert kept.value == pytest.approx(0.99) and kept.gain == pytest.approx(0.01)
    assert kept.low and kept.high and kept.low < 0.01 < kept.high
    assert (kept.commit, kept.parent, kept.peak_vram_mb, kept.audited) == ("a" * 40, "0" * 40, 2048.0, True)
    assert kept.sandboxed, "all of its runs were"
    assert (discarded.status, discarded.parent) == ("discard", "a" * 40)
    assert discarded.gain == pytest.approx(-0.51)
    assert (crashed.status, crashed.failure, crashed.value, crashed.gain) == ("crash", "invalid", None, None)
    assert (crashed.peak_vram_mb, crashed.audited, crashed.commit) == (None, False, None)
    assert (open_.state, open_.status, open_.value) == ("testing", None, 0.985)
    assert views["gpu0-0000"].baseline and views["gpu0-0000"].gain is None
    assert views["gpu0-0000"].value == pytest.approx(1.0)


def test_the_whole_is_told_as_it_is(told: Night, root: Path) -> None:
    snapshot = look(root)
    assert (snapshot.tag, snapshot.branch, snapshot.now) == ("apr5", "autoresearch/apr5", 1_000_500.0)
    assert snapshot.folder == str(root / ".swarm" / "apr5")
    assert snapshot.counts == {"keep": 1, "discard": 1, "crash": 1, "invalid": 1, "duplicate": 0}
    assert snapshot.baseline == pytest.approx(1.0) and snapshot.best == pytest.approx(0.99)
    assert snapshot.sigma and snapshot.champion is None and snapshot.headline is None
    assert [(step.position, step.experiment, step.commit) for step in snapshot.trunk] == [
        (0, "", "0" * 40),
        (1, "apr5-gpu0-0001", "a" * 40),
    ]
    assert snapshot.trunk[1].gain == pytest.approx(0.01) and snapshot.trunk[0].gain is None
    assert snapshot.notes == ((snapshot.notes[0][0], "try smaller batches"),)
    kinds = [event.kind for event in snapshot.events]
    assert kinds.count("baseline") == 4 and {"keep", "discard", "crash", "told"} < set(kinds)
    assert snapshot.gpu_hours == pytest.approx(10.0 * sum(run.seconds is not None for run in snapshot.runs) / 3600)
    assert 0 < (snapshot.train_share or 0) <= 1
    agents = {view.agent: view for view in snapshot.agents}
    assert list(agents) == ["gpu0", "gpu1"]
    assert (agents["gpu0"].keep, agents["gpu0"].discard, agents["gpu1"].crash) == (1, 1, 1)
    assert agents["gpu0"].gain == pytest.approx(0.01) and agents["gpu1"].gain is None
    assert agents["gpu1"].branch == "autoresearch/apr5-gpu1"
    running = [run for run in snapshot.runs if run.state == "running"]
    assert [(run.experiment, run.metric, run.seconds) for run in running] == [("apr5-gpu1-0002", None, None)]
    first = next(run for run in snapshot.runs if run.experiment == "apr5-gpu0-0001")
    assert (first.sha, first.parent, first.purpose, first.status) == ("a" * 40, "0" * 40, "first", "keep")
    assert len(running[0].sha or "") == 64  # no commit yet: its source
    assert (first.audited, first.sandboxed) == (True, True)
    assert (running[0].audited, running[0].sandboxed) == (None, None)


def test_one_run_outside_a_sandbox_is_told_of_the_whole_experiment(night: Night, root: Path) -> None:
    night.draft("gpu0", 1)
    night.record("gpu0", night.measure("gpu0"), 0.99)
    night.record("gpu0", night.measure("gpu0"), 0.99, sandboxed=False)
    [view] = [view for view in look(root).experiments if not view.baseline]
    assert view.audited and not view.sandboxed


def test_values_of_a_metric_where_higher_is_better(make_night: MakeNight, root: Path) -> None:
    night = make_night(direction="higher")
    night.baselines()
    night.keep("gpu0", 0, 1.01)
    snapshot = look(root)
    assert snapshot.best == pytest.approx(1.01) and snapshot.baseline == pytest.approx(1.0)
    assert by_id(snapshot)["gpu0-0001"].gain == pytest.approx(0.01)
    assert snapshot.trunk[1].gain == pytest.approx(0.01)


def test_the_headline_is_of_the_closing_runs(night: Night, root: Path) -> None:
    night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1)
    for number, agent in enumerate(("gpu0", "gpu1") * 4):
        work = night.measure(agent)
        assert work.purpose == "closing"
        night.record(agent, work, (1.002 if work.source == night.base.sha else 0.993) + 0.0002 * (-1) ** (number // 2))
    snapshot = look(root)
    assert snapshot.champion == "apr5-gpu0-0001"
    assert snapshot.headline and (snapshot.headline.n, snapshot.headline.m) == (4, 4)
    assert snapshot.headline.gain == pytest.approx(0.009)
    view = by_id(snapshot)["gpu0-0001"]
    assert (view.value, view.value_n, view.fresh) == (pytest.approx(0.993), 4, True), "one state has one number"
    fresh = snapshot.trunk[1]
    assert (fresh.n, fresh.gain) == (4, pytest.approx(0.009)), "fresh runs replace those that were selected"


def test_the_hidden_split_is_shown_to_people_and_to_no_researcher(night: Night, root: Path) -> None:
    kept = night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1, settings='{"hidden": true}')
    for number, agent in enumerate(("gpu0", "gpu1") * 4):
        work = night.measure(agent)
        value = (1.0 if work.source == night.base.sha else 0.99) + 0.0001 * (-1) ** (number // 2)
        metrics = Metrics(value, audited=True, hidden=2.0 + value / 2)
        run = Run(work.run, work.attempt, night.clock.now, 10.0, 9.0, metrics=metrics)
        night.call("record", agent, night.fences[agent], run)
    snapshot = look(root)
    assert snapshot.headline and snapshot.hidden and snapshot.hidden_split
    assert (snapshot.hidden.n, snapshot.hidden.m) == (4, 4)
    assert snapshot.hidden.gain == pytest.approx(0.005)
    assert snapshot.confirmations[0].hidden == snapshot.hidden
    assert {run.hidden is None for run in snapshot.runs if run.purpose == "closing"} == {False}
    assert "On a hidden split, which decided nothing, its gain is" in second_opinion(snapshot)
    assert status_json(snapshot)["hidden"]["gain"] == pytest.approx(0.005)
    told = night.board.dossier(kept)
    assert told and told.run and told.run.metrics and told.run.metrics.hidden is None
    assert "hidden" not in (told.run.metrics.values or {})


def test_words_for_how_it_stands(night: Night, root: Path) -> None:
    assert look(root).status == "running"
    night.board.stop("drain")
    assert look(root).status == "draining"
    night.ledger.close()  # killed
    assert look(root).status == "interrupted"
    night.ledger = Ledger(night.path, write=True)
    night.board.ledger = night.ledger
    night.swarm(reason="the baseline crashes on every agent: why")
    assert look(root).warnings == ()
    night.board.end("failed", "the baseline crashes on every agent: why")
    snapshot = look(root)
    assert (snapshot.status, snapshot.ended) == ("failed", night.clock.now)
    assert snapshot.warnings == ("the baseline crashes on every agent: why",)
    night.board.end("finished", "done")
    assert (look(root).status, look(root).warnings) == ("finished", ())


def test_limits_are_told_to_people(make_night: MakeNight, root: Path) -> None:
    night = make_night()
    assert look(root).limits == "until you stop it"
    night.swarm(deadline=night.clock.now + 8 * 3600, max_experiments=200)
    assert look(root).limits == "8 h, 200 experiments"


def test_what_agents_said_a_moment_ago_is_shown_while_the_swarm_runs(night: Night, root: Path) -> None:
    def say(agent: str, text: str) -> None:
        folder = root / ".swarm" / "apr5" / agent
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "live.json").write_text(text)

    now = 1_000_500.0
    said = {"at": now - 1, "agent": "forged", "state": "training", "title": "deeper", "step": 7, "loss": 2.5}
    say("gpu0", json.dumps(said | {"seconds": 3.0, "gpu_load": 0.9, "unknown": 1}))
    say("gpu1", "{half a fi")
    first, second = look(root, now).agents
    assert (first.agent, first.state, first.title, first.step, first.loss) == ("gpu0", "training", "deeper", 7, 2.5)
    assert (first.seconds, first.gpu_load, second.state) == (3.0, 0.9, "stopped")
    assert look(root, now + STALE + 1).agents[0].state == "lost"
    night.ledger.close()
    assert look(root, now).agents[0].state == "stopped"


def test_the_swarm_that_runs_is_the_newest(make_night: MakeNight, root: Path) -> None:
    first = make_night(tag="apr5")
    first.baselines()
    second = make_night(tag="apr6")
    second.clock.tick(100.0)
    second.join()
    second.board.end("stopped", "drained")
    ledger = open_ledger(root)
    assert newest_tag(ledger) == "apr5"  # both started in the same second of the tests; the first name wins
    second.swarm(started=2_000_000.0)
    assert newest_tag(ledger) == "apr6"
    assert read_snapshot(root, ledger, "apr5").status == "interrupted"
    second.ledger.execute("UPDATE swarms SET ended = NULL WHERE tag = 'apr5'")  # resumed
    assert newest_tag(ledger) == "apr5"


def test_a_snapshot_follows_every_change_and_costs_nothing_without_one(told: Night, root: Path) -> None:
    ledger = open_ledger(root)
    before = read_snapshot(root, ledger, "apr5", 1.0)
    again = read_snapshot(root, ledger, "apr5", 2.0)
    assert again.now == 2.0 and again.experiments is before.experiments
    told.board.tell("another word")
    assert len(read_snapshot(root, ledger, "apr5", 3.0).notes) == 2
    own = read_snapshot(root, told.ledger, "apr5", 3.0)
    told.board.tell("a third")
    assert len(read_snapshot(root, told.ledger, "apr5", 3.0).notes) == len(own.notes) + 1
    ledger.close()


def test_reading_while_another_process_writes(night: Night, root: Path) -> None:
    night.ledger.close()
    writer = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from tests.board.nights import Night
night = Night.again(Path({str(night.path)!r}), agents=2)
night.join()
print("ready", flush=True)
for number in range(40):
    night.draft("gpu0", 1, number + 10)
    night.run("gpu0", 1.5)
"""
    ledger, seen = open_ledger(root), set()
    with subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        while process.poll() is None:
            snapshot = read_snapshot(root, ledger, "apr5")
            judged = [view for view in snapshot.experiments if view.state == "judged" and not view.baseline]
            assert snapshot.counts["discard"] == len(judged)
            done = {run.experiment for run in snapshot.runs if run.state == "measured" and run.purpose == "first"}
            assert {view.id for view in judged} == done, "an experiment is judged in the moment its run is recorded"
            seen.add(len(judged))
    assert process.returncode == 0
    assert read_snapshot(root, ledger, "apr5").counts["discard"] == 40
    assert len(seen) > 2


def test_a_long_night_is_read_in_a_moment(make_night: MakeNight, root: Path) -> None:
    night = make_night(agents=8)
    with night.ledger.transaction():
        for number in range(1000):
            agent, source = f"gpu{number % 8}", f"{number:064d}"
            name = f"apr5-{agent}-{number + 1:04d}"
            night.ledger.insert(
                "experiments", id=name, tag="apr5", agent=agent, owner=agent, sequence=number + 1, state="judged",
                key="key", intent=str(number), title=f"idea {number}", rationale="because " * 40, category="optimizer",
                knobs="{}", parent=night.base.sha, position=0, source=source, status="discard", gain=0.0, se=0.001,
                n=3, created=float(number), judged=float(number), verdict=number + 1, commit_sha=f"{number:040d}",
            )  # fmt: skip
            night.transaction().event(agent, "discard", f"idea {number}", name)
            for run in range(3):
                night.ledger.insert(
                    "runs", id=f"{name}.{run}", attempt=1, tag="apr5", experiment=name, agent=agent,
                    purpose="replicate" if run else "first", seed=1001 + run, source=source, parent=night.base.sha,
                    state="measured", fence=1, started=float(3 * number + run), seconds=300.0, value=1.0 + run / 1000,
                    audited=1, peak_vram_mb=1000.0, result=json.dumps({"log_tail": "x" * 4000}),
                )  # fmt: skip
    ledger, spent, raw = open_ledger(root), [], []
    for number in range(5):
        started = time.process_time()
        snapshot = read_snapshot(root, ledger, "apr5")
        spent.append(time.process_time() - started)
        started = time.process_time()
        for table in ("experiments", "runs", "events"):
            [dict(row) for row in ledger.rows(f"SELECT * FROM {table}")]
        raw.append(time.process_time() - started)
        if number < 3:
            night.board.tell("a change, so that nothing is remembered")
    assert (len(snapshot.experiments), len(snapshot.runs)) == (1008, 3000)
    assert min(spent[:4]) < 8 * min(raw), "a few times what it takes to read the rows at all"
    assert spent[4] < min(spent[:4]) / 5, "nothing changed, so nothing is read"


def test_an_agent_is_shown_with_the_researcher_that_thinks_for_it_now(root: Path, night: Night) -> None:
    assert [agent.researcher for agent in look(root).agents] == ["scripted"] * 2
    settings = json.dumps({"researchers": {"gpu0": "claude", "gpu1": "sweep"}})
    reopen(night.ledger, "apr5", {"gpu0": ("sim", ""), "gpu1": ("sim", "")}, 2e6, None, 9, "claude:1,sweep", settings)
    told = look(root)
    assert [agent.researcher for agent in told.agents] == ["claude", "sweep"]
    assert told.researcher == "claude:1,sweep"


def test_what_is_left_of_the_hours_does_not_depend_on_how_the_clock_was_set(root: Path, night: Night) -> None:
    """Three lives of a night of eight hours: an hour, then one whose clock is a day late, then one that is right."""
    seats, settings = {"gpu0": ("sim", "")}, json.dumps({"hours": 8.0})
    night.ledger.execute("UPDATE swarms SET settings = ?, deadline = 1e6 + 8 * 3600", settings)

    def live(begins: float, seconds: float) -> float:
        """Resumes at `begins`, lives so long, and gives the hours that were left at its start."""
        reopen(night.ledger, "apr5", seats, begins, 8.0, None, "sweep", settings)
        night.ledger.insert("events", tag="apr5", at=begins + seconds, agent="gpu0", kind="keep", text="")
        return (night.ledger.value("SELECT deadline FROM swarms") - begins) / 3600

    night.ledger.insert("events", tag="apr5", at=1e6 + 3600, agent="gpu0", kind="keep", text="")
    assert [live(1e6 + 3600 - 86400, 7200), live(1e6 + 3 * 3600, 0)] == pytest.approx([7, 5])


def test_what_the_head_warned_of_stands_in_the_header_for_some_minutes(root: Path, night: Night) -> None:
    night.board.warn("gpu0", "started again")
    night.board.warn("head", "git and results.tsv: the disk is full; the swarm goes on and tries again")
    at = night.ledger.value("SELECT max(at) FROM events")
    [warning] = look(root, at + 5).warnings
    assert warning.startswith("git and results.tsv: the disk is full")
    assert look(root, at + 3600).warnings == ()


LIVE_LINES = (
    b"", b"[", b"[" * 100_000, b"[1]", b"\xff\xfe", b'{"at": NaN}', b'{"at": "x", "state": "training"}',
    b'{"at": 1e999, "step": {}, "loss": [], "state": 5, "seconds": "x", "title": null, "agent": "gpu9"}',
    b'{"at": ' + b"9" * 400 + b', "step": ' + b"9" * 400 + b', "seconds": NaN}',
)  # fmt: skip


@pytest.mark.parametrize("line", LIVE_LINES, ids=range(len(LIVE_LINES)))
def test_what_an_agent_says_of_itself_is_heard_as_far_as_it_makes_sense(tmp_path: Path, line: bytes) -> None:
    before = AgentView("gpu0", "b", "cpu", "sweep", "resting")
    (tmp_path / "gpu0").mkdir()
    (tmp_path / "gpu0" / "live.json").write_bytes(line)
    found = _live(before, tmp_path, now=1000.0)
    assert found.agent == "gpu0" and isinstance(found.state, str) and isinstance(found.title, str)
    assert found.step is None or isinstance(found.step, (int, float))


def test_what_an_agent_said_a_moment_ago_is_shown(tmp_path: Path) -> None:
    before = AgentView("gpu0", "b", "cpu", "sweep", "resting")
    (tmp_path / "gpu0").mkdir()
    said = '{"at": 999, "state": "training", "step": 7, "loss": 2.5, "seconds": 3, "gpu_load": null, "other": 1}'
    (tmp_path / "gpu0" / "live.json").write_text(said)
    found = _live(before, tmp_path, now=1000.0)
    assert (found.state, found.step, found.loss, found.seconds) == ("training", 7, 2.5, 3)
    assert _live(before, tmp_path, now=2000.0).state == "lost"


def test_who_said_nothing_since_the_swarm_began_is_starting(tmp_path: Path) -> None:
    before = AgentView("gpu0", "b", "cpu", "sweep", "stopped")
    assert _live(before, tmp_path, now=1000.0, since=900.0).state == "starting", "it never said anything"
    (tmp_path / "gpu0").mkdir()
    (tmp_path / "gpu0" / "live.json").write_bytes(b'{"at": 899.0, "state": "training"}')
    assert _live(before, tmp_path, now=1000.0, since=900.0).state == "starting", "that was in its last life"
    assert _live(before, tmp_path, now=905.0, since=800.0).state == "training"
