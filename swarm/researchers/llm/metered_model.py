"""A language model whose every answer is paid for, and whose service is left alone for a while after a failure."""

from __future__ import annotations

import asyncio
import time

from swarm.researchers.llm.models.protocol import Answer, Failed, Interrupted, Request, Service
from swarm.researchers.llm.money import Bill, Spending, Usage, reserved
from swarm.researchers.protocol import Away

ANSWER = 900.0  # seconds until an answer that does not come is given up
PAUSE = 30.0  # seconds that a service without an answer is left alone
CUTS = 2  # streams in a row that broke off, after which ...
WHOLE = 1800.0  # ... answers are asked for whole, for so many seconds: some proxies cut every long stream


class MeteredModel:
    """The model of a service, and the money that its answers are paid from."""

    def __init__(self, service: Service, spending: Spending) -> None:
        self.service, self.spending = service, spending
        self._closed_until, self._why_closed = 0.0, ""
        self._cuts, self._whole_until = 0, 0.0

    async def answer(self, request: Request) -> Answer:
        """The model's next message, paid for. Exhausted where there is none to be had now; nothing else is raised."""
        if (wait := self._closed_until - time.monotonic()) > 0:
            raise Away(f"{self._why_closed}; asked again in {wait:.0f} s")
        if time.monotonic() >= self._whole_until:
            try:
                answer = await self._attempt(request, stream=True)
                self._cuts = 0
                return answer
            except Interrupted:
                self._cuts += 1
                if self._cuts >= CUTS:
                    self._cuts, self._whole_until = 0, time.monotonic() + WHOLE
        return await self._attempt(request, stream=False)

    async def _attempt(self, request: Request, stream: bool) -> Answer:
        worst = self.service.worst(request)
        async with reserved(self.spending, self.service.cost(worst), worst, self.service.model) as bill:
            try:
                async with asyncio.timeout(ANSWER):
                    answer = await self.service.ask(request, stream)
            except TimeoutError:
                raise self._close("the API does not answer", PAUSE) from None
            except Interrupted as cut:
                self._pay(bill, cut.usage)
                raise
            except Failed as failure:
                if failure.usage is not None:
                    self._pay(bill, failure.usage)
                raise self._close(failure.reason, failure.pause) from None
            self._pay(bill, answer.usage)
        return answer

    def _pay(self, bill: Bill, usage: Usage) -> None:
        bill.usage, bill.usd = usage, self.service.cost(usage)

    def _close(self, reason: str, pause: float) -> Away:
        """What went wrong, for people; and no question is asked until it can have passed."""
        self._why_closed, self._closed_until = self.service.hidden(reason), time.monotonic() + pause
        return Away(self._why_closed)
