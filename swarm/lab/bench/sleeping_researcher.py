"""A researcher that sleeps before every proposal; `swarm bench` measures the rest of the swarm with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from swarm.records import Briefing, Edit, Idea, Run
from swarm.researchers.sweep.knobs import write_knobs

PATH = "train.py"
WORSE = {"WARMUP_RATIO": 0.45}


class SleepingResearcher:
    """`options["think"]` is the number of seconds before every proposal.

    Its ideas are new, run, and are clearly worse than the synthetic baseline: so every experiment is one run, nothing
    is replicated, mended or confirmed, and what `bench` sees between the runs is the swarm alone.
    """

    def __init__(self, agent: str, seed: int, options: Mapping[str, str] | None = None):
        self._seconds = float((options or {}).get("think", 0.0))
        self._own = int(agent.removeprefix("gpu"))
        self._ideas = 0

    async def propose(self, briefing: Briefing) -> Idea:
        await asyncio.sleep(self._seconds)
        self._ideas += 1
        number = f"{4096 * self._own + self._ideas:016b}"  # a pattern for each: numbers near each other are one idea
        pattern = number.replace("0", "S").replace("1", "L")
        return Idea(
            f"windows {pattern}, and warm up for long", "worse by far", "schedule", {**WORSE, "WINDOW_PATTERN": pattern}
        )

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        text = briefing.parent.files[PATH].decode()
        return Edit({PATH: write_knobs(text, briefing.device, idea.knobs).encode()})

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        return None
