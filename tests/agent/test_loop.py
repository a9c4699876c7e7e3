"""One agent's loop, on a real board: it drafts ahead, survives its researcher, and lets go when it must."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from swarm.agent import drafting as module
from swarm.agent.loop import Agent
from swarm.board.board import Board
from swarm.board.client import local_client
from swarm.errors import Fenced, MachineFault
from swarm.ledger.database import Ledger
from swarm.ledger.events import is_exhausted
from swarm.ledger.swarms import found
from swarm.novelty.code import code_of, fingerprint
from swarm.project.project import Project
from swarm.records import Briefing, Edit, Failure, Idea, Measure, Metrics, Progress, Run, Source
from swarm.researchers.protocol import Away, Exhausted
from tests.deep_python import BROKEN, DEEP

PROJECT = Project(command=("x",), editable=("train.py",), fixed=("prepare.py",))
BASE = Source({"train.py": b"".join(b"k%d = 1\n\n\n" % number for number in range(9))})
Outcome = float | Failure


def turned(source: Source, knob: int, value: int) -> Edit:
    pattern = rb"(?m)^k%d = .*$" % knob
    return Edit({"train.py": re.sub(pattern, b"k%d = %d" % (knob, value), source.files["train.py"])})


class Bench:
    """A workshop that trains nothing: runs take `seconds`, and give what `outcome` says."""

    def __init__(self, diary: list[str], outcome: Callable[[Measure, Source], Outcome], seconds: float = 0.02):
        self.diary, self.outcome, self.seconds = diary, outcome, seconds
        self.left: list[Run] = []
        self.acknowledged: list[tuple[str, int, bool]] = []
        self.stopping = asyncio.Event()
        self.stops = 0

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        self.diary.append(f"run {work.run}")
        self.stopping.clear()
        on_progress(Progress("training", step=1))
        try:
            async with asyncio.timeout(self.seconds):
                await self.stopping.wait()
            result: Outcome = Failure.INTERRUPTED
        except TimeoutError:
            result = self.outcome(work, source)
        self.diary.append(f"end {work.run}")
        return finished(work.run, work.attempt, result)

    async def stop(self) -> None:
        self.stops += 1
        self.stopping.set()

    def leftovers(self) -> list[Run]:
        return self.left

    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None:
        self.acknowledged.append((run, attempt, keep_model))


class Folder:
    """Where drafts are made: as in the real one, a fresh folder ends whatever was in it."""

    def __init__(self, path: Path):
        self.path, self.fresher = path, 0

    def fresh(self, source: Source) -> Path:
        self.fresher += 1
        self.path.mkdir(exist_ok=True)
        (self.path / "train.py").write_bytes(source.files["train.py"])
        return self.path


class Thinker:
    """Turns one knob after the other, or whatever its hooks say; notes that nobody else is in its folder meanwhile."""

    def __init__(self, diary: list[str], **hooks: Callable[..., Any]):
        self.diary, self.hooks, self.ideas, self.briefings = diary, hooks, 0, []
        self.thinking = 0

    async def propose(self, briefing: Briefing) -> Idea:
        self.briefings.append(briefing)
        return await self._think("propose", self._next, briefing)

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        knob, value = (int(number) for number in re.findall(r"\d+", idea.title))
        edit = await self._think("edit", lambda *_: turned(briefing.parent, knob, value), idea, briefing, folder)
        self.diary.append(f"drafted {idea.title}")
        return edit

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        return await self._think("repair", lambda *_: None, idea, edit, run, briefing, folder)

    def _next(self, briefing: Briefing) -> Idea:
        self.ideas += 1
        knob = (self.ideas - 1) % 9
        return Idea(f"k{knob} -> {self.ideas + 1}", knobs={f"k{knob}": self.ideas + 1})

    async def _think(self, step: str, otherwise: Callable[..., Any], *arguments: Any) -> Any:
        self.thinking += 1
        assert self.thinking == 1, "asked for two things at once"
        try:
            answer = self.hooks.get(step, otherwise)(*arguments)
            return await answer if isinstance(answer, Awaitable) else answer
        finally:
            self.thinking -= 1


def finished(run: str, attempt: int, result: Outcome) -> Run:
    common: dict[str, Any] = {"run": run, "attempt": attempt, "started": 1.0, "seconds": 1.0, "training_seconds": 1.0}
    if isinstance(result, Failure):
        return Run(failure=result, reason=f"it failed: {result}", **common)
    return Run(metrics=Metrics(result, audited=True), **common)


def worse(work: Measure, source: Source) -> Outcome:
    """The baseline is the best there is."""
    return 1.0 if source == BASE else 1.5


def better(work: Measure, source: Source) -> Outcome:
    """Every knob that is turned is a gain."""
    return 0.99 + 0.001 * source.files["train.py"].count(b" = 1\n")


class Room:
    """A board and the agents on it."""

    def __init__(self, folder: Path, agents: int = 1, base: Source = BASE, **swarm: Any):
        self.folder, self.diary = folder, []
        self.ledger = Ledger(folder / "ledger.sqlite", write=True)
        self.ledger.value("PRAGMA synchronous = OFF")
        columns: dict[str, Any] = {"base_commit": "0" * 40, "from_tag": None, "key": "k", "device": "sim: x"}
        columns |= {"metric": "val_bpb", "direction": "lower", "policy": "greedy", "researcher": "x", "budget": 1.0}
        columns |= {"deadline": None, "max_experiments": 3, "max_usd": None, "sigma_prior": 0.001, "settings": "{}"}
        seats = {f"gpu{index}": ("x", "optimizer") for index in range(agents)}
        found(self.ledger, base, seats, fingerprint(base), 1.0, tag="apr5", **(columns | swarm))
        self.board = Board(self.ledger, "apr5")
        self.bench = Bench(self.diary, worse)

    def thinker(self, **hooks: Callable[..., Any]) -> Thinker:
        return Thinker(self.diary, **hooks)

    def agent(self, researcher: Any, name: str = "gpu0", bench: Bench | None = None, fallback: Any = None) -> Agent:
        async def sleep(seconds: float) -> None:
            self.diary.append(f"sleep {seconds:g}")
            await asyncio.sleep(seconds / 1000)

        drafts = Folder(self.folder / name)
        return Agent(name, PROJECT, local_client(self.board), bench or self.bench, drafts, researcher, fallback, sleep)

    def live(self, *agents: Agent) -> list[str]:
        async def all_of_them() -> list[str]:
            async with asyncio.timeout(200):
                return await asyncio.gather(*(agent.live() for agent in agents))

        return asyncio.run(all_of_them())

    def experiments(self, where: str = "1") -> list[Any]:
        return self.ledger.rows(f"SELECT * FROM experiments WHERE baseline = 0 AND {where} ORDER BY created, id")

    def events(self, kind: str) -> list[str]:
        return [row["text"] for row in self.ledger.rows("SELECT text FROM events WHERE kind = ? ORDER BY id", kind)]


@pytest.fixture
def make_room(tmp_path: Path) -> Callable[..., Room]:
    return lambda agents=1, **swarm: Room(tmp_path, agents, **swarm)


@pytest.fixture
def room(make_room: Callable[..., Room]) -> Room:
    return make_room()


# -- the road ------------------------------------------------------------------------------------------------------


def test_an_agent_does_its_experiments_and_ends(room: Room) -> None:
    assert room.live(room.agent(room.thinker())) == ["3 experiments done"]
    assert [row["status"] for row in room.experiments()] == ["discard"] * 3
    runs = room.ledger.rows("SELECT id, attempt, state FROM runs")
    assert {(row["id"], row["attempt"], False) for row in runs} >= {
        entry for entry in room.bench.acknowledged if not entry[2]
    }
    assert len(room.bench.acknowledged) == len(runs) == 5
    assert "gpu0" not in room.board.leases


def test_a_researcher_edits_the_very_idea_that_it_had(room: Room) -> None:
    """The board stores it fit to be shown; a researcher may look for its own."""
    proposed, edited = [], []

    def propose(briefing: Briefing) -> Idea:
        proposed.append(replace(thinker._next(briefing), rationale="wide\u00a0blanks,\ttabs"))
        return proposed[-1]

    def edit(idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        edited.append(idea)
        return turned(briefing.parent, *(int(number) for number in re.findall(r"\d+", idea.title)))

    thinker = room.thinker(propose=propose, edit=edit)
    room.live(room.agent(thinker))
    assert edited and all(idea is proposed[number] for number, idea in enumerate(edited))


def test_while_an_experiment_trains_the_next_one_is_drafted(room: Room) -> None:
    room.live(room.agent(room.thinker()))
    diary = [line for line in room.diary if not line.startswith("sleep")]
    first, second = "run apr5-gpu0-0001.1", "run apr5-gpu0-0002.1"
    assert diary.index("drafted k0 -> 2") < diary.index("end apr5-gpu0-0000.1"), "drafted under the baseline"
    assert diary.index(first) < diary.index("drafted k1 -> 3") < diary.index("end apr5-gpu0-0001.1")
    assert diary.index(second) == diary.index("end apr5-gpu0-0001.1") + 1, "the GPU never waits"
    assert not any(line.startswith("sleep 1") and line != "sleep 15" for line in room.diary)


def test_only_one_draft_waits(room: Room) -> None:
    seen = []

    def outcome(work: Measure, source: Source) -> Outcome:
        seen.append(len(room.experiments("state = 'drafted'")))
        return worse(work, source)

    room.bench.outcome = outcome
    room.live(room.agent(room.thinker()))
    assert max(seen) == 1


def test_a_slow_researcher_is_waited_for_and_no_longer(room: Room) -> None:
    async def slowly(briefing: Briefing) -> Idea:
        await asyncio.sleep(0.1)
        return thinker._next(briefing)

    thinker = room.thinker(propose=slowly)
    assert room.live(room.agent(thinker)) == ["3 experiments done"]
    assert room.diary.count("sleep 1") > 3


def test_what_fills_the_time_gives_way_to_a_draft_at_once(make_room: Callable[..., Room]) -> None:
    """The researcher is late for every idea; a filler would take longer than the test may."""

    class Patient(Bench):
        async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
            self.seconds = 60.0 if work.purpose == "filler" else 0.01
            return await super().run(work, source, on_progress)

    async def slowly(briefing: Briefing) -> Idea:
        while not room.ledger.value("SELECT count(*) FROM runs WHERE state = 'running' AND purpose = 'filler'"):
            await asyncio.sleep(0.01)
        return thinker._next(briefing)

    room = make_room(policy="race", budget=0.01)
    room.bench = Patient(room.diary, worse)
    thinker = room.thinker(propose=slowly)
    assert room.live(room.agent(thinker)) == ["3 experiments done"]
    fillers = room.ledger.rows("SELECT id, attempt, state, failure FROM runs WHERE purpose = 'filler'")
    assert [(row["attempt"], row["state"], row["failure"]) for row in fillers] == [
        (attempt, "lost", "interrupted") for attempt in (1, 2, 3)
    ]
    assert room.bench.stops == 3


def test_several_agents_do_exactly_so_many_experiments(make_room: Callable[..., Room]) -> None:
    room = make_room(agents=3, max_experiments=7)
    benches = [Bench(room.diary, worse, seconds=0.005 * (number + 1)) for number in range(3)]
    agents = [room.agent(room.thinker(), f"gpu{number}", bench) for number, bench in enumerate(benches)]
    assert room.live(*agents) == ["7 experiments done"] * 3
    assert len(room.experiments("state = 'judged'")) == 7
    assert len({row["intent"] for row in room.experiments("state = 'judged'")}) == 7


def test_a_win_of_one_is_the_start_of_the_other(make_room: Callable[..., Room]) -> None:
    room = make_room(agents=2, max_experiments=6)
    benches = [Bench(room.diary, better), Bench(room.diary, better)]
    room.live(*(room.agent(room.thinker(), f"gpu{number}", bench) for number, bench in enumerate(benches)))
    trunk = [room.board.source(row["source"]).files["train.py"] for row in room.ledger.rows("SELECT * FROM trunk")]
    assert len(trunk) > 2
    assert [text.count(b" = 1\n") for text in trunk] == [9 - step for step in range(len(trunk))], "each step adds one"


def test_only_the_models_of_what_is_kept_stay(room: Room) -> None:
    room.bench.outcome = better
    room.live(room.agent(room.thinker()))
    kept = [run for run, _, keep_model in room.bench.acknowledged if keep_model]
    assert kept == ["apr5-gpu0-0000.2", "apr5-gpu0-0001.1", "apr5-gpu0-0002.1", "apr5-gpu0-0003.1"]


# -- what researchers do -------------------------------------------------------------------------------------------


def test_a_researcher_is_told_why_its_ideas_were_refused(room: Room) -> None:
    def edit(idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        step = len(thinker.briefings)
        return {
            1: Edit({}),
            2: Edit({"train.py": b"x = = 1"}),
            3: Edit({"prepare.py": b"cheat"}),
            4: Edit({"train.py": b"# a comment\n" + BASE.files["train.py"]}),
        }.get(step) or turned(briefing.parent, step % 9, step)

    thinker = room.thinker(edit=edit)
    room.live(room.agent(thinker))
    reasons = [reason.partition(": ")[2] for reason in thinker.briefings[4].refused]
    assert [reason.split(":")[0].split(";")[0] for reason in reasons] == [
        "changes nothing",
        "does not parse",
        "touches prepare.py",
        "apr5-gpu0-0000 (baseline)",
    ]
    assert thinker.briefings[5].refused == (), "what was taken wipes the slate"
    assert len(room.experiments("state = 'abandoned'")) == 4


def test_what_is_very_like_is_shown_once_and_runs_if_its_researcher_insists(make_room: Callable[..., Room]) -> None:
    near = Idea("k0 -> 2501", knobs={"k0": 2501})
    ideas = [Idea("k0 -> 2500", knobs={"k0": 2500}), near, replace(near, again="2500 is where it overflows")]
    room = make_room(max_experiments=2)
    thinker = room.thinker(
        propose=lambda briefing: ideas[min(len(thinker.briefings), 3) - 1],
        edit=lambda idea, briefing, folder: turned(briefing.parent, 0, idea.knobs["k0"]),
    )
    room.live(room.agent(thinker))
    (refused,) = thinker.briefings[2].refused
    assert "apr5-gpu0-0001 (k0 -> 2500)" in refused and "very like it" in refused
    assert [row["title"] for row in room.experiments("state = 'judged'")] == ["k0 -> 2500", "k0 -> 2501"]


def test_a_researcher_that_repeats_itself_is_let_rest(room: Room) -> None:
    thinker = room.thinker(propose=lambda briefing: Idea("k0 -> 2", knobs={"k0": 2}))
    agent = room.agent(thinker)

    async def for_a_while() -> None:
        task = asyncio.create_task(agent.live())
        while "sleep 30" not in room.diary:
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(for_a_while())
    assert module.STUBBORN <= len(thinker.briefings) <= 3 * module.STUBBORN
    assert len(thinker.briefings[-1].refused) <= 12


@pytest.mark.parametrize("step", ["propose", "edit"])
@pytest.mark.parametrize("error", [RuntimeError("no credit"), KeyError("x"), TimeoutError(), AssertionError()])
def test_whatever_a_researcher_raises_the_fallback_thinks(room: Room, step: str, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    fallback = room.thinker()
    reasons = room.live(room.agent(room.thinker(**{step: fail}), fallback=fallback))
    assert reasons == ["3 experiments done"]
    assert len(room.experiments("state = 'judged'")) == 3 and fallback.ideas >= 3
    assert room.events("warning")[0] == f"the researcher failed: {type(error).__name__}: {error}"
    assert not room.experiments("state = 'claimed'")


@pytest.mark.parametrize("answer", [None, "deeper", Idea("k0 -> 2", knobs={"k0": float("nan")}), Idea(None)])  # type: ignore[arg-type]
def test_an_answer_that_is_no_idea_ends_nothing(room: Room, answer: Any) -> None:
    thinker = room.thinker(propose=lambda briefing: answer)
    assert room.live(room.agent(thinker, fallback=room.thinker())) == ["3 experiments done"]


@pytest.mark.parametrize("answer", [None, "x = 1", Edit({"train.py": "text"})])  # type: ignore[dict-item]
def test_an_answer_that_is_no_edit_ends_nothing(room: Room, answer: Any) -> None:
    thinker = room.thinker(edit=lambda *_: answer)
    assert room.live(room.agent(thinker, fallback=room.thinker())) == ["3 experiments done"]
    assert not room.experiments("state = 'claimed'")


def test_an_idea_that_failed_holds_no_place_among_the_last(make_room: Callable[..., Room]) -> None:
    """One experiment is allowed, and the researcher fails after it claimed it: it must be able to try again."""
    room = make_room(max_experiments=1)
    failures = iter([True, True, False])

    def edit(idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        if next(failures):
            raise RuntimeError("not today")
        return turned(briefing.parent, 0, 2)

    assert room.live(room.agent(room.thinker(edit=edit))) == ["1 experiment done"]


def test_a_researcher_with_nothing_to_propose_lets_the_fallback_think_and_is_asked_again(room: Room) -> None:
    ideas = iter([None, Idea("k5 -> 5", knobs={"k5": 5}), None, None, None, None])

    def propose(briefing: Briefing) -> Idea:
        idea = next(ideas)
        if idea is None:
            raise Exhausted("the playbook is through")
        return idea

    fallback = room.thinker()
    assert room.live(room.agent(room.thinker(propose=propose), fallback=fallback)) == ["3 experiments done"]
    assert "k5 -> 5" in [row["title"] for row in room.experiments()] and fallback.ideas == 2


def test_people_see_who_stands_in_and_when_the_researcher_is_back(room: Room) -> None:
    seen: list[str] = []
    answers = iter([Exhausted("the money is out"), Exhausted("the money is out"), None])

    def propose(briefing: Briefing) -> Idea:
        seen.append(agent.view()["standin"])
        if error := next(answers, None):
            raise error
        return Idea("k5 -> 5", knobs={"k5": 5})

    agent = room.agent(room.thinker(propose=propose), fallback=room.thinker())
    room.live(agent)
    assert seen[:3] == ["", "the money is out", "the money is out"]
    assert agent.view()["standin"] == ""
    expected = ["the sweep thinks until the researcher is back: the money is out", "the researcher is back"]
    assert room.events("warning") == expected


def test_without_a_fallback_a_researcher_that_is_away_is_waited_for(make_room: Callable[..., Room]) -> None:
    room = make_room(max_experiments=1)
    rests = iter(range(3))

    def propose(briefing: Briefing) -> Idea:
        if next(rests, None) is not None:
            raise Away("nothing yet")
        return Idea("k0 -> 2", knobs={"k0": 2})

    assert room.live(room.agent(room.thinker(propose=propose))) == ["1 experiment done"]
    assert room.diary.count("sleep 30") == 3
    assert not room.events("warning"), "that is no failure"


def test_when_nobody_has_an_idea_left_the_swarm_ends_by_itself(make_room: Callable[..., Room]) -> None:
    room = make_room(max_experiments=None)
    ideas = iter([Idea("k0 -> 2", knobs={"k0": 2})])

    def propose(briefing: Briefing) -> Idea:
        if idea := next(ideas, None):
            return idea
        raise Exhausted("every knob was tried")

    agent = room.agent(room.thinker(propose=propose), fallback=room.thinker(propose=propose))
    why = "nothing is left to try: every knob was tried"
    assert room.live(agent) == [why]
    assert room.events("exhausted") == [why]
    assert is_exhausted(room.ledger, "apr5")
    assert [row["status"] for row in room.experiments()][-1] == "discard"


def test_who_is_exhausted_is_asked_again_as_soon_as_runs_are_short(make_room: Callable[..., Room]) -> None:
    room = make_room(max_experiments=None)
    drafting = room.agent(room.thinker()).drafting
    drafting._spent = True
    waits = []
    for seconds in (0.5, 40.0, 3000.0):
        drafting.run_seconds = seconds
        waits.append(drafting._patience())
    assert waits == [1.0, 4.0, 30.0]


def test_while_one_of_two_still_has_ideas_nothing_ends(make_room: Callable[..., Room]) -> None:
    room = make_room(max_experiments=4, agents=2)

    def propose(briefing: Briefing) -> Idea:
        raise Exhausted("every knob was tried")

    agents = [room.agent(room.thinker(propose=propose), "gpu0"), room.agent(room.thinker(), "gpu1")]
    assert room.live(*agents) == ["4 experiments done", "4 experiments done"]


# -- crashes and conflicts -----------------------------------------------------------------------------------------


def crashing(work: Measure, source: Source) -> Outcome:
    return 1.0 if source == BASE else 1.5 if b"mended" in source.files["train.py"] else Failure.CODE


def test_a_crash_is_mended_once_by_who_made_it(make_room: Callable[..., Room]) -> None:
    room = make_room(max_experiments=1)
    seen: list[Any] = []

    def repair(idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit:
        seen.append((idea.title, dict(edit.files), run.failure, briefing.parent, (folder / "train.py").read_bytes()))
        return Edit({"train.py": edit.files["train.py"] + b"mended = 1\n"})

    room.bench.outcome = crashing
    room.live(room.agent(room.thinker(repair=repair)))
    edited = turned(BASE, 0, 2).files["train.py"]
    assert seen == [("k0 -> 2", {"train.py": edited}, Failure.CODE, BASE, edited)]
    assert room.experiments()[0]["status"] == "discard"


def fail(*_: object) -> Edit:
    raise RuntimeError("no idea")


@pytest.mark.parametrize(
    "repair",
    [
        lambda *_: None,
        fail,
        lambda *_: "x = 1",
        lambda idea, edit, *_: edit,
        lambda *_: Edit({"prepare.py": b"x"}),
        lambda *_: Edit({"train.py": b"x = = 1"}),
        lambda *_: Edit({"train.py": DEEP["a sum"].encode()}),
        *(lambda *_, broken=broken: Edit({"train.py": broken.encode()}) for broken in BROKEN.values()),
        lambda *_: Edit(None),  # type: ignore[arg-type]
        lambda *_: Edit({3: b"x"}),  # type: ignore[dict-item]
    ],
)
def test_without_a_mended_edit_that_can_run_the_crash_stands(
    make_room: Callable[..., Room], repair: Callable[..., Any]
) -> None:
    room = make_room(max_experiments=2)
    room.bench.outcome = crashing
    assert room.live(room.agent(room.thinker(repair=repair))) == ["2 experiments done"]
    assert [row["status"] for row in room.experiments("state = 'judged'")] == ["crash"] * 2


@pytest.mark.parametrize("deep", ["a sum", "a choice", "a field"])
def test_a_project_whose_own_code_is_deep_is_researched(make_room: Callable[..., Room], deep: str) -> None:
    base = Source({"train.py": BASE.files["train.py"] + DEEP[deep].encode() + b"\n"})
    room = make_room(base=base, max_experiments=2)
    assert room.live(room.agent(room.thinker())) == ["2 experiments done"]
    assert not [text for text in room.events("warning") if "failed" in text]


def test_where_the_researcher_is_away_the_fallback_mends(make_room: Callable[..., Room]) -> None:
    def away(*_: object) -> Edit:
        raise Exhausted("no credit")

    room = make_room(max_experiments=1)
    room.bench.outcome = crashing
    mend = room.thinker(repair=lambda idea, edit, *_: Edit({"train.py": edit.files["train.py"] + b"mended = 1\n"}))
    room.live(room.agent(room.thinker(repair=away), fallback=mend))
    assert room.experiments()[0]["status"] == "discard"
    assert any("no credit" in text for text in room.events("warning"))


def test_a_repair_waits_for_the_thought_in_progress(make_room: Callable[..., Room]) -> None:
    """Draft and repair share one folder and one researcher; the Thinker fails the test if asked for both at once."""
    room = make_room(max_experiments=4)

    async def slowly(briefing: Briefing) -> Idea:
        await asyncio.sleep(0.05)
        return thinker._next(briefing)

    thinker = room.thinker(propose=slowly)
    room.bench.outcome = crashing
    assert room.live(room.agent(thinker)) == ["4 experiments done"]


def test_while_a_crash_is_mended_the_gpu_works_for_all_and_starts_no_other_experiment(
    make_room: Callable[..., Room],
) -> None:
    """The repair is not thought out before a filler runs, which then gives way though it had a minute to go."""
    room = make_room(policy="race", budget=0.01, max_experiments=2)

    class Patient(Bench):
        async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
            self.seconds = 60.0 if work.purpose == "filler" else 0.01
            return await super().run(work, source, on_progress)

    async def slowly(idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit:
        filling = "SELECT count(*) FROM runs WHERE state = 'running' AND purpose = 'filler'"
        while idea.title == "k0 -> 2" and not room.ledger.value(filling):  # the last idea's night is over already
            await asyncio.sleep(0.01)
        room.diary.append(f"mended {idea.title}")
        return Edit({"train.py": edit.files["train.py"] + b"mended = 1\n"})

    room.bench = Patient(room.diary, crashing)
    assert room.live(room.agent(room.thinker(repair=slowly))) == ["2 experiments done"]
    assert [row["status"] for row in room.experiments()] == ["discard"] * 2
    first = [line for line in room.diary if "0000" not in line and line.startswith(("run", "mended"))][:4]
    assert first == [
        "run apr5-gpu0-0001.1", "mended k0 -> 2", "run apr5-gpu0-0001.2", "run apr5-gpu0-0002.1",
    ]  # fmt: skip
    assert room.bench.stops == 1


def test_a_repair_that_takes_for_ever_does_not_hold_the_end_of_the_night(make_room: Callable[..., Room]) -> None:
    room = make_room(policy="race", max_experiments=None)

    async def never(*_: object) -> Edit:
        room.ledger.execute("UPDATE swarms SET deadline = 1.0")
        await asyncio.Event().wait()
        raise AssertionError

    room.bench.outcome = crashing
    assert room.live(room.agent(room.thinker(repair=never))) == ["time is up"]
    assert [row["status"] for row in room.experiments("state = 'judged'")] == ["crash"]


@pytest.mark.parametrize("end", ["drain", "now", "given away"])
def test_nobody_mends_for_an_agent_that_has_ended(make_room: Callable[..., Room], end: str) -> None:
    """Neither where people stop it nor where its slot went to another: what it thinks would go on to cost money."""
    room = make_room(policy="race", max_experiments=None)
    room.bench.outcome = crashing

    async def never(*_: object) -> Edit:
        room.diary.append("mends")
        if end == "given away":
            room.board.join("gpu0", request="another")
        else:
            room.board.stop(end)
        try:
            await asyncio.Event().wait()
        finally:
            room.diary.append("mends no more")
        raise AssertionError

    async def lives() -> None:
        with contextlib.suppress(Fenced):
            await room.agent(room.thinker(repair=never)).live()
        room.diary.append("ended")

    asyncio.run(asyncio.wait_for(lives(), 200))
    assert [line for line in room.diary if line[:3] in ("men", "end") and "run" not in line][-3:] == [
        "mends", "mends no more", "ended",
    ]  # fmt: skip


def test_an_agent_that_is_cancelled_twice_leaves_no_thought_behind(room: Room) -> None:
    """The second time comes while its heartbeat is still about to end."""

    async def never(*_: object) -> Idea:
        room.diary.append("thinks")
        try:
            await asyncio.Event().wait()
        finally:
            room.diary.append("thinks no more")
        raise AssertionError

    async def lives() -> None:
        agent, ending = room.agent(room.thinker(propose=never)), asyncio.Event()

        async def beat() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ending.set()
                await asyncio.Event().wait()

        agent._keep_lease = beat
        life = asyncio.create_task(agent.live())
        while "thinks" not in room.diary:
            await asyncio.sleep(0.001)
        life.cancel()
        await ending.wait()
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life
        assert room.diary[-1] == "thinks no more"

    asyncio.run(asyncio.wait_for(lives(), 200))


def conflict(room: Room, thinker: Thinker) -> Agent:
    """gpu0, whose first draft turns k0, on a board where gpu1 wins by turning it otherwise before that draft runs."""

    def outcome(work: Measure, source: Source) -> Outcome:
        if work.run == "apr5-gpu0-0000.2":
            win(room.board)
        return 1.0 if source == BASE else 1.5

    room.bench.outcome = outcome
    return room.agent(thinker)


def win(board: Board) -> None:
    """All that gpu1 does: its baselines, and k0 -> 7, which is kept."""
    fence = board.join("gpu1", request="join")
    for number, value in enumerate((1.0, 1.0, 0.9)):
        if number == 2:
            claim = board.claim("gpu1", fence, Idea("k0 -> 7"), 0, request="claim")
            source = BASE.edited(turned(BASE, 0, 7))
            board.enter(claim, code_of(BASE, source), request="enter")  # type: ignore[arg-type]
        work = board.next_work("gpu1", fence, request=f"work {number}")
        assert isinstance(work, Measure)
        board.record("gpu1", fence, finished(work.run, work.attempt, value), request=f"record {number}")
    board.leave("gpu1", fence, request="leave")


def test_an_edit_that_conflicts_with_the_trunk_is_made_anew(make_room: Callable[..., Room]) -> None:
    room = make_room(agents=2, max_experiments=2)
    thinker = room.thinker()
    room.live(conflict(room, thinker))
    row = room.experiments("agent = 'gpu0'")[0]
    assert room.diary.count("drafted k0 -> 2") == 2
    assert (row["title"], row["position"]) == ("k0 -> 2", 1)
    assert b"k0 = 2" in room.board.source(row["source"]).files["train.py"]


def test_where_the_researcher_is_away_the_fallback_makes_it_anew(make_room: Callable[..., Room]) -> None:
    room = make_room(agents=2, max_experiments=2)
    edits = iter([lambda parent: turned(parent, 0, 2)])

    def once(idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        if (edit := next(edits, None)) is None:
            raise Exhausted("rate limit")
        return edit(briefing.parent)

    agent = conflict(room, room.thinker(edit=once))
    agent.drafting.fallback = room.thinker()
    room.live(agent)
    row = room.experiments("agent = 'gpu0'")[0]
    assert (row["title"], row["position"]) == ("k0 -> 2", 1)


@pytest.mark.parametrize("again", [fail, lambda *_: None, lambda *_: Edit({}), lambda *_: Edit({"prepare.py": b"x"})])
def test_an_edit_that_cannot_be_carried_over_is_given_up(
    make_room: Callable[..., Room], again: Callable[..., Any]
) -> None:
    room = make_room(agents=2, max_experiments=2)
    edits = iter([lambda idea, briefing, folder: turned(briefing.parent, 0, 2), again])

    def edit(idea: Idea, briefing: Briefing, folder: Path) -> Any:
        return next(edits, lambda *_: turned(briefing.parent, 5, 5))(idea, briefing, folder)

    room.live(conflict(room, room.thinker(edit=edit)))
    own = room.experiments("agent = 'gpu0'")
    assert [row["state"] for row in own] == ["abandoned", "judged"]
    assert "conflicts with what the trunk won" in own[0]["reason"]


# -- leases, stops, restarts ---------------------------------------------------------------------------------------


def test_the_lease_is_renewed_while_the_researcher_thinks(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = []
    original = room.board.renew
    monkeypatch.setattr(room.board, "renew", lambda *lease: renewed.append(lease) or original(*lease))

    async def slowly(briefing: Briefing) -> Idea:
        await asyncio.sleep(0.2)
        return thinker._next(briefing)

    thinker = room.thinker(propose=slowly)
    room.live(room.agent(thinker))
    assert len(renewed) > 10


def test_an_agent_whose_lease_was_given_away_ends_its_run_and_itself(room: Room) -> None:
    room.bench.seconds = 10.0
    agent = room.agent(room.thinker())

    async def replaced() -> None:
        task = asyncio.create_task(agent.live())
        while "run apr5-gpu0-0000.1" not in room.diary:
            await asyncio.sleep(0.005)
        room.board.join("gpu0", request="its successor")
        with pytest.raises(Fenced):
            async with asyncio.timeout(5):
                await task

    asyncio.run(replaced())
    assert room.bench.stops >= 1 and room.bench.acknowledged == []
    row = room.ledger.one("SELECT * FROM runs")
    assert row["state"] == "running" and row["result"] is None, "its successor asks, and then it is lost"


def test_stop_now_halts_the_run_and_drain_lets_it_end(make_room: Callable[..., Room], tmp_path: Path) -> None:
    room = make_room()
    room.bench.seconds = 10.0
    agent = room.agent(room.thinker())

    async def stopped() -> str:
        task = asyncio.create_task(agent.live())
        while "run apr5-gpu0-0000.1" not in room.diary:
            await asyncio.sleep(0.005)
        room.board.stop("now")
        async with asyncio.timeout(5):
            return await task

    assert asyncio.run(stopped()) == "stopped"
    row = room.ledger.one("SELECT * FROM runs")
    assert (row["state"], row["failure"]) == ("lost", "interrupted")
    assert agent.view()["state"] == "stopped"


def test_drain_lets_the_run_end(room: Room) -> None:
    room.bench.seconds = 0.1
    agent = room.agent(room.thinker())

    async def drained() -> str:
        task = asyncio.create_task(agent.live())
        while "run apr5-gpu0-0000.1" not in room.diary:
            await asyncio.sleep(0.005)
        room.board.stop("drain")
        return await task

    assert asyncio.run(drained()) == "drained"
    assert room.bench.stops == 0
    assert [row["state"] for row in room.ledger.rows("SELECT state FROM runs")] == ["measured"]


def test_halt_ends_what_runs(room: Room) -> None:
    room.bench.seconds = 10.0
    agent = room.agent(room.thinker())

    async def halted() -> str:
        task = asyncio.create_task(agent.live())
        while "run apr5-gpu0-0000.1" not in room.diary:
            await asyncio.sleep(0.005)
        room.board.stop("drain")
        await agent.halt()
        async with asyncio.timeout(5):
            return await task

    assert asyncio.run(halted()) == "drained"


def test_what_finished_while_nobody_listened_is_recorded_once(room: Room) -> None:
    room.ledger.execute("UPDATE swarms SET max_experiments = 1")
    fence = room.board.join("gpu0", request="an earlier life")
    work = room.board.next_work("gpu0", fence, request="its work")
    assert isinstance(work, Measure)
    room.bench.left = [finished(work.run, work.attempt, 1.0), finished("apr5-gpu0-0077.1", 1, 0.1)]
    room.live(room.agent(room.thinker()))
    rows = room.ledger.rows("SELECT id, attempt, state FROM runs WHERE experiment = 'apr5-gpu0-0000'")
    assert [tuple(row) for row in rows] == [(work.run, 1, "measured"), ("apr5-gpu0-0000.2", 1, "measured")]
    assert room.bench.acknowledged[:2] == [(work.run, 1, False), ("apr5-gpu0-0077.1", 1, False)]


def test_an_agent_that_dies_loses_no_draft(make_room: Callable[..., Room]) -> None:
    room = make_room(max_experiments=2)
    first = room.agent(room.thinker())

    async def killed() -> None:
        task = asyncio.create_task(first.live())
        while not room.experiments("state = 'drafted'"):
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(killed())
    drafted = room.experiments("state = 'drafted'")[0]["id"]
    room.bench.stopping = asyncio.Event()
    assert room.live(room.agent(room.thinker())) == ["2 experiments done"]
    assert drafted in [row["id"] for row in room.experiments("state = 'judged'")]


def test_what_the_leaderboard_sees(room: Room) -> None:
    seen: list[Mapping[str, Any]] = []
    agent = room.agent(room.thinker())

    def outcome(work: Measure, source: Source) -> Outcome:
        seen.append(agent.view())
        return worse(work, source)

    room.bench.outcome = outcome
    room.live(agent)
    running = next(view for view in seen if view["experiment"] == "apr5-gpu0-0001")
    assert (running["state"], running["title"], running["purpose"], running["step"]) == (
        *("training", "k0 -> 2", "first"),
        1,
    )
    assert agent.view()["experiment"] is None and agent.view()["state"] == "stopped"


def test_a_gpu_that_only_fails_is_left_and_another_takes_its_work(make_room: Callable[..., Room]) -> None:
    room = make_room(agents=2)
    faulty = Bench(room.diary, lambda work, source: Failure.INFRASTRUCTURE)
    ends = []

    async def both() -> None:
        async with asyncio.timeout(200):
            agents = (room.agent(room.thinker(), "gpu0", faulty), room.agent(room.thinker(), "gpu1"))
            ends.extend(await asyncio.gather(*(agent.live() for agent in agents), return_exceptions=True))

    asyncio.run(both())
    assert isinstance(ends[0], MachineFault) and "3 faults of the machine in a row: it failed" in str(ends[0])
    assert ends[1] == "3 experiments done" and len(room.experiments("state = 'judged'")) == 3
    assert sum(line.startswith("run apr5-gpu0") for line in room.diary) == 3


def test_a_researcher_whose_ideas_only_crash_sits_out_for_a_while_and_people_are_told(
    make_room: Callable[..., Room],
) -> None:
    room = make_room(max_experiments=16)
    good: set[str] = set()

    def outcome(work: Measure, source: Source) -> Outcome:
        return worse(work, source) if source == BASE or work.title in good else Failure.NAN

    def sound(briefing: Briefing) -> Idea:
        idea = Idea(f"k8 -> {200 + len(good)}", knobs={"k8": 200 + len(good)})
        good.add(idea.title)
        return idea

    room.bench.outcome = outcome
    room.live(room.agent(room.thinker(), fallback=room.thinker(propose=sound)))
    warnings = [text for text in room.events("warning") if "crashes in a row" in text]
    assert warnings[0] == "6 crashes in a row, the last: it failed: nan; the sweep has the next 4 ideas"
    assert len(good) == module.BENCHED * len(warnings)


def test_what_the_board_cannot_judge_is_a_failure_of_its_code(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a run gave, recording it ends no agent: neither now nor when it starts again."""
    record = room.board.record

    def fails(agent: str, fence: int, run: Run, request: str) -> Any:
        if run.metrics and run.metrics.value == 1.5:
            raise OverflowError("cannot convert float infinity to integer")
        return record(agent, fence, run, request=request)

    monkeypatch.setattr(room.board, "record", fails)
    assert room.live(room.agent(room.thinker())) == ["3 experiments done"]
    assert {(row["status"], row["failure"]) for row in room.experiments()} == {("crash", "code")}
    said = {row["reason"] for row in room.experiments()}
    assert said == {"what it gave cannot be judged: cannot convert float infinity to integer"}
