"""Measures experiments per hour and GPU idle time of real swarms, beside a loop that thinks, then trains, in turn."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarm.errors import SwarmError
from swarm.execution.runner import LocalRunner, Slot
from swarm.history.repository import History
from swarm.lab.simulation.project import make_project
from swarm.launch.files import find_files
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.ledger.rows import RunState
from swarm.ledger.runs import all_runs
from swarm.project.project import load_project
from swarm.records import Measure, Purpose, Source

TAG = "bench"


def measure(agents: Sequence[int], *, budget: float, think: float, experiments: int) -> dict[str, Any]:
    """One flat object. For each number of agents N: `per_hour_N` runs per hour, `scaling_N` times one agent's,
    `train_share_N` of the wall time from trainer start to referee end, `pure_share_N` of it in the trainer process
    alone. `train_share` is that of most agents, and `sequential_` stands before the plain loop's.

    An agent's wall time runs from its first trainer's start to its last referee's end, and the agents' rates are
    summed: neither Ray's start nor the end, where the limit leaves some agents without work, is counted.
    Every agent makes `experiments` experiments of `budget` seconds, one run each, after `think` seconds of thought.
    """
    result: dict[str, Any] = {"budget": budget, "think": think, "experiments": experiments, "agents": list(agents)}
    result |= _named("sequential_", "", _sequential(budget, think, experiments))
    for count in agents:
        result |= _named("", f"_{count}", _swarm(count, budget, think, experiments))
    for count in agents:
        result[f"scaling_{count}"] = result[f"per_hour_{count}"] / result[f"per_hour_{agents[0]}"] * agents[0]
    most = max(agents)
    return result | {"train_share": result[f"train_share_{most}"], "pure_share": result[f"pure_share_{most}"]}


def _named(before: str, after: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{before}{name}{after}": value for name, value in figures.items()}


def _figures(spans: Sequence[tuple[str, float, float, float]]) -> dict[str, float]:
    """From (agent, start, seconds, seconds in the trainer) of every run; shares are over each agent's own time."""
    wall = rate = 0.0
    for agent in {span[0] for span in spans}:
        own = [span for span in spans if span[0] == agent]
        seconds = max(start + seconds for _, start, seconds, _ in own) - min(start for _, start, _, _ in own)
        wall += seconds
        rate += len(own) / seconds
    return {
        "per_hour": rate * 3600,
        "train_share": sum(seconds for _, _, seconds, _ in spans) / wall,
        "pure_share": sum(pure for _, _, _, pure in spans) / wall,
    }


def _sequential(budget: float, think: float, experiments: int) -> dict[str, float]:
    """Think, train, think, train: what one agent without drafting ahead does."""
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
        root = make_project(Path(folder, "project"), budget=budget)
        history, project = History(root), load_project(root)
        base = history.head()
        runner = LocalRunner(project, history.base_tree(base), Path(folder, "gpu0"), Slot("sim", 0, gpu="0"))
        source = find_files(project, history, base).source
        return _figures(asyncio.run(_loop(runner, source, budget, think, experiments)))


async def _loop(
    runner: LocalRunner, source: Source, budget: float, think: float, experiments: int
) -> list[tuple[str, float, float, float]]:
    spans = []
    for number in range(experiments):
        if number:
            await asyncio.sleep(think)
        work = Measure(f"loop.{number}", 1, "loop", "loop", Purpose.FIRST, number, source.sha, source.sha, budget)
        run = await runner.run(work, source, lambda progress: None)
        if run.failure:
            raise SwarmError(f"the synthetic trainer failed: {run.reason}")
        runner.acknowledge(run.run, run.attempt)
        spans.append(("loop", run.started, run.seconds, run.training_seconds))
    return spans


def _swarm(count: int, budget: float, think: float, experiments: int) -> dict[str, float]:
    """A real swarm of `count` agents: own Ray, own ledger, own git repository."""
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
        root = make_project(Path(folder, "project"), budget=budget)
        command = [sys.executable, "-m", "swarm", "launch", "-C", str(root), "--tag", TAG, "--device", "sim"]
        command += ["--agents", str(count), "--max-experiments", str(count * experiments), "--policy", "greedy"]
        command += ["--researcher", "swarm.lab.bench.sleeping_researcher:SleepingResearcher", "--think", str(think)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SwarmError(f"the swarm of {count} failed: {(done.stderr or done.stdout).strip()[-500:]}")
        with contextlib.closing(Ledger(ledger_path(root))) as ledger:
            runs = [run for run in all_runs(ledger, TAG) if run.state is RunState.MEASURED]
        return _figures(
            [
                (run.agent, run.started, run.seconds or 0.0, run.training_seconds or 0.0)
                for run in runs
                if run.purpose is not Purpose.CLOSING
            ]
        )
