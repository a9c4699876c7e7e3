"""What the loopback services share: an HTTP server that answers requests by a script, whole, in pieces or cut off."""

from __future__ import annotations

import json
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Self, TypeVar

Body = dict[str, Any]
Says = TypeVar("Says")


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
    body: Body


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go away when they like."""


class ScriptedServer(Generic[Says]):
    """The server, on a port of its own while the `with` lasts."""

    base = ""  # of the paths that clients ask

    def __init__(self, script: Sequence[Says | Fails] | Callable[[Body], Says | Fails] = (), port: int = 0) -> None:
        self.script = script
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", port), self.handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @abstractmethod
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers a request."""

    @abstractmethod
    def complaint(self, body: Body) -> str:
        """What the real service would refuse about a request; "" if nothing."""

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base}"

    @property
    def bodies(self) -> list[Body]:
        """What was asked for, in the order of the requests."""
        return [request.body for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The service goes away: from now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def reply(self, request: Request) -> Says | Fails:
        with self._lock:
            self.requests.append(request)
            if wrong := self.complaint(request.body):
                return Fails(400, wrong)
            if callable(self.script):
                return self.script(request.body)
            place = len(self.requests) - 1
            return self.script[place] if place < len(self.script) else Fails(500, "the script is over")


class ScriptedHandler(BaseHTTPRequestHandler):
    """How an answer is sent."""

    protocol_version = "HTTP/1.1"

    def asked(self) -> Request:
        """The request, whose body is JSON."""
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        return Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)

    def send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.head(status, {"content-length": str(len(content)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_whole(self, answer: Body, cut: bool) -> None:
        content = json.dumps(answer).encode()
        if not cut:
            self.send(200, content)
            return
        self.head(200, {"content-length": str(len(content))})
        self.wfile.write(content[: len(content) // 2])
        self.hang_up()

    def send_events(self, events: Iterable[str], cut: bool) -> None:
        """A stream of server-sent events."""
        self.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for event in events:
            data = f"{event}\n\n".encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        if cut:
            self.hang_up()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
