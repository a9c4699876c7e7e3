"""A service that refuses the key, or is gone, leaves no GPU waiting: the sweep stands in within seconds. With the real
researcher, a real socket and a real board."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

from swarm.records import Source
from swarm.researchers.registry import create, stand_in
from tests.agent.test_loop import Room
from tests.researchers.messages_server import MessagesServer
from tests.researchers.scripted_server import Fails

SECONDS = 15.0  # that it may pause for each idea; minutes are what is ruled out
LONG = 600.0
KNOBS = Source({"train.py": b"LEARNING_RATE = 0.1\nDROPOUT = 0.1\nDEPTH = 4\n\nprint(LEARNING_RATE, DROPOUT, DEPTH)\n"})


@pytest.mark.parametrize(("gone", "said"), [(False, "refuses the key"), (True, "cannot be reached")])
def test_the_sweep_stands_in_within_seconds(
    gone: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path, base=KNOBS, max_experiments=2)
    room.bench.outcome = lambda work, source: 1.0 if source == KNOBS else 1.5
    paused: list[float] = []

    async def noted(seconds: float) -> None:
        """What the service's own client waits before it asks again."""
        paused.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(anyio, "sleep", noted)
    with MessagesServer(lambda body: Fails(401, "no such key")) as server:
        if gone:
            server.close()
        options = {"api_key": "k" * 20, "base_url": server.url, "fixed": "prepare.py", "editable": "train.py"}
        agent = room.agent(create("claude", "gpu0", 0, options), fallback=stand_in("claude", "gpu0", 0))
        ended = asyncio.run(asyncio.wait_for(agent.live(), LONG))
        ideas = len(room.experiments("state = 'judged'"))
        assert ended == "2 experiments done" and ideas == 2, "the sweep's"
        asked = len(server.requests)
    assert said in agent.view()["standin"]
    assert any("the sweep thinks until the researcher is back" in text for text in room.events("warning"))
    assert sum(paused) <= SECONDS * (ideas + 2), paused
    assert asked == 0 if gone else 1 <= asked <= 2 * (ideas + 2), "a refused key is not asked for again and again"
    assert not any(line.startswith("sleep") and float(line.split()[1]) > SECONDS for line in room.diary)
