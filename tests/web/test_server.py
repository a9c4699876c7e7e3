"""The live page over real HTTP on the loopback: who gets what, and what comes when the swarm goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import pytest

from swarm.errors import UsageError
from swarm.web import feed as feeds
from swarm.web import server
from swarm.web.access import Access
from swarm.web.feed import Feed
from swarm.web.reader import Reader
from swarm.web.server import listen, served

PATIENCE = 60.0
TOKEN = "t" * 32


@contextlib.asynccontextmanager
async def site(root, token="", port=0, tag=None, names=()) -> AsyncIterator[tuple[str, Feed]]:
    """A server of the swarms in `root`: its address and its feed."""
    with listen("127.0.0.1", port) as listener:
        feed = Feed(Reader(root, tag))
        async with served(feed, Access(token, names), listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", feed


async def get(url: str, method: str = "GET", **more: Any) -> tuple[int, Any, str]:
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.request(method, url, allow_redirects=False, **more) as answer,
    ):
        return answer.status, answer.headers, await answer.text()


class Stream:
    """A tab's stream of events."""

    def __init__(self, answer: aiohttp.ClientResponse):
        self._answer = answer

    async def event(self, kind: str | None = None) -> tuple[str, Any]:
        """The id and the data of the next event of that kind (a message that has data, where none is named)."""
        async with asyncio.timeout(PATIENCE):
            while True:
                fields: dict[str, str] = {}
                while line := (await self._answer.content.readline()).decode().rstrip("\n"):
                    name, _, value = line.partition(":")
                    fields[name] = value.strip()
                assert fields, "the stream has ended"
                if fields.get("event") == kind and (kind or "data" in fields):
                    return fields.get("id", ""), json.loads(fields["data"]) if fields.get("data") else None


@contextlib.asynccontextmanager
async def stream(base: str, since: str = "", **headers: str) -> AsyncIterator[Stream]:
    limits = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=limits, read_bufsize=2**22) as client,
        client.get(f"{base}/events", params={"since": since}, headers=headers) as answer,
    ):
        assert answer.status == 200 and answer.content_type == "text/event-stream"
        yield Stream(answer)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_it_only_reads(night, tmp_path):
    async def body():
        async with site(tmp_path) as (base, _):
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
                status, headers, _ = await get(base, method)
                assert status == 405 and headers["Allow"] == "GET,HEAD"
            status, headers, text = await get(base, "HEAD")
            assert status == 200 and text == ""
            status, headers, text = await get(base)
            assert status == 200 and "apr5" in text
            assert headers["Cache-Control"] == "no-store" and headers["X-Frame-Options"] == "DENY"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            _, plain, _ = await get(base, headers={"Host": "10.0.0.7:8777"})
            assert "Cross-Origin-Opener-Policy" not in plain, "browsers ignore it there, and complain"
            assert (await get(f"{base}/events", "HEAD"))[0] == 200
            assert (await get(f"{base}/../../etc/passwd"))[0] == 404
            assert (await get(f"{base}/.swarm/ledger.sqlite"))[0] == 404

    run(body)


def test_another_sites_name_that_points_here_is_refused(night, tmp_path):
    async def body():
        async with site(tmp_path, names=["box.example.org"]) as (base, _):
            status, _, text = await get(base, headers={"Host": "evil.example.com"})
            assert status == 421 and "apr5" not in text
            assert (await get(f"{base}/events", headers={"Host": "evil.example.com:80"}))[0] == 421
            assert (await get(base, headers={"Host": "box.example.org"}))[0] == 200

    run(body)


def test_the_token_becomes_a_cookie_and_leaves_the_address(night, tmp_path):
    async def body():
        async with site(tmp_path, TOKEN) as (base, _):
            for path in ("", "/events", "/?token=", f"/?token={TOKEN[:-1]}", "/nothing"):
                status, headers, text = await get(base + path)
                assert status == 403 and "apr5" not in text and "Set-Cookie" not in headers, path
            status, headers, _ = await get(f"{base}/?token={TOKEN}")
            assert status == 303 and headers["Location"] == "./"
            cookie = headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and TOKEN not in cookie
            assert (await get(base, headers={"Cookie": cookie.split(";")[0]}))[0] == 200
            assert (await get(base, headers={"Cookie": cookie.split(";")[0][:-1] + "x"}))[0] == 403

    run(body)


def test_a_link_with_a_token_leads_nowhere_else(night, tmp_path):
    async def body():
        async with site(tmp_path, TOKEN) as (base, _):
            _, headers, _ = await get(f"{base}//evil.example.com?token={TOKEN}")
            assert headers["Location"] == "./"

    run(body)


def test_a_verdict_comes_to_an_open_page_by_itself(night, tmp_path):
    async def body():
        async with site(tmp_path) as (base, feed):
            _, _, text = await get(base)
            version = text.split('data-version="')[1].split('"')[0]
            assert version == feed.version
            async with stream(base, version) as tab:
                keep = night.keep("gpu0", 1, 0.9)
                name = keep.removeprefix("apr5-")
                while True:
                    version, news = await tab.event()
                    if any(name == row for row, _ in news["rows"]):
                        break
                assert "k1 -&gt; 2" in dict(news["rows"])[name] and name in news["parts"]["stairs"]
                assert "top" not in news["parts"] or "<header" in news["parts"]["top"]
            async with stream(base, version) as tab:
                night.keep("gpu0", 2, 0.8)
                assert len((await tab.event())[1]["rows"]) <= 2, "what a tab has is not sent again"

    run(body)


def test_many_tabs_read_the_ledger_as_often_as_one(night, tmp_path):
    async def body():
        async with site(tmp_path) as (base, feed), contextlib.AsyncExitStack() as tabs:
            opened = [await tabs.enter_async_context(stream(base)) for _ in range(20)]
            for tab in opened:
                await tab.event()
            before = feed._reader.reads
            night.keep("gpu0", 1, 0.9)
            for tab in opened:
                while not (await tab.event())[1]["rows"]:
                    pass
            assert 1 <= feed._reader.reads - before <= 6, "one look a second, whatever the number of tabs"
            assert feed.listeners == 20

    run(body)


def test_nobody_is_read_for(night, tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "LOOK", 0.05)

    async def body():
        async with site(tmp_path) as (base, feed):
            async with stream(base) as tab:
                await tab.event()
            async with asyncio.timeout(PATIENCE):
                while feed.listeners:
                    await asyncio.sleep(0.05)
                assert feed._watcher
                await feed._watcher

    monkeypatch.setattr(server, "BEAT", 0.1)
    run(body)


def test_a_stream_without_news_shows_that_it_lives(night, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "BEAT", 0.1)

    async def body():
        async with site(tmp_path) as (base, _), stream(base) as tab:
            version, _ = await tab.event()
            assert version
            await tab.event("beat")
            await tab.event("beat")

    run(body)


def test_after_a_restart_of_the_server_a_tab_gets_all_that_it_may_lack(night, tmp_path):
    async def body():
        async with site(tmp_path) as (base, _), stream(base) as tab:
            version, _ = await tab.event()
        keep = night.keep("gpu0", 1, 0.9)
        async with site(tmp_path) as (base, _), stream(base, **{"Last-Event-ID": version}) as tab:
            _, news = await tab.event()
            assert keep.removeprefix("apr5-") in dict(news["rows"])
            assert news["parts"].keys() >= {"top", "result", "agents", "stairs"}

    run(body)


def test_before_the_first_swarm_and_after_a_lost_ledger_the_page_says_so(make_night, tmp_path):
    (tmp_path / ".swarm").mkdir()

    async def body():
        async with site(tmp_path) as (base, feed):
            assert "No swarm yet" in (await get(base))[2]
            async with stream(base, feed.version) as tab:
                night = make_night()
                night.baselines()
                while (await tab.event())[1]["tag"] != "apr5":
                    pass
            night.ledger.close()
            (tmp_path / ".swarm" / "ledger.sqlite").rename(tmp_path / "away")
            async with asyncio.timeout(PATIENCE):
                while "no swarm has run in" not in (text := (await get(base))[2]):
                    await asyncio.sleep(0.3)
            assert "apr5" in text, "what was last known stays in sight"

    run(body)


def test_the_newest_lines_of_a_transcript_are_shown(night, tmp_path):
    folder = tmp_path / ".swarm" / "apr5" / "gpu0" / "transcripts"
    folder.mkdir(parents=True)
    (folder / "apr5-gpu0-0001.md").write_text("old\n" * 3000 + "<b>I think it is the \x1b[31mlearning rate</b>\n")

    async def body():
        async with site(tmp_path) as (base, _):
            text = (await get(base))[2]
            assert "&lt;b&gt;I think it is the learning rate&lt;/b&gt;" in text and text.count("old\n") < 20

    run(body)


def test_a_port_that_is_taken_is_said_with_the_remedy():
    with listen("127.0.0.1", 0) as taken, pytest.raises(UsageError, match="--port"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UsageError, match="--port"):
        listen("no.such.host.invalid", 0)
