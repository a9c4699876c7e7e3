"""The board from an agent's side: a call that is carried twice does its work once."""

from __future__ import annotations

import asyncio
from typing import Any

from swarm.board.client import BoardClient, local_client
from swarm.novelty.code import code_of
from swarm.records import Claim, Idea, Measure
from tests.board.nights import Night, finished, turned


def test_every_call_survives_being_carried_twice(night: Night) -> None:
    """As Ray does when an answer gets lost: the same call, with the request id it was made with."""
    requests = []

    async def call(method: str, *arguments: object, **keywords: object) -> Any:
        requests.append(keywords.get("request"))
        getattr(night.board, method)(*arguments, **keywords)
        return getattr(night.board, method)(*arguments, **keywords)

    async def experiment() -> None:
        client = BoardClient(call)
        fence = await client.join("gpu0")
        assert fence == night.fences["gpu0"] + 1
        assert await client.renew("gpu0", fence) == "" and await client.wants_draft("gpu0")
        claim = await client.claim("gpu0", fence, Idea("k0 -> 2"), 0)
        assert isinstance(claim, Claim)
        source = turned(night.base, 0, 2)
        await client.enter(claim, code_of(night.base, source))
        work = await client.next_work("gpu0", fence)
        assert isinstance(work, Measure) and work.attempt == 1
        assert await client.source(work.source) == source
        verdict = await client.record("gpu0", fence, finished(work, 1.5, 0.0))
        assert verdict and verdict.status == "discard"
        await client.leave("gpu0", fence)

    asyncio.run(experiment())
    made = [request for request in requests if request]
    assert len(made) == len(set(made)) == 6
    assert len(night.runs("purpose = 'first'")) == 1


def test_a_source_is_asked_for_once(night: Night) -> None:
    client = local_client(night.board)

    async def twice() -> bool:
        first = await client.source(night.base.sha)
        night.ledger.execute("DELETE FROM sources")
        return await client.source(night.base.sha) is first

    assert asyncio.run(twice())
