"""`swarm serve`: the live page over HTTP. It reads, and can do nothing else: GET and HEAD are all it answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from swarm.errors import UsageError
from swarm.web.access import Access, is_local
from swarm.web.feed import Feed
from swarm.web.page import document

BEAT = 10.0  # seconds between two signs of life on a stream that has nothing to say
PATIENCE = 30.0  # seconds for a tab to take what it is sent
MOST_TABS = 200
_COOKIE_LIFE = 30 * 86400  # seconds
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
_PAGE = ("page.js", "live.js")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Site:
    """What the server answers, to whom."""

    feed: Feed
    access: Access
    cookie: str  # its name: browsers keep one jar for all ports of a host

    async def page(self, request: web.Request) -> web.Response:
        """The page as it is now; its own version tells the stream where to go on."""
        shown = await self.feed.look()
        text = document(shown.title, shown.parts, shown.rows, scripts=_PAGE, version=self.feed.version, tag=shown.tag)
        return web.Response(text=text, content_type="text/html")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: all that is newer than what the tab has, and a beat while nothing is."""
        if self.feed.listeners >= MOST_TABS:
            raise web.HTTPServiceUnavailable(text="too many tabs are open\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        version = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        with contextlib.suppress(ConnectionError, TimeoutError):  # the tab was closed, or does not listen
            await _send(response, "retry: 2000\n\n")
            async with self.feed.listening():
                await self.feed.look()  # a server that was just started has seen nothing yet
                while not self.feed.closed:
                    message = self.feed.message(version)
                    if message is not None:
                        version = self.feed.version
                        await _send(response, f"id: {version}\ndata: {message}\n\n")
                    elif not await self.feed.newer(version, BEAT):
                        await _send(response, "event: beat\ndata:\n\n")
        return response

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who may not look gets one line that says nothing of what there is."""
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"], text="read-only\n")
        if not self.access.knows_host(request.headers.get("Host", "")):
            return web.Response(status=421, text="this server is not known by that name: --url names it\n")
        given = request.query.get("token")
        if self.access.token and given is not None and self.access.is_token(given):
            return self._exchange(request)
        if not self.access.admits(request.cookies.get(self.cookie, "")):
            raise web.HTTPForbidden(text="open the link that `swarm serve` printed: it has the token\n")
        return await handler(request)

    def _exchange(self, request: web.Request) -> web.Response:
        """The token becomes a cookie and leaves the address, and with it the browser's history."""
        answer = web.Response(status=303, headers={"Location": "./"})
        answer.set_cookie(
            self.cookie, self.access.cookie, max_age=_COOKIE_LIFE, httponly=True, samesite="Lax", path="/",
            secure=_behind_tls(request),
        )  # fmt: skip
        return answer


def _behind_tls(request: web.Request) -> bool:
    return request.headers.get("X-Forwarded-Proto") == "https"


async def _send(response: web.StreamResponse, text: str) -> None:
    await asyncio.wait_for(response.write(text.encode("utf-8", "replace")), PATIENCE)


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if _behind_tls(request) or is_local(request.url.host or ""):  # elsewhere browsers ignore it, and complain
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    response.headers["Server"] = "swarm"


def application(feed: Feed, access: Access, port: int) -> web.Application:
    """The site as an aiohttp application."""
    site = Site(feed, access, f"swarm-{port}")
    app = web.Application(middlewares=[site.guard], client_max_size=0)
    app.router.add_get("/", site.page)
    app.router.add_get("/events", site.events)
    app.on_response_prepare.append(_harden)
    app.on_shutdown.append(lambda _: feed.close())
    return app


@contextlib.asynccontextmanager
async def served(feed: Feed, access: Access, listener: socket.socket) -> AsyncIterator[None]:
    """Answers on a socket that listens already, while this lasts."""
    app = application(feed, access, listener.getsockname()[1])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at `host` and `port` (0: a free one); UsageError, with the remedy, where it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"cannot listen on {host} port {port} ({error}): give another --port, or 0 for a free one"
        ) from error
