"""report.html: one file, small, without requests, and with the very numbers of report.md."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from swarm.judge.closing import Headline
from swarm.records import Outcome
from swarm.views.report import write_report
from swarm.web.details import Detail
from swarm.web.page import MOST, page
from swarm.web.staircase import ticks
from swarm.wording.formatting import Scale, short_id
from swarm.wording.headline import leading
from swarm.wording.verdict_text import judged
from tests.web.test_html import Read

PATCH = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-depth = 8\n+depth = 9"
CURVE = tuple((25.0 * k, 2.7 + 3.0 / k) for k in range(1, 13))


def details_of(snapshot, patch=PATCH):
    return {view.id: Detail(patch, CURVE, CURVE, "Traceback: boom") for view in snapshot.experiments}


def text_of(html: str) -> str:
    return " ".join(" ".join(Read(re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.S)).text).split())


def test_the_page_says_the_numbers_of_the_report(make_swarm, tmp_path):
    snapshot = replace(
        make_swarm(4, ended=True), hidden_split=True, hidden=Headline(1, 1, 1, 0.004, 0.003, 0.005, 4, 4)
    )
    report = write_report(snapshot, tmp_path, 2.5, {})[0].read_text()
    found, plain = text_of(page(snapshot, {}, 2.5)), report.replace("\\", "").replace("`", "")
    leader, scale = leading(snapshot), Scale.of(snapshot)
    for number in (
        scale.interval(leader.gain, leader.low, leader.high),
        scale.value(leader.value),
        scale.value(leader.baseline),
        scale.interval(0.004, 0.003, 0.005),
    ):
        assert number in plain
        assert number.partition(" ±")[0] in found
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", plain.split("## What ran")[1].split("##")[0], flags=re.M)
    assert len(rows) > 8
    for label, said in rows[1:]:
        assert label in found and said in found, label
    cost = plain.split("## Cost\n\n")[1].split("\n")[0]
    assert cost in found
    for step in snapshot.trunk[1:]:
        assert scale.change(step.gain) in found


def test_what_is_drawn_is_explained_and_what_is_not_drawn_is_not(make_swarm, quiet_swarm):
    assert "green: 95% interval of a kept state; grey: one sigma around the baseline" in text_of(
        page(make_swarm(4), {})
    )
    assert "green:" not in text_of(page(quiet_swarm, {}))


def test_every_experiment_has_a_row_and_a_point_that_leads_to_it(make_swarm):
    snapshot = make_swarm(4, ended=True)
    html = page(snapshot, details_of(snapshot))
    names = [short_id(view.id, snapshot.tag) for view in judged(snapshot)]
    assert len(names) > 100
    assert all(html.count(f'id="{name}"') == 1 and f'<a href="#{name}"><title>' in html for name in names)
    assert "<ins>+depth = 9</ins>" in html and 'class="theirs"' in html and "Traceback: boom" in html


def test_a_thousand_experiments_are_under_a_megabyte_and_keeps_are_shown_in_full(make_swarm):
    snapshot = make_swarm(16, ended=True)
    assert len(judged(snapshot)) > 1000
    html = page(snapshot, details_of(snapshot, PATCH + "\n+x" * 400))
    assert len(html.encode()) <= MOST < 1_000_000
    kept = [view for view in judged(snapshot) if view.status == "keep"]
    for view in kept:
        row = html.split(f'id="{short_id(view.id, snapshot.tag)}"')[1].split("</details>")[0]
        assert "depth = 9" in row, "what was kept is shown whole"
    assert "<code>swarm show gpu" in html, "what is left out is named with the command that shows it"


def test_it_asks_nobody_for_anything_and_runs_no_style_or_script_but_its_own(make_swarm):
    html = page(make_swarm(2, hours=1.0), {})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert "default-src &#x27;none&#x27;" in policy[1] and "unsafe" not in policy[1] and "connect-src" not in policy[1]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert not re.search(r"<[^>]+ (style|on\w+)=", html), "a strict policy forbids them"


def test_held_experiments_stand_on_the_first_screen(make_swarm):
    snapshot = make_swarm(4, ended=True)
    place = next(k for k, view in enumerate(snapshot.experiments) if view.status == "discard")
    views = list(snapshot.experiments)
    views[place] = replace(views[place], outcome=Outcome.HELD, title="too good to be true", gain=0.5)
    html = page(replace(snapshot, experiments=tuple(views)), {})
    first = html.split('id="stairs"')[0]
    assert "held for a person" in first and "too good to be true" in first
    assert 'class="x held"' in html
    name = views[place].id.removeprefix("apr5-")
    row = html.split(f'id="{name}"')[1].split("</details>")[0]
    assert f"<code>python -m swarm accept {name} --tag apr5</code> keeps it" in row
    assert f"<code>python -m swarm reject {name} --tag apr5</code> turns it down" in row


def test_a_swarm_that_has_nothing_yet_has_a_page(make_swarm, quiet_swarm):
    assert "the baseline is being measured" in page(make_swarm(2, now=0.1), {})
    found = page(replace(quiet_swarm, ended=quiet_swarm.now, status="finished"), {})
    assert "no improvement found" in found and '<section id="take" hidden>' in found


def test_ticks_are_round_and_within():
    found = ticks(0.9712, 0.9988)
    assert found == pytest.approx([0.98, 0.99]) or len(found) > 2
    assert all(0.9712 <= tick <= 0.9988 and round(tick, 3) == pytest.approx(tick) for tick in found)
    assert ticks(1.0, 1.0) == [] and ticks(float("nan"), 1.0) == []
    assert 3 <= len(ticks(-5.0, 1e6)) <= 11
