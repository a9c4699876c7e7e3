"""Any model behind Chat Completions: OpenAI's, and what vLLM, Ollama, llama.cpp, LM Studio or OpenRouter serve.

python -m swarm launch --researcher openai --model gpt-6-sol --max-usd 20
python -m swarm launch --researcher openai --model qwen3 --base-url http://localhost:11434/v1
"""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import math
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from swarm.errors import UsageError
from swarm.records import Briefing, Idea
from swarm.researchers.llm.models.chat import Body, answer_of, plain_body, tool_body
from swarm.researchers.llm.models.chat_stream import Stream, usage_of
from swarm.researchers.llm.models.failures import PAUSE, at_its_limit, failed, unreached
from swarm.researchers.llm.models.openai_prices import QUOTED, quoted
from swarm.researchers.llm.models.protocol import Answer, Failed, Interrupted, Request
from swarm.researchers.llm.money import NOTHING, Price, Usage
from swarm.researchers.llm.researcher import TURNS, LanguageModel
from swarm.researchers.options import Option
from swarm.researchers.protocol import Check, Profile

KEY = "OPENAI_API_KEY"
ADDRESS = "OPENAI_BASE_URL"
HOME = "https://api.openai.com/v1"
MODEL = Option("model", "", "which model to ask; must be given")
URL = Option("url", "", "where the service is, as http://localhost:11434/v1; else OPENAI_BASE_URL, else OpenAI's")
PRICE = Option("price", "", "USD per million tokens in and out, as 2,10; for models whose price is not known")
PROTOCOL = Option("protocol", "auto", "tools, or text for models without tool calls; auto: text where tools fail")
OUTPUT = Option("output", 8192, "tokens that one answer may have")
RETRIES = Option("retries", 4, "how often a request is repeated that the API could not take")

PROTOCOLS = ("auto", "tools", "text")
MUTE = 3  # first answers without any tool call, after which a model is taken to know none

FREE = Price(0.0, 0.0)

_NO_TOOLS = frozenset({400, 404, 422, 501})  # what services answer that cannot offer tools for this model
_STATUSES = {  # by the kind of an error within a stream, which comes with the status 200
    "invalid_request_error": 400,
    "authentication_error": 401,
    "insufficient_quota": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "overloaded_error": 529,
}


def needs(options: Mapping[str, str]) -> Check:
    """Whether the package and a key are there."""
    if importlib.util.find_spec("openai") is None:
        return Check(False, "the package openai is not installed", "pip install openai")
    met = bool(options.get("api_key") or os.environ.get(KEY))
    return Check(met, f"{KEY} is {'set' if met else 'not set'}", f"export {KEY}=..., or name a server of this machine")


def costs(options: Mapping[str, str]) -> str:
    """What its tokens cost, and who says so."""
    model, address = MODEL.read(options), address_of(options)
    if given := read_price(PRICE.read(options)):
        return f"{_dollars(given)}, as given"
    if is_local(address):
        return "nothing: the service is on this machine"
    price = known_price(model, address)
    return f"{_dollars(price)}, as quoted in {QUOTED}; --usd-per-mtok IN,OUT where it is another"


def _dollars(price: Price) -> str:
    return f"${price.input:g} in and ${price.output:g} out per million tokens"


class OpenAI(LanguageModel):
    """The language model researcher with a Chat Completions service behind it."""

    profile = Profile(
        title="a model by Chat Completions",
        about="the service at --base-url, else OpenAI's",
        pays=True,
        secrets={"api_key": KEY, "address": ADDRESS},
        options=(MODEL, URL, PRICE, PROTOCOL, OUTPUT, TURNS, RETRIES),
        check=needs,
        costs=costs,
    )

    def open_service(self, key: str, options: Mapping[str, str]) -> ChatService:
        model, protocol, address = MODEL.read(options), PROTOCOL.read(options), address_of(options)
        if not model:
            raise UsageError("--researcher openai needs a model: --model NAME, as the service at its address calls it")
        if protocol not in PROTOCOLS:
            raise UsageError(f"the option protocol={protocol!r:.40} must be one of {', '.join(PROTOCOLS)}")
        price = read_price(PRICE.read(options)) or known_price(model, address)
        self._told = False
        return ChatService(model, key, address, price, protocol, OUTPUT.read(options), RETRIES.read(options))

    def _key(self, options: Mapping[str, str]) -> str:
        """The key; none is needed on this machine."""
        key = options.get("api_key") or os.environ.get(KEY) or ""
        if not key and not is_local(address_of(options)):
            raise UsageError(f"{self.profile.title} needs a key: set {KEY}, to any word where the service wants none")
        return key

    async def propose(self, briefing: Briefing) -> Idea:
        try:
            return await super().propose(briefing)
        finally:
            await self._tell(briefing.agent)

    async def _tell(self, agent: str) -> None:
        """Says once that this model is spoken to in plain text: that was found out, and it decides much."""
        service = self.model.service
        if isinstance(service, ChatService) and service.why_plain and not self._told and self._board:
            self._told = True
            await self._board.warn(agent, f"{service.model} is asked in plain text: {service.why_plain}")


def address_of(options: Mapping[str, str]) -> str:
    """Where the service is. UsageError where that is no address, or holds a password."""
    address = URL.read(options) or options.get("address") or os.environ.get(ADDRESS) or HOME
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(f"--base-url {address!r:.80}: give a URL, such as http://localhost:11434/v1")
    if "@" in parts.netloc:
        raise UsageError(f"--base-url: leave name and password out of it, and give the key in {KEY}")
    return address


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""


def is_local(address: str) -> bool:
    """Whether this is an address of this very machine."""
    host = _host(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def read_price(text: str) -> Price | None:
    """The price that was given; None where none was."""
    if not text:
        return None
    try:
        into, out = (float(part) for part in text.split(","))
    except ValueError:
        into = out = math.nan
    if not (0 <= into < math.inf and 0 <= out < math.inf):
        raise UsageError(f"--usd-per-mtok {text!r:.40}: give two numbers, for a million tokens in and out, as in 2,10")
    return Price(into, out, cached=1.0)  # what it takes off for cached tokens nobody said


def known_price(model: str, address: str) -> Price:
    """The price by the table, nothing on this machine; UsageError where nobody knows."""
    if is_local(address):
        return FREE
    host = _host(address)
    if host == _host(HOME) and (price := quoted(model)):
        return price
    raise UsageError(
        f"the price of {model!r:.80} at {host} is not known: give --usd-per-mtok IN,OUT, in USD per million tokens"
        " (0,0 where it costs nothing)"
    )


class ChatService:
    """One model behind the SDK, whose own retries pass over short failures. The SDK is imported here."""

    def __init__(
        self, model: str, key: str, address: str, price: Price, protocol: str, output: int, retries: int
    ) -> None:
        try:
            import httpx2
            import openai
        except ImportError as error:
            raise UsageError("--researcher openai needs the package openai: pip install openai") from error
        self.model, self.price, self._key = model, price, key
        self.why_plain = ""  # why tools were given up, for people
        self._plain, self._settled = protocol == "text", protocol != "auto"
        self._mute, self._local = 0, is_local(address)
        self._limit = {"max_completion_tokens" if _host(address) == _host(HOME) else "max_tokens": output}
        self._output = output
        self._api, self._unheard, self._late = openai.APIError, openai.APIConnectionError, openai.APITimeoutError
        self._breaks = (httpx2.HTTPError, ValueError, TypeError, AttributeError, LookupError, RuntimeError)
        self._client = openai.AsyncOpenAI(
            api_key=key or "none", base_url=address, max_retries=retries, organization=None, project=None
        )

    async def ask(self, request: Request, stream: bool) -> Answer:
        if self._plain:
            return await self._asked(plain_body(request), True, stream)
        try:
            answer = await self._asked(tool_body(request), False, stream)
        except _Refused as refused:
            if self._settled or not self._may_lack_tools(refused.status):
                raise
            return await self._asked_plainly(request, refused.reason)
        self._settled = self._settled or bool(answer.calls)
        self._mute += not answer.calls
        if not self._settled and self._mute >= MUTE:
            self._give_up_tools(f"{MUTE} answers used no tool")
        return answer

    def worst(self, request: Request) -> Usage:
        return Usage(input=_tokens(plain_body(request) if self._plain else tool_body(request)), output=self._output)

    def cost(self, usage: Usage) -> float:
        return self.price.of(usage)

    def hidden(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _may_lack_tools(self, status: int) -> bool:
        """Whether a request with tools that failed so may do without; servers of one's own answer 500 to anything."""
        return status in _NO_TOOLS or (self._local and status == 500)

    async def _asked_plainly(self, request: Request, why: str) -> Answer:
        """Only where plain text works was it the tools that failed."""
        answer = await self._asked(plain_body(request), True, stream=False)
        self._give_up_tools(f"with tools {why}")
        return answer

    def _give_up_tools(self, why: str) -> None:
        self._plain, self._settled, self.why_plain = True, True, self.hidden(why)

    async def _asked(self, body: Body, plain: bool, stream: bool) -> Answer:
        """One request. Raises Interrupted or Failed."""
        whole = {"model": self.model, **body, **self._limit}
        try:
            if stream:
                return answer_of(*await self._streamed(whole), plain)
            message, usage = _parts(await self._client.chat.completions.create(**whole))
        except self._api as failure:
            lost = isinstance(failure, self._unheard) and not stream
            raise self._failed(failure, None if lost else NOTHING) from None
        except self._breaks as error:
            raise _no_service() from error
        return answer_of(message, usage_of(usage) or _worst_of(whole, message), plain)

    async def _streamed(self, body: Body) -> tuple[Body, Usage]:
        """The message that came in pieces, and what it cost."""
        chunks = await self._client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})
        came = Stream()
        try:
            async for chunk in chunks:
                came.take(chunk.to_dict(mode="json", warnings=False))
        except self._unheard:
            raise Interrupted(came.usage or _worst_of(body, came.message)) from None
        except self._api as error:  # as what its status would have been, had it come before the stream
            raise self._failed(error, came.usage or _worst_of(body, came.message)) from None
        except self._breaks as error:
            raise Interrupted(came.usage or _worst_of(body, came.message)) from error
        usage = came.usage or _worst_of(body, came.message)
        if not came.ended:
            raise Interrupted(usage)
        return came.message, usage

    def _failed(self, failure: Any, usage: Usage | None) -> Failed:
        if isinstance(failure, self._unheard):
            return unreached(isinstance(failure, self._late), usage)
        response = getattr(failure, "response", None)
        status = response.status_code if response is not None and response.status_code >= 400 else _status_of(failure)
        wait = _seconds(response.headers.get("retry-after", "")) if response is not None else 0.0
        if status in (429, 503, 529) and wait > PAUSE:
            return at_its_limit(wait, usage)
        wrong = status == 404
        known = failed(status, str(failure.message), KEY, usage, "a --base-url mostly ends in /v1" if wrong else "")
        return _Refused(status, known)


class _Refused(Failed):
    """A failure that the service itself told, with its status."""

    def __init__(self, status: int, failure: Failed) -> None:
        super().__init__(failure.reason, failure.pause, failure.usage)
        self.status = status


def _parts(completion: Any) -> tuple[Body, object]:
    """Message (with its finish_reason) and usage of a whole answer; Failed where it is none."""
    record = completion.to_dict(mode="json", warnings=False) if hasattr(completion, "to_dict") else {}
    choices = record.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _no_service()
    return {**message, "finish_reason": choice.get("finish_reason")}, record.get("usage")


def _no_service() -> Failed:
    return Failed("what is at --base-url does not speak Chat Completions; it mostly ends in /v1", 600.0, NOTHING)


def _status_of(error: Any) -> int:
    """The status that an error within a stream stands for."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and code.isdigit() and 400 <= int(code) < 600:
        return int(code)
    return _STATUSES.get(code or "") or _STATUSES.get(getattr(error, "type", None) or "", 500)


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _worst_of(body: Body, message: Body) -> Usage:
    """Where a service does not count: the most that question and answer can have been."""
    return Usage(input=_tokens(body), output=_tokens({key: message[key] for key in message if key != "role"}))


def _tokens(body: object) -> int:
    """The most tokens that this can be, as JSON."""
    return len(json.dumps(body).encode()) // 2 if body else 0
