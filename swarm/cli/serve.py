"""Shows a swarm in a browser, live, and read-only."""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import add_verb, swarm_root_of
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.web.access import Access

PORT = 8777


def add_to(verbs: Any) -> None:
    serving = add_verb(verbs, serve, tag=True, examples=("", "--host 0.0.0.0 --port 8777"))
    serving.add_argument("--port", type=int, default=PORT, metavar="N", help=f"0 for a free one ({PORT})")
    serving.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="listen here for other machines, with a token"
    )
    serving.add_argument("--token", action="store_true", help="ask for a token on 127.0.0.1 too")
    serving.add_argument("--url", metavar="URL", help="how browsers reach it, where that is behind a proxy")
    serving.add_argument("--gpu-usd-per-hour", type=float, metavar="USD", help="price of a GPU hour, for the cost")


def serve(options: argparse.Namespace) -> int:
    """Shows a swarm in a browser, live and read-only, until Ctrl-C."""
    import asyncio

    from swarm.web.access import Access, is_local, reached_as, stored_token
    from swarm.web.server import listen

    root = swarm_root_of(options)
    with listen(options.host, _port(options.port)) as listener:
        guarded = options.token or not is_local(options.host)
        token = stored_token(_home(root)) if guarded else ""
        given, port = _base(options.url), listener.getsockname()[1]
        base, *others = [given] if given else [f"http://{name}:{port}" for name in reached_as(options.host)]
        secret = f"/?token={token}" if token else "/"
        print(f"the swarms of {root}, read-only: {base}{secret}", flush=True)
        for other in others:
            print(f"where that name is not known: {other}{secret}", flush=True)
        if guarded and not base.startswith("https://"):
            print("whoever has this link can look; what is sent is not encrypted", flush=True)
        print("Ctrl-C ends the server; the swarm runs on", flush=True)
        asyncio.run(_serve(options, root, listener, Access(token, _names(base)), base))
    return 0


async def _serve(options: argparse.Namespace, root: Path, listener: socket.socket, access: Access, base: str) -> None:
    import asyncio

    from swarm.ledger.served import announced
    from swarm.web.feed import Feed
    from swarm.web.reader import Reader
    from swarm.web.server import served

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    feed = Feed(Reader(root, options.tag, options.gpu_usd_per_hour))
    async with served(feed, access, listener):
        with announced(root, f"{base}/"):
            await ended.wait()


def _port(port: int) -> int:
    if not 0 <= port < 65536:
        raise UsageError(f"--port {port}: a port is between 0 (a free one) and 65535")
    return port


def _home(root: Path) -> Path:
    """The folder of all swarms, where the token is kept; it is made before the first swarm is."""
    from swarm.ledger.home import make_home

    make_home(root / ".swarm")
    return root / ".swarm"


def _names(base: str) -> frozenset[str]:
    """Under which names this machine may be asked."""
    from urllib.parse import urlsplit

    return frozenset(filter(None, (urlsplit(base).hostname, socket.gethostname(), socket.getfqdn())))


def _base(url: str | None) -> str:
    from urllib.parse import urlsplit

    if url is None:
        return ""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment:
            return url.rstrip("/")
    raise UsageError(f"--url {url:.200}: an address such as https://swarm.example.org")
