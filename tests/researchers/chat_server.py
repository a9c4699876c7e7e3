"""A Chat Completions API on the loopback: scripted answers over real HTTP, as a stream or whole, and every way to fail.

    with ChatServer([says("hello"), uses("submit_idea", title="t", ...), Fails(429)]) as server:
        client = AsyncOpenAI(api_key="k", base_url=server.url)

The script is a list of replies, given one after another, or a function from a request's body to a reply. Like real
services it refuses (400) a conversation that is not well-formed.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


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


@dataclass(frozen=True)
class Fails:
    status: int
    message: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: Body


Reply = Says | Fails
Script = Sequence[Reply] | Callable[[Body], Reply]


def says(text: str, **other: Any) -> Says:
    return Says(text, **other)


def uses(name: str, arguments: object = None, /, **named: Any) -> Says:
    """One tool call. `arguments`, where given, stands for its arguments as they are, well-formed or not."""
    return calls((name, named if arguments is None else arguments))


def calls(*tools: tuple[str, object], **other: Any) -> Says:
    return Says(calls=tools, **{"finish": "tool_calls", **other})


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go away when they like."""


class ChatServer:
    """The server, on a port of its own while the `with` lasts."""

    def __init__(self, script: Script = (), port: int = 0) -> None:
        self.script = script
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bodies(self) -> list[Body]:
        return [request.body for request in self.requests]

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The service goes away: from now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def reply(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            if wrong := complaint(request.body):
                return Fails(400, wrong)
            if callable(self.script):
                return self.script(request.body)
            place = len(self.requests) - 1
            return self.script[place] if place < len(self.script) else Fails(500, "the script is over")


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


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            if self.path != "/v1/chat/completions":
                self._send(404, b"<html>nothing here</html>", {"content-type": "text/html"})
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.reply(Request(self.path, headers, body))
            with contextlib.suppress(ConnectionError):
                if isinstance(reply, Fails):
                    error = {"error": {"message": reply.message, "type": "scripted", "code": None}}
                    self._send(reply.status, json.dumps(error).encode(), reply.headers)
                elif reply.raw:
                    self._send(200, reply.raw)
                elif body.get("stream"):
                    self._stream(reply)
                else:
                    self._whole(reply)

        def _whole(self, reply: Says) -> None:
            content = json.dumps({"id": "c", "object": "chat.completion", "choices": [_choice(reply)], "usage": reply.usage}).encode()  # fmt: skip # noqa: E501
            if not reply.cut:
                self._send(200, content)
                return
            self._head(200, {"content-length": str(len(content))})
            self.wfile.write(content[: len(content) // 2])
            self._hang_up()

        def _stream(self, reply: Says) -> None:
            events = list(_events(reply))
            if reply.cut or reply.error:
                events = events[: max(len(events) // 2, 1)]
            if reply.error:
                events.append({"error": {"message": "scripted failure", "code": reply.error, "type": "x"}})
            self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
            for event in [*map(json.dumps, events), *([] if reply.cut or reply.error else ["[DONE]"])]:
                data = f"data: {event}\n\n".encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            if reply.cut:
                self._hang_up()
            else:
                self.wfile.write(b"0\r\n\r\n")

        def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
            self._head(status, {"content-length": str(len(content)), **(headers or {})})
            self.wfile.write(content)

        def _head(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def _hang_up(self) -> None:
            self.wfile.flush()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


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
