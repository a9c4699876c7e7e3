"""A researcher that takes its time: the sweep, after `think` seconds. What `swarm bench` measures the pipeline with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from swarm.records import Briefing, Idea
from swarm.researchers.sweep import Sweep


class Thinker(Sweep):
    """`options["think"]` is the number of seconds before every proposal."""

    def __init__(self, agent: str, seed: int, options: Mapping[str, str] | None = None):
        options = dict(options or {})
        self._seconds = float(options.pop("think", 0.0))
        super().__init__(agent, seed, options)

    async def propose(self, briefing: Briefing) -> Idea:
        await asyncio.sleep(self._seconds)
        return await super().propose(briefing)
