"""A real Chromium without a window, spoken to in its own protocol (CDP): what a person would see and do on a page."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "no chromium here: apt-get install chromium"
PATIENCE = 120.0  # seconds for anything that a quiet machine does in one or two


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self._socket, self._number = socket, 0
        self.complaints: list[str] = []  # errors of scripts and of the content policy, and requests to anywhere

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=PATIENCE)
            self._note(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(message["params"]["exceptionDetails"]))
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] in ("error", "warning"):
            self.complaints.append(message["params"]["entry"]["text"])

    async def look(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str) -> Any:
        """The first value of the expression that is true; true for an element."""
        expression = f"(() => {{ const found = ({expression}); return found instanceof Node ? true : found; }})()"
        ends = time.monotonic() + PATIENCE
        while not (value := await self.look(expression)):
            assert time.monotonic() < ends, f"never true: {expression}"
            await asyncio.sleep(0.1)
        return value

    async def go(self, url: str) -> None:
        await self.call("Page.navigate", url="about:blank")
        await self.until("location.href == 'about:blank'")
        await self.call("Page.navigate", url=url)
        await self.until(
            f"location.href.startsWith({url.split('?')[0].split('#')[0]!r}) && document.readyState == 'complete'"
        )

    async def size(self, width: int, height: int, dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path, whole: bool = False) -> None:
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def started() -> Iterator[int]:
    """A browser, by the port at which it is told what to do."""
    assert PROGRAM
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        command = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        command += ["--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield _port(Path(profile, "DevToolsActivePort"), lambda: process.poll() is None)
        finally:
            process.terminate()
            process.wait(PATIENCE)


@contextlib.asynccontextmanager
async def opened(port: int) -> AsyncIterator[Page]:
    """A new tab of a browser that was started, with everything it notes in `complaints`."""
    there = f"http://127.0.0.1:{port}/json"
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{there}/new?about:blank") as answer:
            tab = await answer.json()
        async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=2**28) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            yield page
        async with session.get(f"{there}/close/{tab['id']}") as answer:
            assert answer.ok


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """A tab of a browser of its own."""
    with started() as port:
        async with opened(port) as page:
            yield page


def _port(file: Path, lives: Callable[[], bool]) -> int:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and lives():
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(file.read_text().split()[0])
        time.sleep(0.05)
    raise AssertionError("the browser did not start")
