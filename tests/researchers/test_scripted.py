from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.lab.simulation import clock
from swarm.records import Briefing, Edit, Failure, Finding, Idea, Run
from swarm.researchers.protocol import Exhausted
from swarm.researchers.registry import create
from swarm.researchers.scripted import Scripted
from swarm.researchers.sweep.knobs import read_knobs

STEPS = [
    {"title": "deeper", "rationale": "why not", "category": "architecture", "knobs": {"depth": 33}},
    {
        "title": "mine",
        "agent": "gpu1",
        "path": "trainer/train.py",
        "replace": ["self.up = ", "self.up = self.again = "],
    },
    {"title": "lost", "path": "trainer/train.py", "replace": ["no such text", "x"]},
    {
        "title": "fragile",
        "path": "trainer/train.py",
        "replace": ["return x", "return boom"],
        "repair": ["return boom", "return 2 * x"],
    },
]


@pytest.fixture
def script(tmp_path: Path) -> str:
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"steps": STEPS}))
    return str(file)


def scripted(agent: str, script: str, **options: str) -> Scripted:
    researcher = create("scripted", agent, 0, {"script": script, **options})
    assert isinstance(researcher, Scripted)
    return researcher


def titles(researcher: Scripted, briefing: Briefing) -> list[str]:
    found = []
    try:
        while True:
            found.append(asyncio.run(researcher.propose(briefing)).title)
    except Exhausted:
        return found


def test_every_agent_follows_its_own_and_the_shared_steps(script: str, brief: Callable[..., Briefing]) -> None:
    assert titles(scripted("gpu0", script), brief()) == ["deeper", "lost", "fragile"]
    assert titles(scripted("gpu1", script), brief()) == ["deeper", "mine", "lost", "fragile"]


def test_what_the_board_knows_is_passed_over(script: str, brief: Callable[..., Briefing]) -> None:
    done = Finding("t-gpu1-0001", "gpu1", "deeper", "architecture", "discard", "seen", "")
    assert titles(scripted("gpu0", script), brief([done], [("gpu1", Idea("lost"))])) == ["fragile"]


def test_edits_and_repairs(script: str, brief: Callable[..., Briefing], trainer: str, tmp_path: Path) -> None:
    researcher, briefing = scripted("gpu1", script), brief()
    ideas = [asyncio.run(researcher.propose(briefing)) for _ in range(4)]
    deeper, mine, lost, fragile = [asyncio.run(researcher.edit(idea, briefing, tmp_path)) for idea in ideas]
    path = "trainer/train.py"
    assert ideas[0] == Idea("deeper", "why not", "architecture", {"depth": 33})
    assert read_knobs(deeper.files[path].decode(), "cpu") == {**read_knobs(trainer, "cpu"), "depth": 33}
    assert mine.files[path].decode() == trainer.replace("self.up = ", "self.up = self.again = ", 1) != trainer
    assert lost == Edit({})
    run = Run("r", 1, 0.0, 1.0, 1.0, failure=Failure.CODE)
    mended = asyncio.run(researcher.repair(ideas[3], fragile, run, briefing, tmp_path))
    assert mended and mended.files[path].decode() == trainer.replace("return x", "return 2 * x", 1)
    assert asyncio.run(researcher.repair(ideas[0], deeper, run, briefing, tmp_path)) is None


def test_it_thinks_as_long_as_it_is_told(tmp_path: Path, brief: Callable[..., Briefing]) -> None:
    file = tmp_path / "script.toml"
    knobs = "knobs = { depth = 3 }\n"
    file.write_text(f'[[steps]]\ntitle = "a"\n{knobs}[[steps]]\ntitle = "b"\nthink = 0\n{knobs}')
    researcher, times = scripted("gpu0", str(file), think="0.2"), []

    async def think() -> float:
        begun = asyncio.get_running_loop().time()
        await researcher.propose(brief())
        return asyncio.get_running_loop().time() - begun

    for _ in range(2):
        times.append(clock.run(think()))
    assert times == [0.2, 0.0]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "does not parse"),
        ('{"stairs": []}', "list of steps"),
        ('{"steps": [{"knobs": {"depth": 1}}]}', "title"),
        ('{"steps": [{"title": "a"}]}', "what to edit"),
        ('{"steps": [{"title": "a", "replace": ["x", "y"]}]}', "path"),
        ('{"steps": [{"title": "a", "path": "p", "replace": "x"}]}', "old text, new text"),
        ('{"steps": [{"title": "a", "knobs": {"d": 1}, "thimk": 1}]}', "thimk"),
        ('{"steps": [{"title": "a", "knobs": {"d": 1}, "think": -1}]}', "seconds"),
    ],
)
def test_a_bad_script_is_told_in_one_line(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "script.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=complaint) as told:
        scripted("gpu0", str(file))
    assert "\n" not in str(told.value)


def test_no_script_and_no_such_script(script: str) -> None:
    with pytest.raises(UsageError, match="script=PATH"):
        create("scripted", "gpu0", 0)
    with pytest.raises(UsageError, match="cannot be read"):
        scripted("gpu0", "nowhere.json")
    with pytest.raises(UsageError, match="seconds"):
        scripted("gpu0", script, think="soon")
