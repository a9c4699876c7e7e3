"""The report is honest: never the luckiest run, plain about a swarm that found nothing, foreign text harmless."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from swarm.judge.closing import Headline
from swarm.snapshot.records import Event
from swarm.views.report import write_report
from swarm.wording.headline import headline, leading, second_opinion, title


@pytest.fixture
def report(tmp_path):
    def written(snapshot, usd=None, patches=None):
        path, picture = write_report(snapshot, tmp_path, usd, patches or {})
        assert picture == tmp_path / "progress.png"
        assert picture.stat().st_size > 10_000
        return path.read_text(encoding="utf-8")

    return written


def section(text: str, name: str) -> str:
    return text.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_the_champion_is_the_headline(make_swarm):
    snapshot = make_swarm(8, ended=True)
    step = next(s for s in snapshot.trunk if s.experiment == snapshot.champion)
    text = headline(snapshot)
    assert text.startswith("The champion, ")
    assert f"{step.value:.4f} over 4 runs, −{step.gain:.4f} ± 0.0014 (95% interval)" in text
    assert "baseline's mean of 0.9979 (16 runs)" in text
    assert "which is not confirmed" in text


def test_the_closing_wave_gives_the_numbers_where_there_is_one(make_swarm):
    snapshot = make_swarm(4, now=4.0)
    fresh = Headline(mean=0.9901, low=0.9895, high=0.9907, gain=0.0080, gain_low=0.0071, gain_high=0.0089, n=8, m=7)
    tip = replace(snapshot, champion=snapshot.trunk[-1].experiment, headline=fresh)
    measured = (
        "0.9901 over 8 fresh runs, −0.0080 ± 0.0009 (95% interval) against the baseline's mean of 0.9981 (7 runs)"
    )
    assert measured in headline(tip)
    assert title(tip) == "apr5: val_bpb 0.9981 to 0.9901 (−0.0080 ± 0.0009)"
    assert "did not suffice to confirm" in headline(replace(tip, champion=None))
    earlier = headline(replace(tip, champion=snapshot.trunk[1].experiment))
    assert measured in earlier and "The trunk has moved on since" in earlier
    higher = replace(tip, direction="higher", headline=replace(fresh, mean=-0.9901))
    assert (
        "0.9901 over 8 fresh runs, +0.0080 ± 0.0009 (95% interval) against the baseline's mean of 0.9821"
        in headline(higher)
    )


def test_without_a_champion_the_newest_trunk_state_is_named_for_what_it_is(make_swarm):
    snapshot = replace(make_swarm(4, now=4.0), champion=None)
    text = headline(snapshot)
    assert text.startswith("The newest state of the trunk")
    assert f"{snapshot.trunk[-1].value:.4f}" in text
    assert "replicated but not confirmed on fresh seeds" in text


def test_the_luckiest_run_is_never_the_headline(make_swarm, make_experiment, report):
    snapshot = replace(make_swarm(4, now=4.0), champion=None)
    lucky = make_experiment(999, value=0.9101, gain=0.08, title="lucky", judged=snapshot.now)
    higher_step = replace(snapshot.trunk[1], value=0.9202, gain=0.0777)
    snapshot = replace(
        snapshot,
        experiments=(*snapshot.experiments, lucky),
        trunk=(snapshot.trunk[0], higher_step, *snapshot.trunk[2:]),
    )
    text = report(snapshot)
    top = text.split("## What ran")[0]
    assert "0.9101" not in top
    assert "0.9202" not in top
    assert f"{snapshot.trunk[-1].value:.4f}" in top


def test_single_runs_are_not_called_replicated(make_swarm):
    snapshot = make_swarm(4, now=4.0)
    single = tuple(replace(e, n=1) if e.status == "keep" else e for e in snapshot.experiments)
    text = headline(replace(snapshot, champion=None, experiments=single))
    assert "Not every step was replicated" in text


def test_an_interval_that_includes_nothing_says_so(make_swarm):
    snapshot = replace(make_swarm(4, now=4.0), champion=None)
    last = replace(snapshot.trunk[-1], gain=0.0005, low=-0.0004, high=0.0014)
    assert "includes no gain at all" in headline(replace(snapshot, trunk=(*snapshot.trunk[:-1], last)))
    worse = replace(last, gain=-0.0005)
    assert headline(replace(snapshot, trunk=(*snapshot.trunk[:-1], worse))).startswith("No improvement found.")


def test_a_swarm_that_found_nothing_says_so(quiet_swarm, report):
    text = report(quiet_swarm)
    assert text.startswith("# apr5: no improvement of val_bpb found\n")
    assert "**No improvement found.** None of 12 experiments was kept; val_bpb stays at the baseline's mean" in text
    assert "Nothing was kept." in text
    assert "12 experiments are too few" in section(text, "What to try next")


def test_a_swarm_whose_baseline_failed(make_swarm, report):
    snapshot = make_swarm(1)
    crashed = tuple(replace(run, state="crashed", metric=None) for run in snapshot.runs)
    snapshot = replace(snapshot, experiments=(), trunk=(), runs=crashed, notes=(), agents=(), counts={})
    snapshot = replace(snapshot, baseline=None, ended=1.0)
    text = report(snapshot)
    assert "The baseline gave no number, so there was nothing to compare with." in text
    before = report(replace(snapshot, runs=()))
    assert "The swarm was ended before its baseline was measured, so there" in before
    assert "nan" not in text.lower()


def test_losers_are_unproven_until_their_interval_says_refuted(quiet_swarm, report):
    lost = section(report(quiet_swarm), "What did not work")
    assert "| schedule | 10 | 0 | 0 | 7 | 1 | 2 |" in lost
    assert "| batch | 2 | 0 | 2 | 0 | 0 | 0 |" in lost
    refuted, unproven = lost.split("Unproven, by category:")
    assert "- batch: idea 8; idea 9" in refuted
    assert "- schedule: idea 1; idea 2" in unproven


def test_near_misses_and_crashes(quiet_swarm, report):
    text = report(quiet_swarm)
    assert "| `gpu0-0010` | −0.0004 ± 0.0014 | 5 | idea 10 |" in section(text, "Near misses")
    assert "- 2: ran out of memory. idea 11; idea 12" in section(text, "Crashes")


def test_discoveries_stand_in_order_with_their_patches(make_swarm, report):
    snapshot = make_swarm(4, ended=True)
    first = snapshot.trunk[1].experiment
    found = section(report(snapshot, patches={first: "-a\n+b ```` c\n</details>"}), "What was discovered")
    rows = [line.split(" | ")[0].strip("| ") for line in found.splitlines() if line.startswith("| ")]
    assert rows == ["step", "--:", *(str(step.position) for step in snapshot.trunk[1:])]
    assert snapshot.trunk[1].commit[:7] in found
    assert "`````diff\n-a\n+b ```` c" in found


def test_what_people_told_and_what_came_of_it(make_swarm, report):
    text = section(report(make_swarm(4, ended=True)), "What people said")
    assert '"try smaller batches": ' in text
    assert "later experiments with its words" in text
    followed = [line for line in text.splitlines() if line.startswith("  - `gpu")]
    assert 1 <= len(followed) <= 4
    assert all(re.fullmatch(r"  - `gpu\d-\d{4}` .*batch.*: (keep|discard|crash)", line, re.I) for line in followed)
    assert '"what about rotary base 50k?": not taken up by name' in text


def test_cost_with_and_without_a_price(make_swarm, report):
    snapshot = replace(make_swarm(4, ended=True), spent_usd=10.0, gpu_hours=20.0)
    assert "20.0 GPU-h at $2.50 each are $50.00; $60.00 in all" in section(report(snapshot, 2.5), "Cost")
    text = section(report(replace(snapshot, tokens=12_345, cache_share=0.87)), "Cost")
    kept = [e for e in snapshot.experiments if e.status == "keep" and not e.baseline]
    confirmed = [e for e in kept if e.rung in ("confirmed", "champion")]
    assert "--gpu-usd-per-hour" in text
    assert "$10.00 (12,345 tokens, 87% of the prompts from the cache)" in text
    each, sure = (f"${10 / len(steps):,.2f}" for steps in (kept, confirmed))
    assert f"{each} for each kept step, {sure} for each confirmed gain" in text


def test_each_agent_has_its_row(make_swarm, report):
    snapshot = make_swarm(3, ended=True)
    rows = section(report(snapshot), "Agents").strip().splitlines()
    assert len(rows) == 2 + 3
    runs = sum(run.agent == "gpu1" for run in snapshot.runs)
    assert (
        f"| {snapshot.agents[1].keep} | {snapshot.agents[1].discard} | {snapshot.agents[1].crash} | {runs} |" in rows[3]
    )


def test_foreign_text_makes_no_markdown(make_swarm, make_experiment, report):
    evil = "<script>x</script> | [a](http://b) ![c](d) `e`\n# heading\x1b[2J"
    view = make_experiment(1, status="crash", value=None, gain=None, title=evil, category=evil, reason=evil)
    text = report(replace(make_swarm(1, now=0.5), experiments=(view,), notes=((0.0, evil),)))
    assert "<script>" not in text.replace("\\<script", "")
    assert "\n# heading" not in text
    assert "\x1b" not in text
    assert "](http" not in text.replace("\\](http", "")


def test_the_report_says_why_the_swarm_ended(make_swarm, tmp_path):
    snapshot = replace(make_swarm(2), status="finished", ended=1e9)
    end = Event(1e9, "swarm", "finished", "nothing is left to try: every knob was tried")
    report, _ = write_report(replace(snapshot, events=(*snapshot.events, end)), tmp_path, None, {})
    assert "| why it ended | nothing is left to try: every knob was tried |" in report.read_text()
    report, _ = write_report(replace(snapshot, status="running"), tmp_path, None, {})
    assert "why it ended" not in report.read_text()


def test_the_hidden_split_is_a_second_opinion_and_its_absence_is_said(make_swarm, report):
    snapshot = replace(make_swarm(4, ended=True), hidden_split=True)
    leader = leading(snapshot)
    assert leader and leader.gain
    opinions = [
        second_opinion(replace(snapshot, hidden=Headline(1.9, 1.89, 1.91, gain, 0.002, 0.006, 8, 8)))
        for gain in (leader.gain, leader.gain / 3)
    ]
    assert all(opinion.startswith("On a hidden split, which decided nothing, its gain is") for opinion in opinions)
    assert ["less than half" in opinion for opinion in opinions] == [False, True]
    assert "Nothing was measured on the hidden split yet" in second_opinion(snapshot)
    assert "this project measures no hidden split" in report(replace(snapshot, hidden_split=False))


def test_the_metric_has_its_article(make_swarm):
    assert "has a val_bpb of" in headline(make_swarm(2))
    assert "has an accuracy of" in headline(replace(make_swarm(2), metric="accuracy"))
