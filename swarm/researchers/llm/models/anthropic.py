"""Claude by Anthropic's Messages API: the service behind the language model researcher, and its prices.

python -m swarm launch --researcher claude --model claude-opus-5-5 --max-usd 20
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from swarm import foreign
from swarm.researchers.llm.models.failures import at_its_limit, failed, unreached
from swarm.researchers.llm.models.protocol import (
    Answer,
    Call,
    Failed,
    Interrupted,
    Message,
    Request,
    Result,
    Stop,
    Text,
    Tool,
)
from swarm.researchers.llm.money import NOTHING, Price, Usage, known_price, price_of
from swarm.researchers.llm.researcher import TURNS, LanguageModel
from swarm.researchers.options import Option
from swarm.researchers.protocol import Profile, needs_key

KEY = "ANTHROPIC_API_KEY"
ADDRESS = "ANTHROPIC_BASE_URL"
MODEL = Option("model", "claude-opus-5-5", "which model to ask")
RETRIES = Option("retries", 4, "how often a request is repeated that the API could not take")

OUTPUT = 20_000  # tokens of one answer, thinking included; the SDK sends more only as a stream
PATIENCE = 60.0  # seconds that the service may ask to wait; when it wants more, others think meanwhile

# Copied in October 2026 from https://platform.claude.com/docs/en/about-claude/pricing.
PRICES: Mapping[str, Price] = {  # by the beginning of the model's name; the longest one that fits counts
    "claude-fable-5-1": Price(10.0, 50.0, 0.025),
    "claude-fable": Price(10.0, 50.0),
    "claude-mythos-5-1": Price(10.0, 50.0, 0.025),
    "claude-mythos-preview": Price(25.0, 125.0),
    "claude-mythos": Price(10.0, 50.0),
    "claude-opus-5-5": Price(4.0, 20.0, 0.05),
    "claude-opus": Price(5.0, 25.0),
    "claude-sonnet-5": Price(2.0, 10.0),
    "claude-sonnet": Price(3.0, 15.0),
    "claude-haiku-5-5": Price(0.1, 0.5, long=Price(0.5, 2.5)),
    "claude-haiku": Price(1.0, 5.0),
}

_BYTES_PER_TOKEN = 2  # fewer than in any text that a tokenizer was made for: the estimate is a worst case
_STATUSES = {  # by the kind of an error: one within a stream comes with the status 200
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_STOPS = {"refusal": Stop.REFUSED, "max_tokens": Stop.CUT, "model_context_window_exceeded": Stop.CUT}

Block = dict[str, Any]

_HOUR: Block = {"type": "ephemeral", "ttl": "1h"}  # longer than an experiment, so that the next one finds it
_MINUTES: Block = {"type": "ephemeral"}  # the talk itself goes on at once or not at all


class Claude(LanguageModel):
    """The language model researcher with Claude behind it."""

    profile = Profile(
        title="claude by API",
        offers=True,
        pays=True,
        secrets={"api_key": KEY, "base_url": ADDRESS},
        options=(MODEL, TURNS, RETRIES),
        check=needs_key(KEY),
    )

    def open_service(self, key: str, options: Mapping[str, str]) -> Anthropic:
        return Anthropic(MODEL.read(options), key, options.get("base_url") or None, RETRIES.read(options))


class LongWait(Exception):
    """The service asks to wait for longer than anybody here has patience."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Anthropic:
    """One of Claude's models behind the SDK, whose own retries pass over short failures."""

    def __init__(self, model: str, key: str, base_url: str | None = None, retries: int = RETRIES.default) -> None:
        import anthropic
        import httpx2

        self.model, self._key = model, key
        # What was refused, or never reached the service, costs nothing. A whole answer that was lost on its way does.
        self._failures = (anthropic.APIError, LongWait)
        self._unheard, self._late = anthropic.APIConnectionError, anthropic.APITimeoutError
        # How the SDK tells an error within a stream, and that it broke off: as what httpx raises, or as a message that
        # cannot be put together.
        self._told = anthropic.APIStatusError
        self._breaks = (anthropic.APIError, httpx2.HTTPError, ValueError, RuntimeError, AssertionError)
        self._client = anthropic.AsyncAnthropic(
            api_key=key, base_url=base_url, max_retries=retries, middleware=[_refuse_long_waits]
        )

    async def ask(self, request: Request, stream: bool) -> Answer:
        body = self._body(request)
        try:
            message = await (self._stream(body) if stream else self._client.messages.create(**body))
        except self._failures as failure:
            lost = isinstance(failure, self._unheard) and not stream
            raise _failed(failure, isinstance(failure, self._late), None if lost else NOTHING) from None
        return _answer(message)

    def worst(self, request: Request) -> Usage:
        return Usage(output=OUTPUT, cache_write_1h=_tokens(self._body(request)))

    def cost(self, usage: Usage) -> float:
        return cost(self.model, usage)

    def hidden(self, text: str) -> str:
        return text.replace(self._key, "***")

    def _body(self, request: Request) -> dict[str, Any]:
        return {
            "model": self.model,
            "max_tokens": OUTPUT,
            "system": [_text(request.system) | {"cache_control": _HOUR}],
            "messages": _messages(request.messages),
            "tools": [_tool(tool) for tool in request.tools],
        }

    async def _stream(self, body: dict[str, Any]) -> Any:
        async with self._client.messages.stream(**body) as stream:
            try:
                message = await stream.get_final_message()
            except self._told as error:  # as what its status would have been, had it come before the stream
                raise _failed(error, late=False, usage=_so_far(stream, body)) from None
            except self._breaks as error:
                raise Interrupted(_so_far(stream, body)) from error
        if message.stop_reason is None:
            raise Interrupted(usage_of(message.usage))
        return message


def cost(model: str, usage: Usage) -> float:
    """USD for `usage` of one of Claude's models."""
    return price_of(PRICES, model).of(usage)


def listed(model: str, usage: Usage) -> float | None:
    """The same; None where the price of this model is not known."""
    price = known_price(PRICES, model)
    return price.of(usage) if price else None


# -- what is sent --------------------------------------------------------------------------------------------------


def _messages(messages: Sequence[Message]) -> list[Block]:
    """The conversation; its end is marked as the end of what can be cached for the next question."""
    *before, last = [_message(message) for message in messages]
    *blocks, end = last["content"]
    return [*before, last | {"content": [*blocks, end | {"cache_control": _MINUTES}]}]


def _message(message: Message) -> Block:
    if isinstance(message, Answer):
        return {"role": "assistant", "content": message.native}
    return {"role": "user", "content": [_part(part) for part in message.parts]}


def _part(part: Text | Result) -> Block:
    if isinstance(part, Result):
        return {"type": "tool_result", "tool_use_id": part.call, "content": part.text, "is_error": part.failed}
    return _text(part.text) | ({"cache_control": _HOUR} if part.shared else {})


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _tool(tool: Tool) -> Block:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}


# -- what comes back -----------------------------------------------------------------------------------------------


def _answer(message: Any) -> Answer:
    blocks = [block.to_dict(mode="json") for block in message.content]
    return Answer(
        text="\n".join(block["text"] for block in blocks if block["type"] == "text"),
        calls=tuple(
            Call(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"
        ),
        stop=_STOPS.get(message.stop_reason, Stop.END),
        usage=usage_of(message.usage),
        refusal=getattr(message.stop_details, "category", None) or "",
        native=blocks,
    )


def usage_of(record: Any) -> Usage:
    """The `usage` of an answer. Cache writes whose lifetime it does not tell count as the dearer ones."""
    written = record.cache_creation_input_tokens or 0
    short = record.cache_creation.ephemeral_5m_input_tokens if record.cache_creation else 0
    return Usage(
        input=record.input_tokens or 0,
        output=record.output_tokens or 0,
        cache_write_5m=min(short, written),
        cache_write_1h=max(written - short, 0),
        cache_read=record.cache_read_input_tokens or 0,
    )


def _so_far(stream: Any, body: Block) -> Usage:
    """What an answer that broke off had cost, as its stream told. The output comes in the last event: until then it is
    the worst case of the text that came; thoughts that the service keeps to itself are not in it."""
    try:
        message = stream.current_message_snapshot
    except AssertionError:  # it broke off before its first word: the question may have been read
        return Usage(cache_write_1h=_tokens(body))
    told = usage_of(message.usage)
    came = _tokens([block.to_dict(mode="json") for block in message.content]) if message.content else 0
    return replace(told, output=max(told.output, came))


def _tokens(body: object) -> int:
    """The most tokens that this can be, as JSON."""
    return len(json.dumps(body).encode()) // _BYTES_PER_TOKEN


def usage_in(counts: object) -> Usage:
    """The same from plain JSON, as a program prints it that calls the API; what is not there is 0."""
    known = counts if isinstance(counts, dict) else {}

    def count(name: str) -> int:
        return foreign.count(known.get(name)) or 0

    return Usage(
        input=count("input_tokens"),
        output=count("output_tokens"),
        cache_write_1h=count("cache_creation_input_tokens"),
        cache_read=count("cache_read_input_tokens"),
    )


def _failed(failure: Exception, late: bool, usage: Usage | None) -> Failed:
    """What went wrong, for people, and how long it may take to pass."""
    if isinstance(failure, LongWait):
        return at_its_limit(failure.seconds, usage)
    if status := getattr(failure, "status_code", 0):
        status = status if status >= 400 else _STATUSES.get(getattr(failure, "type", None) or "", 500)
        return failed(status, getattr(failure, "api_message", None) or "", KEY, usage)
    return unreached(late, usage)


async def _refuse_long_waits(request: Any, call_next: Any) -> Any:
    """The SDK would sleep for as long as retry-after says, be it until the plan's reset in five hours."""
    response = await call_next(request)
    asked = response.headers.get("retry-after", "")
    if response.status_code in (429, 503, 529) and asked.isdigit() and int(asked) > PATIENCE:
        await response.http_response.aclose()
        raise LongWait(float(asked))
    return response
