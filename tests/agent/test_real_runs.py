"""One agent's loop with a real board, real processes under a real guard, and real checks.

python -m pytest tests/agent/test_real_runs.py
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.execution import run_spec
from swarm.execution.runner import LocalRunner, Slot
from swarm.project.project import Project
from swarm.records import Briefing, Edit, Idea, Source
from tests.agent.test_loop import Room, Thinker
from tests.execution.conftest import archive

MEASURE = """
import train
value = 1 - 0.01 * sum(getattr(train, f"k{number}") > 1 for number in range(9))
print(f"val_bpb: {value:.9f}")
"""
NO_SECOND_KNOB = "{python} -c 'import train; assert train.k1 == 1, \"k1 is not free\"'"  # a check, as people write one
PROJECT = Project(
    command=("{python}", "measure.py"), editable=("train.py",), fixed=("measure.py",), checks=(NO_SECOND_KNOB,)
)


def test_what_is_better_and_passes_is_kept_and_what_fails_its_checks_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_spec, "LOCK_FOLDER", tmp_path / "locks")
    settings = json.dumps({"checks": list(PROJECT.checks)})
    room = Room(tmp_path, 1, policy="exact", settings=settings, sigma_prior=None)
    files = {"train.py": "", "measure.py": MEASURE}
    runner = LocalRunner(PROJECT, archive(files), tmp_path / "gpu0", Slot("sim", 0))
    agent = room.agent(room.thinker(), bench=runner)  # type: ignore[arg-type]
    assert asyncio.run(asyncio.wait_for(agent.live(), 1000)) == "3 experiments done"
    rows = room.experiments()
    assert [(row["title"][:2], row["status"]) for row in rows] == [("k0", "keep"), ("k1", "discard"), ("k2", "keep")]
    assert rows[1]["outcome"] == "broke a guard" and rows[1]["gain"] == pytest.approx(0.01)
    assert rows[1]["reason"].startswith("guard: {python} -c ") and "AssertionError: k1 is not free" in rows[1]["reason"]
    purposes = [row["purpose"] for row in room.ledger.rows("SELECT purpose FROM runs ORDER BY started, id")]
    assert purposes == ["baseline", *["first", "check"] * 3, "closing", "closing"]
    assert not room.events("warning")


# What code may do beside training, by name. Each is done in an experiment of its own, whose edit only names it: most of
# it the check of an edit would not let through.
HEART = "import os; out = open(os.environ['SWARM_RUN_DIR'] + '/heartbeat.jsonl', 'wb'); out.write({}); out.flush()"
MISDEEDS = {
    "an infinite step": HEART.format(b'{"step": Infinity}\n'),
    "a step that is none": HEART.format(b'{"step": NaN, "loss": NaN, "seconds": -1e999}\n'),
    "a step of 400 digits": HEART.format('b\'{"step": \' + b"9" * 400 + b"}\\n"'),
    "a step of 5000 digits": HEART.format('b\'{"step": \' + b"9" * 5000 + b"}\\n"'),
    "brackets": HEART.format("b'[' * 100_000"),
    "no text": HEART.format("bytes(range(256)) * 100"),
    "a heart of one long line": HEART.format("b'{\"step\": [' + b'1,' * 2**20 + b'1]}'"),
    "printed memory of 400 digits": "print('---\\npeak_vram_mb: ' + '9' * 400)",
    "a printed step of 4000 digits": "print('step ' + '9' * 4000, flush=True)",
    "a metric of 400 digits": "print('val_bpb: ' + '9' * 400); raise SystemExit",
    "an infinite metric": "print('val_bpb: inf'); raise SystemExit",
    "a metric beyond reckoning": "print('val_bpb: 1e300'); raise SystemExit",
    "a metric next to nothing": "print('val_bpb: 5e-324'); raise SystemExit",
    "half a character": "import os; os.write(1, b'\\xed\\xa0\\x80 \\xff\\n')",
    "a pipe for a heart": "import os; os.mkfifo(os.environ['SWARM_RUN_DIR'] + '/heartbeat.jsonl')",
    "a guard's state": "import os, pathlib, glob\nfor name in glob.glob(os.environ['SWARM_RUN_DIR'] +"
    " '/../../guards/*/state.json'): pathlib.Path(name).write_text('[' * 100_000)",
    "a guard's spec": "import os, pathlib, glob\nfor name in glob.glob(os.environ['SWARM_RUN_DIR'] +"
    ' \'/../../guards/*/guard.json\'): pathlib.Path(name).write_text(\'{"run": 1, "attempt": NaN, "steps": [{}]}\')',
}
MISDOING = f"""
import time, train
exec({MISDEEDS!r}.get(train.deed, ""))
time.sleep(0.7)  # so that the agent looks at it while it runs
print("---\\nval_bpb: 1.0\\nsize: 3")
"""


class Writer(Thinker):
    """Proposes one deed after the other."""

    def __init__(self, deeds: list[str]) -> None:
        super().__init__([])
        self.deeds = deeds

    async def propose(self, briefing: Briefing) -> Idea:
        self.ideas += 1
        return Idea(self.deeds[(self.ideas - 1) % len(self.deeds)])

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        return Edit({"train.py": f"deed = {idea.title!r}\n".encode()})


STOPS_ITS_GUARD = """
import os, signal, time, train
if train.deed:
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(600)
print("---")
print("val_bpb: 1.0")
"""


def test_an_idea_that_stops_its_own_guard_fails_like_any_that_gives_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_spec, "LOCK_FOLDER", tmp_path / "locks")
    room = Room(tmp_path, 1, base=Source({"train.py": b"deed = ''\n"}), max_experiments=1)
    files = {"train.py": "deed = ''\n", "measure.py": STOPS_ITS_GUARD}
    runner = LocalRunner(replace(PROJECT, checks=()), archive(files), tmp_path / "gpu0", Slot("sim", 0))
    agent = room.agent(Writer(["stops its guard"]), bench=runner)  # type: ignore[arg-type]
    assert asyncio.run(asyncio.wait_for(agent.live(), 1000)) == "1 experiment done"
    [row] = room.experiments("state = 'judged'")
    assert (row["title"], row["status"], row["failure"]) == ("stops its guard", "crash", "code")
    assert "nobody but itself blames the machine" in row["reason"]
    assert [run["failure"] for run in room.ledger.rows("SELECT failure FROM runs WHERE state = 'lost'")] == [
        "infrastructure"
    ]


def test_whatever_a_run_writes_its_agent_lives_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_spec, "LOCK_FOLDER", tmp_path / "locks")
    project = replace(PROJECT, checks=(), guards={"peak_vram_mb": "+10%"})
    last = len(MISDEEDS) + 1
    settings = json.dumps({"guards": {"size": "<= 5"}})
    base = Source({"train.py": b"deed = ''\n"})
    room = Room(tmp_path, 1, base=base, max_experiments=last, settings=settings)
    names = [*MISDEEDS, "an honest one"]

    files = {"train.py": "deed = ''\n", "measure.py": MISDOING}
    runner = LocalRunner(project, archive(files), tmp_path / "gpu0", Slot("sim", 0))
    agent = room.agent(Writer(names), bench=runner)  # type: ignore[arg-type]
    assert asyncio.run(asyncio.wait_for(agent.live(), 1200)) == f"{last} experiments done"
    rows = {row["title"]: row for row in room.experiments("state = 'judged'")}
    assert list(rows) == names
    assert rows["an honest one"]["status"] in ("keep", "discard")
    failed = {name: row["failure"] for name, row in rows.items() if row["status"] == "crash"}
    assert failed.items() >= {"a metric of 400 digits": "code", "an infinite metric": "nan"}.items()
    assert failed["a metric next to nothing"] == "code" and failed["a metric beyond reckoning"] == "nan"
    lost = room.ledger.rows("SELECT experiment, failure FROM runs WHERE state = 'lost'")
    assert {row["failure"] for row in lost} <= {"infrastructure"} and len(lost) <= 2, [dict(row) for row in lost]
    assert not list((tmp_path / "gpu0" / "guards").iterdir())
