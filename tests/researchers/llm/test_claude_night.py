"""A night of one agent with Claude: the real agent, board, ledger, workspace and SDK; only the GPU is imagined."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.agent.loop import Agent
from swarm.board.board import Board
from swarm.board.client import local_client
from swarm.execution.workspace import Workspace
from swarm.ledger.database import Ledger
from swarm.ledger.swarms import found
from swarm.novelty.code import fingerprint
from swarm.project.project import Project
from swarm.records import Failure, Measure, Metrics, Progress, Run, Source
from swarm.researchers.registry import create
from tests.researchers.messages_server import Fails, MessagesServer, Reply, uses

CANARY = "sk-ant-canary-4711"
PROJECT = Project(("true",), ("train.py",), ("prepare.py",))
TITLES = ["MATRIX_LR -> 0.05", "MATRIX_LR -> 0.05", "MATRIX_LR -> 9", "MATRIX_LR -> 0.06", "MATRIX_LR -> 0.02"]
EXPERIMENTS = 7


class Imagined:
    """A workshop that trains in no time: the learning rate decides, the seed is the noise, 9 crashes."""

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        await asyncio.sleep(0.01)
        rate = float(re.findall(rb"MATRIX_LR = ([\d.]+)", source.files["train.py"])[0])
        told: dict[str, Any] = {"failure": Failure.CODE, "reason": "boom", "log_tail": "ZeroDivisionError: 9"}
        if rate != 9:
            told = {"metrics": Metrics(2.0 - rate + work.seed % 7 * 1e-5, True)}
        return Run(work.run, work.attempt, time.time(), 1.0, 1.0, **told)

    async def stop(self) -> None: ...
    def leftovers(self) -> list[Run]:
        return []

    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None: ...


class Model:
    """Takes the titles in order; does as an attentive model would: submits, edits, mends what crashed."""

    def __init__(self) -> None:
        self.titles = iter(TITLES)
        self.over: Callable[[], None] = lambda: None

    def __call__(self, body: dict[str, Any]) -> Reply:
        last = body["messages"][-1]["content"]
        text = json.dumps(last)
        if "Put it into code" in text or "ZeroDivisionError" in text:
            code = body["messages"][0]["content"][0]["text"]
            newest = [*re.findall(r"MATRIX_LR = [\d.]+", code), *re.findall(r"\+MATRIX_LR = [\d.]+", text)]
            old = newest[-1].lstrip("+") if "Put it into code" in text else "MATRIX_LR = 9"
            wanted = re.findall(r"MATRIX_LR -> ([\d.]+\d|9)", text)
            return uses("edit_file", path="train.py", old=old, new=f"MATRIX_LR = {wanted[-1] if wanted else 0.03}")
        if "Edited." in text:
            return uses("submit_edit")
        title = next(self.titles, None)
        if title is None:
            threading.Thread(target=self.over).start()
            return Fails(529)
        return uses("submit_idea", title=title, rationale="why not", category="learning rate")


@pytest.fixture
def ledger(tmp_path: Path, foreign: str) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.sqlite", write=True)
    source = Source({"train.py": foreign.encode()})
    settings: dict[str, object] = {
        "tag": "t",
        "base_commit": "0" * 40,
        "from_tag": None,
        "key": "k",
        "device": "cpu: imagined",
        "metric": "val_bpb",
        "direction": "lower",
        "policy": "greedy",
        "researcher": "claude",
        "budget": 1.0,
        "deadline": None,
        "max_experiments": EXPERIMENTS,
        "max_usd": None,
        "sigma_prior": 0.0001,
        "settings": "{}",
    }
    found(ledger, source, {"gpu0": ("cpu", "learning rate")}, fingerprint(source), time.time(), **settings)
    return ledger


def base_tree() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("train.py", "prepare.py"):
            member = tarfile.TarInfo(name)
            member.size = 6
            archive.addfile(member, io.BytesIO(b"x = 1\n"))
    return packed.getvalue()


def test_a_night_goes_on_when_the_service_goes_away(ledger: Ledger, tmp_path: Path) -> None:
    model, notes = Model(), []

    async def rest(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))

    with MessagesServer(model) as server:
        model.over = server.close
        agent = Agent(
            "gpu0",
            PROJECT,
            local_client(Board(ledger, "t")),
            Imagined(),
            Workspace(tmp_path / "draft", base_tree(), PROJECT),
            create("claude", "gpu0", 0, {"api_key": CANARY, "base_url": server.url, "retries": "1"}),
            create("sweep", "gpu0", 0),
            rest,
        )

        async def night() -> str:
            async with asyncio.timeout(60):
                life = asyncio.create_task(agent.live())
                while not life.done():
                    notes.append(agent.drafting.note)
                    await asyncio.sleep(0.01)
                return await life

        reason = asyncio.run(night())
    rows = ledger.rows("SELECT * FROM experiments WHERE baseline = 0 AND state = 'judged' ORDER BY sequence")
    outcomes = {row["title"]: (row["status"], row["repairs"]) for row in rows}
    assert reason == f"{EXPERIMENTS} experiments done"
    assert len(rows) == EXPERIMENTS
    assert outcomes["MATRIX_LR -> 0.05"] == ("keep", 0)
    assert outcomes["MATRIX_LR -> 9"] == ("discard", 1)  # crashed, mended, not better
    assert outcomes["MATRIX_LR -> 0.06"] == ("keep", 0)
    assert len(outcomes.keys() - set(TITLES)) >= 3  # what the sweep thought of afterwards
    assert any("the API cannot be reached" in note for note in notes)
    assert "Your last proposals that were refused" in json.dumps(server.bodies)
    assert TITLES[0] in next(text for text in map(json.dumps, server.bodies) if "were refused, and why" in text)
    ledger.close()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [content for content in files if CANARY.encode() in content]
