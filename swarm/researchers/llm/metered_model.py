"""A language model whose every answer is paid for, and whose service is left alone for a while after a failure."""

from __future__ import annotations

import asyncio
import time

from swarm.researchers.llm.models.protocol import Answer, Failed, Interrupted, Request, Service
from swarm.researchers.llm.money import NOTHING, Spending, reserved
from swarm.researchers.protocol import Away

ANSWER = 900.0  # seconds until an answer that does not come is given up
PAUSE = 30.0  # seconds that a service without an answer is left alone


class MeteredModel:
    """The model of a service, and the money that its answers are paid from."""

    def __init__(self, service: Service, spending: Spending) -> None:
        self.service, self.spending = service, spending
        self._closed_until, self._why_closed = 0.0, ""

    async def answer(self, request: Request) -> Answer:
        """The model's next message, paid for. Exhausted where there is none to be had now; nothing else is raised."""
        if (wait := self._closed_until - time.monotonic()) > 0:
            raise Away(f"{self._why_closed}; asked again in {wait:.0f} s")
        try:
            return await self._attempt(request, stream=True)
        except Interrupted:  # some proxies cut every long stream: the second time the whole answer comes at once
            return await self._attempt(request, stream=False)

    async def _attempt(self, request: Request, stream: bool) -> Answer:
        worst = self.service.worst(request)
        async with reserved(self.spending, self.service.cost(worst), worst, self.service.model) as bill:
            try:
                async with asyncio.timeout(ANSWER):
                    answer = await self.service.ask(request, stream)
            except TimeoutError:
                raise self._close("the API does not answer", PAUSE) from None
            except Failed as failure:
                if failure.free:
                    bill.usd, bill.usage = 0.0, NOTHING
                raise self._close(failure.reason, failure.pause) from None
            bill.usage, bill.usd = answer.usage, self.service.cost(answer.usage)
        return answer

    def _close(self, reason: str, pause: float) -> Away:
        """What went wrong, for people; and no question is asked until it can have passed."""
        self._why_closed, self._closed_until = self.service.hidden(reason), time.monotonic() + pause
        return Away(self._why_closed)
