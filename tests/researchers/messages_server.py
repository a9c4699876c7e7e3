"""A Messages API on the loopback: scripted answers over real HTTP, as a stream or whole, and every way to fail.

    with MessagesServer([says("hello"), uses("submit_idea", title="t", ...), Fails(529)]) as server:
        client = AsyncAnthropic(api_key="k", base_url=server.url)

The script is a list of replies, given one after another, or a function from a request's body to a reply. Like the
real service it refuses (400) a conversation that is not well-formed or uses what current models do not take.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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


@dataclass(frozen=True)
class Fails:
    """An error, with headers (retry-after) and a message."""

    status: int
    message: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


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


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go away when they like."""


class MessagesServer:
    """The server, on a port of its own while the `with` lasts."""

    def __init__(self, script: Script = (), port: int = 0) -> None:
        self.script = script
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._identities = iter(range(1_000_000))
        self._server = _Quiet(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was asked for, in the order of the requests."""
        return [request.body for request in self.requests]

    def __enter__(self) -> MessagesServer:
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


def _handler(server: MessagesServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(404, json.dumps(_error("not_found_error", "nothing here")).encode())

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            if "/messages" not in self.path or "count_tokens" in self.path:
                self._send(404, json.dumps(_error("not_found_error", "nothing here")).encode())
                return
            reply = server.reply(
                Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            with contextlib.suppress(ConnectionError):
                if isinstance(reply, Fails):
                    kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(reply.status, "api_error")
                    self._send(reply.status, json.dumps(_error(kind, reply.message)).encode(), reply.headers)
                elif body.get("stream"):
                    self._stream(_message(server, reply, body), reply)
                else:
                    self._whole(_message(server, reply, body), reply)

        def _whole(self, message: Block, reply: Says) -> None:
            content = json.dumps(message).encode()
            if not reply.cut:
                self._send(200, content)
                return
            self._head(200, {"content-length": str(len(content))})
            self.wfile.write(content[: len(content) // 2])
            self._hang_up()

        def _stream(self, message: Block, reply: Says) -> None:
            events = list(_events(message))
            if reply.cut or reply.error:
                events = events[: max(len(events) // 2, 2)]
            if reply.error:
                events.append(_error(reply.error, "scripted failure"))
            self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
            for event in events:
                data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            if reply.cut:
                self._hang_up()
            else:
                self.wfile.write(b"0\r\n\r\n")

        def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
            self._head(status, {"content-length": str(len(content)), **(headers or {})})
            if self.command != "HEAD":
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
