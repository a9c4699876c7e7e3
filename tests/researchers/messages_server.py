"""A Messages API on the loopback: scripted answers over real HTTP, as a stream or whole, and every way to fail.

    with MessagesServer([says("hello"), uses("submit_idea", title="t", ...), Fails(529)]) as server:
        client = AsyncAnthropic(api_key="k", base_url=server.url)

The script is a list of replies, given one after another, or a function from a request's body to a reply. Like the
real service it refuses (400) a conversation that is not well-formed or uses what current models do not take.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.researchers.scripted_server import Body, Fails, ScriptedHandler, ScriptedServer

Block = dict[str, Any]
REFUSED_PARAMETERS = {"temperature", "top_p", "top_k"}


@dataclass(frozen=True)
class Says:
    """An answer: its blocks, and why it stops. `cut` breaks the connection in the middle of it, `error` ends its stream
    there with an error of that type."""

    blocks: Sequence[Block]
    stop: str = "end_turn"
    cut: bool = False
    error: str = ""
    details: Mapping[str, Any] | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)


Reply = Says | Fails
Script = Sequence[Reply] | Callable[[dict[str, Any]], Reply]


def says(text: str, stop: str = "end_turn", **other: Any) -> Says:
    return Says([{"type": "text", "text": text}], stop, **other)


def uses(name: str, arguments: object = None, /, stop: str = "tool_use", **named: Any) -> Says:
    """One tool call. `arguments`, where given, stands for the input as it is, well-formed or not."""
    return calls((name, named if arguments is None else arguments), stop=stop)


def calls(*tools: tuple[str, object], stop: str = "tool_use", **other: Any) -> Says:
    thinking = {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"}
    blocks = [{"type": "tool_use", "name": name, "input": arguments} for name, arguments in tools]
    return Says([thinking, *blocks], stop, **other)


class MessagesServer(ScriptedServer[Says]):
    """The server, on a port of its own while the `with` lasts."""

    def __init__(self, script: Script = (), port: int = 0) -> None:
        super().__init__(script, port)
        self._identities = iter(range(1_000_000))

    def handler(self) -> type[ScriptedHandler]:
        return _handler(self)

    def complaint(self, body: Body) -> str:
        return complaint(body)

    def numbered(self, name: str) -> str:
        return f"{name}_{next(self._identities):06d}"


def complaint(body: Mapping[str, Any]) -> str:
    """What the real service would refuse about a request; "" if nothing."""
    messages = [
        message for message in body.get("messages", []) if message["role"] != "system"
    ]  # newer models take those
    if forbidden := REFUSED_PARAMETERS & body.keys():
        return f"{', '.join(forbidden)}: not supported by this model"
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        return "tool_choice: forced tool use is not supported by this model"
    marked = json.dumps([body.get("system"), body.get("tools"), messages]).count('"cache_control"')
    if marked > 4:
        return f"a maximum of 4 blocks with cache_control may be provided, found {marked}"
    open_calls: set[str] = set()
    for place, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": "x"}]
        if not blocks or any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            return f"messages.{place}: text content blocks must be non-empty"
        if message["role"] == "user":
            results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
            if results != open_calls:
                return f"messages.{place}: tool_use ids {sorted(open_calls)} without tool_result {sorted(results)}"
            open_calls = set()
        elif open_calls:
            return f"messages.{place}: tool_use without tool_result"
        else:
            open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
            if any(not isinstance(block["input"], dict) for block in blocks if block["type"] == "tool_use"):
                return f"messages.{place}: tool_use.input: input should be an object"
    if not messages or messages[-1]["role"] != "user":
        return "messages: the conversation must end with a user message"
    return "tool_use without tool_result" if open_calls else ""


def _handler(server: MessagesServer) -> type[ScriptedHandler]:
    class Handler(ScriptedHandler):
        def do_GET(self) -> None:
            self.send(404, json.dumps(_error("not_found_error", "nothing here")).encode())

        do_HEAD = do_GET

        def do_POST(self) -> None:
            request = self.asked()
            if "/messages" not in self.path or "count_tokens" in self.path:
                self.send(404, json.dumps(_error("not_found_error", "nothing here")).encode())
                return
            reply = server.reply(request)
            with contextlib.suppress(ConnectionError):
                if isinstance(reply, Fails):
                    kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(reply.status, "api_error")
                    self.send(reply.status, json.dumps(_error(kind, reply.message)).encode(), reply.headers)
                elif request.body.get("stream"):
                    self.send_events(_told(_message(server, reply, request.body), reply), reply.cut)
                else:
                    self.send_whole(_message(server, reply, request.body), reply.cut)

    return Handler


def _told(message: Block, reply: Says) -> Iterator[str]:
    events = list(_events(message))
    if reply.cut or reply.error:
        events = events[: max(len(events) // 2, 2)]
    if reply.error:
        events.append(_error(reply.error, "scripted failure"))
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}"


def _error(kind: str, message: str) -> Block:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _message(server: MessagesServer, reply: Says, body: Mapping[str, Any]) -> Block:
    blocks = [
        {"id": server.numbered("toolu"), **block} if block["type"] == "tool_use" else dict(block)
        for block in reply.blocks
    ]
    usage = {
        "input_tokens": 10,
        "output_tokens": 100,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 0,
    }
    return {
        "id": server.numbered("msg"),
        "type": "message",
        "role": "assistant",
        "model": body.get("model", ""),
        "content": blocks,
        "stop_reason": reply.stop,
        "stop_sequence": None,
        "stop_details": {"type": "refusal", **reply.details} if reply.details else None,
        "usage": usage | dict(reply.usage),
    }


def _events(message: Block) -> Iterator[Block]:
    """The message as the stream tells it, texts and inputs in pieces."""
    start = {"content": [], "stop_reason": None, "usage": message["usage"] | {"output_tokens": 1}}
    yield {"type": "message_start", "message": message | start}
    for index, block in enumerate(message["content"]):
        kind, empty, deltas = _deltas(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}
        if block["type"] == "thinking":
            delta = {"type": "signature_delta", "signature": block["signature"]}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {key: message[key] for key in ("stop_reason", "stop_sequence", "stop_details")}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": message["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


def _deltas(block: Block) -> tuple[str, Block, list[Block]]:
    if block["type"] == "text":
        return "text_delta", block | {"text": ""}, [{"text": piece} for piece in _pieces(block["text"])]
    if block["type"] == "thinking":
        empty = block | {"thinking": "", "signature": ""}
        return "thinking_delta", empty, [{"thinking": piece} for piece in _pieces(block["thinking"])]
    given = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
    return "input_json_delta", block | {"input": {}}, [{"partial_json": piece} for piece in _pieces(given)]


def _pieces(text: str, size: int = 40) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]
