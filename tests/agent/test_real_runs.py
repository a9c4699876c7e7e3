"""One agent's loop with a real board, real processes under a real guard, and real checks.

python -m pytest tests/agent/test_real_runs.py
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from swarm.execution import run_spec
from swarm.execution.runner import LocalRunner, Slot
from swarm.project.project import Project
from tests.agent.test_loop import Room
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
