"""A Chat Completions API on the loopback: scripted answers over real HTTP, as a stream or whole, and every way to fail.

    with ChatServer([says("hello"), uses("submit_idea", title="t", ...), Fails(429)]) as server:
        client = AsyncOpenAI(api_key="k", base_url=server.url)

The script is a list of replies, given one after another, or a function from a request's body to a reply. Like real
services it refuses (400) a conversation that is not well-formed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.researchers.scripted_server import Body, Fails, ScriptedHandler, ScriptedServer


@dataclass(frozen=True)
class Says:
    """An answer. `cut` breaks the connection in the middle of it, `error` ends its stream with an error of that code,
    `raw` is sent in place of it all."""

    text: str = ""
    calls: Sequence[tuple[str, object]] = ()
    finish: str = "stop"
    cut: bool = False
    error: object = None
    usage: Mapping[str, Any] | None = field(
        default_factory=lambda: {
            "prompt_tokens": 1010,
            "completion_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 1000},
        }
    )
    more: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes = b""


Reply = Says | Fails
Script = Sequence[Reply] | Callable[[Body], Reply]


def says(text: str, **other: Any) -> Says:
    return Says(text, **other)


def uses(name: str, arguments: object = None, /, **named: Any) -> Says:
    """One tool call. `arguments`, where given, stands for its arguments as they are, well-formed or not."""
    return calls((name, named if arguments is None else arguments))


def calls(*tools: tuple[str, object], **other: Any) -> Says:
    return Says(calls=tools, **{"finish": "tool_calls", **other})


class ChatServer(ScriptedServer[Says]):
    """The server, on a port of its own while the `with` lasts."""

    base = "/v1"

    def handler(self) -> type[ScriptedHandler]:
        return _handler(self)

    def complaint(self, body: Body) -> str:
        return complaint(body)


def complaint(body: Body) -> str:
    """What real services refuse about a request; "" if nothing."""
    open_calls: list[str] = []
    for place, message in enumerate(body.get("messages", [])):
        role, content = message["role"], message.get("content")
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                return f"messages[{place}]: a tool message must follow a call with its id"
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            return f"messages[{place}]: calls {open_calls} have no tool message"
        if not isinstance(content, str) and not message.get("tool_calls"):
            return f"messages[{place}]: content must be a text"
        for call in message.get("tool_calls", ()):
            try:
                json.loads(call["function"]["arguments"])
            except ValueError:
                return f"messages[{place}]: arguments are no JSON"
            open_calls.append(call["id"])
        if (role == "system") != (place == 0):
            return f"messages[{place}]: the system message comes first"
    return "calls without tool messages" if open_calls else ""


def _handler(server: ChatServer) -> type[ScriptedHandler]:
    class Handler(ScriptedHandler):
        def do_POST(self) -> None:
            request = self.asked()
            if self.path != "/v1/chat/completions":
                self.send(404, b"<html>nothing here</html>", {"content-type": "text/html"})
                return
            reply = server.reply(request)
            with contextlib.suppress(ConnectionError):
                if isinstance(reply, Fails):
                    error = {"error": {"message": reply.message, "type": "scripted", "code": None}}
                    self.send(reply.status, json.dumps(error).encode(), reply.headers)
                elif reply.raw:
                    self.send(200, reply.raw)
                elif request.body.get("stream"):
                    self.send_events(_told(reply), reply.cut)
                else:
                    answer = {"id": "c", "object": "chat.completion", "choices": [_choice(reply)], "usage": reply.usage}
                    self.send_whole(answer, reply.cut)

    return Handler


def _told(reply: Says) -> Iterator[str]:
    events = list(_events(reply))
    if reply.cut or reply.error:
        events = events[: max(len(events) // 2, 1)]
    if reply.error:
        events.append({"error": {"message": "scripted failure", "code": reply.error, "type": "x"}})
    for event in [*map(json.dumps, events), *([] if reply.cut or reply.error else ["[DONE]"])]:
        yield f"data: {event}"


def _arguments(given: object) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def _choice(reply: Says) -> Body:
    message: Body = {"role": "assistant", "content": reply.text or None, **reply.more}
    if reply.calls:
        message["tool_calls"] = [
            {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": _arguments(given)}}
            for place, (name, given) in enumerate(reply.calls)
        ]
    return {"index": 0, "message": message, "finish_reason": reply.finish}


def _events(reply: Says) -> Iterator[Body]:
    """The answer as the stream tells it, texts and arguments in pieces."""

    def piece(delta: Body, finish: str | None = None) -> Body:
        return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}  # fmt: skip # noqa: E501

    yield piece({"role": "assistant", "content": ""})
    for name, value in {"content": reply.text, **reply.more}.items():
        for place in range(0, len(value), 40):
            yield piece({name: value[place : place + 40]})
    for place, (name, given) in enumerate(reply.calls):
        function = {"name": name, "arguments": ""}
        yield piece({"tool_calls": [{"index": place, "id": f"call_{place}", "type": "function", "function": function}]})
        text = _arguments(given)
        for begin in range(0, len(text), 40):
            yield piece({"tool_calls": [{"index": place, "function": {"arguments": text[begin : begin + 40]}}]})
    yield piece({}, reply.finish)
    if reply.usage is not None:
        yield {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": reply.usage}
