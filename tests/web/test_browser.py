"""The pages in a real Chromium: as people see, tap and search them. Skipped, with the reason, where there is none."""

from __future__ import annotations

import asyncio

import pytest

from swarm.web.page import page
from tests.web import browser as chromium
from tests.web.browser import Page, opened, started
from tests.web.test_html import foreign_snapshot
from tests.web.test_page import details_of
from tests.web.test_server import TOKEN, site

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason=chromium.MISSING)

DRAWN = 3.0  # CPU-seconds of the page's thread, of which 0.9 were seen: a busy machine takes hardly more of them
WIDTH = "Math.max(innerWidth, document.documentElement.scrollWidth)"  # wider than the screen where anything sticks out


@pytest.fixture(scope="module")
def chrome():
    """Where the one browser of these tests is told what to do; each has a tab of its own."""
    with started() as port:
        yield port


@pytest.fixture
def report(tmp_path, make_swarm):
    """The address of a report's file."""

    def written(snapshot=None, details=None) -> str:
        snapshot = snapshot or make_swarm(4, ended=True)
        file = tmp_path / "report.html"
        file.write_text(page(snapshot, details or details_of(snapshot)), encoding="utf-8", errors="replace")
        return file.as_uri()

    return written


def test_a_report_on_a_phone_and_on_a_desk(report, chrome):
    url = report()

    async def body():
        async with opened(chrome) as tab:
            for width, height in ((390, 844), (1400, 1000)):
                for dark in (False, True):
                    await tab.size(width, height, dark)
                    await tab.go(url)
                    assert await tab.look(WIDTH) == width
                    assert await tab.look(
                        "document.querySelector('#result').getBoundingClientRect().bottom < innerHeight"
                    )
                    background = await tab.look("getComputedStyle(document.body).backgroundColor")
                    assert (background == "rgb(15, 19, 24)") is dark
            assert await tab.look("performance.getEntriesByType('resource').length") == 0
            assert tab.complaints == []

    asyncio.run(body())


def test_a_tapped_point_opens_its_row_with_and_without_scripts(report, chrome):
    url = report()

    async def body():
        async with opened(chrome) as tab:
            await tab.size(390, 844)
            for without in (False, True):
                await tab.call("Emulation.setScriptExecutionDisabled", value=without)
                await tab.go(url)
                name = "gpu1-0005"
                point = f"document.querySelector('.stairs a[href=\"#{name}\"]')"
                place = await tab.look(
                    f"(() => {{ {point}.scrollIntoView({{block: 'center'}}); const box = {point}.lastChild"
                    ".getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
                )
                at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
                on_top = await tab.look(
                    f"document.elementFromPoint({place[0]}, {place[1]}).closest('a').getAttribute('href')"
                )
                await tab.call("Input.dispatchMouseEvent", type="mousePressed", **at)
                await tab.call("Input.dispatchMouseEvent", type="mouseReleased", **at)
                await tab.until(f"location.hash == {on_top!r} && document.querySelector(location.hash)")
                await tab.until("document.querySelector(location.hash).getBoundingClientRect().height > 50")
                await tab.until("document.querySelector(location.hash).getBoundingClientRect().top < innerHeight")

    asyncio.run(body())


def test_filters_need_no_script_and_sorting_and_search_do(report, chrome):
    url = report()
    seen = "[...document.querySelectorAll('#rows > details')].filter((row) => row.getBoundingClientRect().height)"

    async def body():
        async with opened(chrome) as tab:
            await tab.call("Emulation.setScriptExecutionDisabled", value=True)
            await tab.go(url)
            everything = await tab.look(f"{seen}.length")
            await tab.look("document.querySelector('label[for=f-crashed]').click()")
            assert 0 < await tab.look(f"{seen}.length") < everything
            assert await tab.look(f"{seen}.every((row) => row.className == 'x crashed')")
            await tab.call("Emulation.setScriptExecutionDisabled", value=False)
            await tab.go(url + "?again")
            await tab.look(
                "[...document.querySelectorAll('.sort button')].find((b) => b.textContent == 'gain').click()"
            )
            gains = await tab.look(f"{seen}.map((row) => Number(row.dataset.g ?? -9))")
            assert gains == sorted(gains, reverse=True) and len(gains) == everything
            await tab.look("(() => { const s = document.querySelector('.sort input'); s.value = 'SOFTCAP 20';"
                           " s.dispatchEvent(new Event('input')); })()")  # fmt: skip
            assert 0 < await tab.look(f"{seen}.length") < everything
            assert await tab.look(f"{seen}.every((row) => row.textContent.includes('softcap 20'))")

    asyncio.run(body())


def test_markup_and_script_in_foreign_text_do_nothing(report, chrome):
    hostile = "</script></style><img src=x onerror='window.caught=1'><script>caught=1</script>\"'><svg onload=caught=1>"
    url = report(*foreign_snapshot(hostile))

    async def body():
        async with opened(chrome) as tab:
            await tab.go(url)
            assert await tab.look("window.caught === undefined && document.images.length == 0")
            assert await tab.look("document.scripts.length") == 1
            assert await tab.look("document.querySelector('#rows').textContent.includes('onerror')")
            assert await tab.look("document.title.length") > 0
            assert tab.complaints == []

    asyncio.run(body())


@pytest.mark.long
def test_a_thousand_experiments_are_drawn_at_once(report, make_swarm, chrome):
    snapshot = make_swarm(16, ended=True)
    url = report(snapshot, details_of(snapshot))

    async def body():
        async with opened(chrome) as tab:
            await tab.call("Performance.enable", timeDomain="threadTicks")
            for width, height in ((390, 844), (1400, 1000)):
                await tab.size(width, height)
                await tab.go("about:blank")
                before = await _work(tab)
                await tab.go(url)
                assert await tab.look("document.querySelectorAll('#rows > details').length") > 1000
                await tab.until("performance.getEntriesByType('navigation')[0].loadEventEnd")
                await tab.until("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
                assert 0 < await _work(tab) - before < DRAWN

    asyncio.run(body())


async def _work(tab: Page) -> float:
    """CPU-seconds that the page's thread took until now."""
    metrics = (await tab.call("Performance.getMetrics"))["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


@pytest.mark.long
def test_an_open_page_follows_a_swarm_to_its_end_and_over_a_restart_of_its_server(night, tmp_path, chrome):
    """What is open stays open, and the page is never loaded anew."""

    async def body():
        async with opened(chrome) as tab:
            await tab.size(390, 844)
            first = night.keep("gpu0", 1, 0.9).removeprefix("apr5-")
            async with site(tmp_path, TOKEN) as (base, _):
                port = int(base.rpartition(":")[2])
                await tab.go(f"{base}/")
                assert "has the token" in await tab.look("document.body.textContent")
                await tab.call("Page.navigate", url=f"{base}/?token={TOKEN}")
                await tab.until("document.querySelector('#link.on')")
                assert await tab.look("location.search") == "", "the token left the address"
                await tab.look(f"window.same = 1; document.getElementById('{first}').closest('details').open = true")
                second = night.keep("gpu1", 2, 0.8).removeprefix("apr5-")
                await tab.until(
                    f"document.querySelector('#rows').firstElementChild.contains(document.getElementById('{second}'))"
                )
                await tab.until(f"document.querySelector('.stairs a[href=\"#{second}\"]')")
            await tab.until("document.querySelector('#link.off')")
            third = night.keep("gpu0", 3, 0.7).removeprefix("apr5-")
            night.swarm(status="finished", ended=night.clock.now)
            async with site(tmp_path, TOKEN, port):
                await tab.until(f"document.getElementById('{third}')")
                await tab.until("document.querySelector('.state').textContent == 'finished'")
                await tab.until("document.querySelector('#link.on')")
                assert await tab.look("window.same") == 1
                assert await tab.look(f"document.getElementById('{first}').closest('details').open")
                assert await tab.look(WIDTH) == 390
                assert [told for told in tab.complaints if "Failed to load resource" not in told] == []

    asyncio.run(body())
