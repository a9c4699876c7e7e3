"""Numbers as people write them; foreign text made harmless."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from swarm.wording.formatting import (
    Scale,
    clean,
    clean_block,
    duration,
    machine_hours,
    shorten,
    shorten_start,
    sparkline,
    to_ascii,
)
from swarm.wording.markdown import code, escape, fenced


@given(st.text())
def test_clean_text_is_one_harmless_line(text):
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert clean(cleaned) == cleaned
    assert "\x1b" not in clean_block(text)
    assert "\n" not in escape(text)


@given(st.text(), st.integers(0, 40))
def test_shortened_text_fits(text, cells):
    text = clean(text)
    assert cell_len(shorten(text, cells)) <= cells
    assert cell_len(shorten_start(text, cells)) <= cells
    assert cell_len(to_ascii(text)) == cell_len(text)


def test_paths_keep_their_end():
    assert shorten_start("/home/me/repository/.swarm/apr5", 16) == "…ory/.swarm/apr5"
    assert shorten("raise the embedding", 10) == "raise the…"


def test_escape_sequences_leave_nothing_behind():
    assert clean("a\x1b[31mb\x1b[0m \x1b]8;;http://x\x07c\x1b(B\x9b2J") == "ab c2J"
    assert clean_block("1\r2\r3\n\tx\x07") == "3\n    x"


def test_a_gain_is_the_metrics_own_change():
    lower, higher = Scale(), Scale("accuracy", "higher")
    assert lower.change(0.0047) == "−0.0047"
    assert higher.change(0.0047) == "+0.0047"
    assert lower.change(-0.0047) == "+0.0047"
    assert lower.change(0.00001) == "±0.0000"
    assert lower.interval(0.0047, 0.0038, 0.0056) == "−0.0047 ± 0.0009"
    assert lower.interval(0.0047, None, None) == "−0.0047 ± –"
    assert [f(x) for f in (lower.value, lower.change) for x in (None, math.nan, math.inf)] == ["–"] * 6


@pytest.mark.parametrize(
    ("baseline", "written"),
    [(0.9979, "0.9979"), (3.41, "3.4100"), (93.2, "93.200"), (0.00123, "0.0012300"), (5e7, "50000000")],
)
def test_decimals_follow_the_magnitude(make_swarm, baseline, written):
    assert Scale.of(replace(make_swarm(1, now=1.0), baseline=baseline)).value(baseline) == written


def test_durations():
    written = [duration(s) for s in (0, 247, 3731, 90 * 3600, -5, None)]
    assert written == ["0:00", "4:07", "1:02:11", "3d 18:00", "0:00", "–"]


def test_sparklines_climb():
    assert sparkline([None, 0.0, 1.0, 2.0]) == " ▁▅█"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""


def test_hours_on_a_cpu_are_not_called_gpu_hours(make_swarm):
    snapshot = make_swarm(1, now=2.0)
    assert machine_hours(snapshot) == "2.0 GPU-h"
    slow = replace(snapshot, device="cpu: AMD EPYC", gpu_hours=0.04)
    assert machine_hours(slow) == "0.04 CPU-h"


def test_markdown_cannot_be_left():
    assert escape("a|b <i> [x](y) val_bpb _it_ 2**18") == r"a\|b \<i> \[x\](y) val_bpb \_it\_ 2\*\*18"
    assert code("a`b`") == "`a'b'`"
    assert fenced("x\n````\ny", "diff") == "`````diff\nx\n````\ny\n`````"
    assert fenced("1\n2\n3", "", most_lines=1) == "```\n1\n... 2 more lines\n```"
