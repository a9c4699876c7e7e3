"""The Messages API as one question: it answers, or says in one line why not and for how long to leave it alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from swarm.researchers.llm.money import NOTHING, Purse, Usage, cost, reserved, usage_of
from swarm.researchers.llm.prompt import line
from swarm.researchers.protocol import Away

OUTPUT = 20_000  # tokens of one answer, thinking included; the SDK sends more only as a stream
ANSWER = 900.0  # seconds until an answer that does not come is given up
PATIENCE = 60.0  # seconds that the service may ask to wait; when it wants more, others think meanwhile
RETRIES = 4

_BYTES_PER_TOKEN = 2  # fewer than in any text that a tokenizer was made for: the estimate is a worst case
_PAUSES = {400: 60.0, 401: 600.0, 402: 600.0, 403: 600.0, 404: 600.0, 413: 60.0}  # other failures pass sooner:
_PAUSE = 30.0
_REASONS = {
    400: "the API refuses the request",
    401: "the API refuses the key; is ANTHROPIC_API_KEY right?",
    402: "the account has no credit left",
    403: "the key may not use this model",
    404: "the API does not know the model",
    413: "the API finds the request too large",
    429: "the rate limit is reached",
    529: "the API is overloaded",
}

Message = Mapping[str, Any]


class Cut(Exception):
    """An answer began and did not come to its end."""


class LongWait(Exception):
    """The service asks to wait for longer than anybody here has patience."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Service:
    """One model, one key, one purse. Nothing that it says or raises holds the key."""

    def __init__(self, model: str, purse: Purse, key: str, base_url: str | None = None, retries: int = RETRIES) -> None:
        import anthropic
        import httpx2

        self.model, self.purse = model, purse
        self._key, self._closed_until, self._why_closed = key, 0.0, ""
        self._failures = (anthropic.APIError, LongWait, TimeoutError)
        # What was refused, or never reached the service, costs nothing. A whole answer that was lost on its way does.
        self._unpaid = (anthropic.APIError, LongWait)
        self._unheard = anthropic.APIConnectionError
        # How the SDK tells that a stream broke off: as what httpx raises, or as a message that cannot be put together.
        self._breaks = (anthropic.APIError, httpx2.HTTPError, ValueError, RuntimeError, AssertionError)
        self._client = anthropic.AsyncAnthropic(
            api_key=key, base_url=base_url, max_retries=retries, middleware=[_refuse_long_waits]
        )

    async def answer(self, system: Sequence[Message], messages: Sequence[Message], tools: Sequence[Message]) -> Any:
        """The model's next message, paid for. Exhausted where there is none to be had now; nothing else is raised."""
        if (wait := self._closed_until - time.monotonic()) > 0:
            raise Away(f"{self._why_closed}; asked again in {wait:.0f} s")
        request = {"model": self.model, "max_tokens": OUTPUT, "system": system, "messages": messages, "tools": tools}
        try:
            return await self._attempt(request, stream=True)
        except Cut:  # some proxies cut every long stream: the second time the whole answer comes at once
            return await self._attempt(request, stream=False)

    def hidden(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, "***")

    async def _attempt(self, request: dict[str, Any], stream: bool) -> Any:
        size = len(json.dumps(request).encode()) // _BYTES_PER_TOKEN
        worst = Usage(output=OUTPUT, cache_write_1h=size)
        async with reserved(self.purse, cost(self.model, worst), worst, self.model) as bill:
            try:
                async with asyncio.timeout(ANSWER):
                    message = await (self._stream(request) if stream else self._client.messages.create(**request))
            except self._failures as failure:
                if isinstance(failure, self._unpaid) and (stream or not isinstance(failure, self._unheard)):
                    bill.usd, bill.usage = 0.0, NOTHING
                raise self._close(failure) from None
            bill.usage = usage_of(message.usage)
            bill.usd = cost(self.model, bill.usage)
        return message

    async def _stream(self, request: dict[str, Any]) -> Any:
        async with self._client.messages.stream(**request) as stream:
            try:
                message = await stream.get_final_message()
            except self._breaks as error:
                raise Cut from error
        if message.stop_reason is None:
            raise Cut
        return message

    def _close(self, failure: Exception) -> Away:
        """What went wrong, for people; and no question is asked until it can have passed."""
        status = getattr(failure, "status_code", 0)
        if isinstance(failure, LongWait):
            reason, pause = f"the API is at its limit and asks to wait {failure.seconds:.0f} s", failure.seconds
        elif status:
            said = getattr(failure, "api_message", None) or ""
            reason = _REASONS.get(status, f"the API fails with status {status}") + (f" ({line(said)})" if said else "")
            pause = _PAUSES.get(status, _PAUSE)
        else:
            late = isinstance(failure, TimeoutError) or "timed out" in str(failure)
            reason, pause = "the API does not answer" if late else "the API cannot be reached", _PAUSE
        self._why_closed, self._closed_until = self.hidden(reason), time.monotonic() + pause
        return Away(self._why_closed)


async def _refuse_long_waits(request: Any, call_next: Any) -> Any:
    """The SDK would sleep for as long as retry-after says, be it until the plan's reset in five hours."""
    response = await call_next(request)
    asked = response.headers.get("retry-after", "")
    if response.status_code in (429, 503, 529) and asked.isdigit() and int(asked) > PATIENCE:
        await response.http_response.aclose()
        raise LongWait(float(asked))
    return response
