"""What changed on the page, for as many tabs as there are, from one look at the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from swarm.web.html import Html
from swarm.web.reader import Reader, Shown, waiting

LOOK = 1.0  # seconds between two looks while somebody watches


class Feed:
    """The newest picture, and by which version each piece of it came. It looks only while somebody listens or asks.

    A version is "INSTANCE-NUMBER": what another server gave out is no version of this one's, and gets everything.
    """

    def __init__(self, reader: Reader):
        self._reader = reader
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")  # SQLite wants one thread
        self._instance = secrets.token_hex(4)
        self._number = 0
        self._since: dict[tuple[str, str], int] = {}  # by which number a piece came
        self._gone: dict[str, int] = {}  # rows that are no more
        self._changed = asyncio.Condition()
        self._looking = asyncio.Lock()
        self._looked = -LOOK
        self._watcher: asyncio.Task[None] | None = None
        self.shown: Shown = waiting("")
        self.listeners = 0
        self.closed = False

    @property
    def version(self) -> str:
        return f"{self._instance}-{self._number}"

    async def look(self) -> Shown:
        """The picture of this moment."""
        async with self._looking:
            if time.monotonic() - self._looked < LOOK / 4:  # many asked at once
                return self.shown
            shown = await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.look)
            if self._take(shown):
                async with self._changed:
                    self._changed.notify_all()
            self._looked = time.monotonic()
        return self.shown

    def _take(self, shown: Shown) -> bool:
        """Whether anything is new."""
        before, self.shown = self.shown, shown
        number = self._number + 1
        new = False
        for kind, old, now in (("parts", before.parts, shown.parts), ("rows", before.rows, shown.rows)):
            for name, html in now.items():
                if old.get(name) != html:
                    self._since[kind, name], new = number, True
        for name in before.rows.keys() - shown.rows.keys():
            self._gone[name], new = number, True
        self._number += new
        return new

    def message(self, version: str) -> str | None:
        """All that changed since a version, as JSON; None where nothing did."""
        instance, _, number = version.rpartition("-")
        known = int(number) if instance == self._instance and number.isdecimal() else -1
        if known >= self._number:
            return None
        changed = {
            "tag": self.shown.tag,
            "title": self.shown.title,
            "parts": self._pieces("parts", self.shown.parts, known),
            "rows": list(self._pieces("rows", self.shown.rows, known).items()),  # in this order, the newest first
            "gone": [name for name, at in self._gone.items() if at > known and name not in self.shown.rows],
        }
        return json.dumps(changed)

    def _pieces(self, kind: str, pieces: Mapping[str, Html], known: int) -> dict[str, Html]:
        return {name: html for name, html in pieces.items() if self._since.get((kind, name), 0) > known}

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While anybody does, the ledger is looked at every LOOK seconds."""
        self.listeners += 1
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self.listeners -= 1

    async def _watch(self) -> None:
        while self.listeners and not self.closed:
            await self.look()
            await asyncio.sleep(LOOK)

    async def newer(self, version: str, patience: float) -> bool:
        """Waits until there is something newer, at most so many seconds; whether there is."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(lambda: self.closed or self.version != version), patience)
        if self._watcher and self._watcher.done() and not self.closed:
            self._watcher.result()  # it failed: so does whoever relies on it, and the next one starts it again
        return self.version != version

    async def close(self) -> None:
        """Lets everybody go who waits."""
        self.closed = True
        async with self._changed:
            self._changed.notify_all()
        if self._watcher:
            await self._watcher
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.close)
        self._thread.shutdown()
