"""A swarm watched by browser from another host: `serve --host` on one, Chromium on another, a network between them.

python -m pytest -m cluster tests/cluster/test_watched.py
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.cluster.hosts import Host, hosts, lacking
from tests.web import browser as chromium
from tests.web.browser import Page, browser

EXPERIMENTS = 6
STATE = "document.querySelector('.state')?.textContent"
VERDICTS = "document.querySelectorAll('#rows > details').length"
OFFLINE = ("Failed to load resource", "ERR_")  # what a browser notes when it is refused, or the cable is out

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(chromium.PROGRAM is None, reason=chromium.MISSING),
]


@dataclass(frozen=True)
class Watched:
    """A host with a project and its server, whose `links` it printed, and one with nothing but a browser."""

    head: Host
    desk: Host
    links: list[str]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    why = lacking(tmp_path_factory.mktemp("trial"))
    if why:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("hosts")
    with hosts(folder, ["head", "desk"], network="10.78.0") as there:
        head, desk = there["head"], there["desk"]
        made = head.run(f"{sys.executable} -m swarm.lab.simulation.project project")
        assert made.returncode == 0, made.stderr
        log = folder / "serve.log"
        server = head.start(f"{_swarm('serve --host 0.0.0.0 --port 8777')}", log)
        try:
            yield Watched(head, desk, _links(server, log))
        finally:
            server.kill()
            server.wait()


def _swarm(words: str) -> str:
    return f"cd project && {sys.executable} -m swarm {words}"


def _links(server: subprocess.Popen[bytes], log: Path) -> list[str]:
    while "Ctrl-C" not in (told := log.read_text()):
        assert server.poll() is None, told
        time.sleep(0.1)
    return re.findall(r"http://\S+", told)


def test_a_browser_on_another_host_follows_a_swarm_from_before_its_start_to_its_end(watched: Watched):
    link = next(link for link in watched.links if watched.head.address in link)
    base, token = link.split("?token=")
    told = watched.desk.within(lambda: asyncio.run(_without_token(base, token)))
    assert "apr5" not in told and "project" not in told, "who has no token learns nothing"
    watched.desk.within(lambda: asyncio.run(_follow(watched, base, link)))


async def _without_token(base: str, token: str) -> str:
    """All that is answered to whoever has no token, or half of it."""
    told = ""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        for path in ("", "events", f"?token={token[:-1]}", "?token=", ".swarm/ledger.sqlite"):
            async with client.get(base + path, allow_redirects=False) as answer:
                assert answer.status == 403 and "Set-Cookie" not in answer.headers, path
                told += f"{answer.headers} {await answer.text()}"
    return told


async def _follow(watched: Watched, base: str, link: str) -> None:
    """The page is opened once, and never loaded by hand again."""
    async with browser() as tab:
        await tab.size(390, 844)
        await tab.go(base)
        assert "has the token" in await tab.look("document.body.textContent")
        await tab.call("Page.navigate", url=link)
        await tab.until("document.body?.textContent.includes('No swarm yet') && document.querySelector('#link.on')")
        assert await tab.look("location.search") == "", "the token left the address"

        flags = f"--device sim --agents 2 --budget 2 --max-experiments {EXPERIMENTS} --tag apr5 --detach"
        launched = watched.head.run(_swarm(f"launch {flags}"), timeout=900)
        assert launched.returncode == 0, launched.stdout + launched.stderr
        await _until(tab, f"{STATE} == 'running' && document.querySelectorAll('.agent').length == 2")
        await tab.look("window.same = 1")
        await _until(tab, f"{VERDICTS} >= 2")

        watched.desk.cut()
        await _until(tab, "document.querySelector('#link.off')")
        watched.desk.mend()
        await _until(tab, "document.querySelector('#link.on')")

        await _until(tab, f"{STATE} == 'finished'")
        assert await tab.look(VERDICTS) >= EXPERIMENTS
        assert await tab.look("window.same") == 1, "what came, came by itself"
        assert [told for told in tab.complaints if not any(word in told for word in OFFLINE)] == []


async def _until(tab: Page, expression: str) -> None:
    """A swarm takes longer than a browser: ten times what a quiet machine needs."""
    ends = time.monotonic() + 900
    while not await tab.look(f"Boolean({expression})"):
        assert time.monotonic() < ends, f"never true: {expression}"
        await asyncio.sleep(0.3)
