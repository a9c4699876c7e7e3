"""The summary block, in every form that is in use."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.summary import number_of, parse_summary

UPSTREAM = """step 00953 (100.0%) | loss: 2.79 | dt: 310ms\rstep 00954 (100.0%) | loss: 2.78 | dt: 311ms
---
val_bpb:          0.997900
training_seconds: 300.1
peak_vram_mb:     45060.2
mfu_percent:      n/a
total_tokens_M:   499.6
num_steps:        953
dataset:          climbmix v2: the big one
"""

keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
values = st.one_of(
    st.none(), st.integers(-(10**12), 10**12), st.floats(allow_nan=False),
    st.from_regex(r"v[a-z:,;=]{0,9}( [a-z]{1,9}){0,3}", fullmatch=True),
)  # fmt: skip


def test_the_block_as_it_is_printed():
    assert parse_summary(UPSTREAM, "val_bpb") == {
        "val_bpb": 0.9979, "training_seconds": 300.1, "peak_vram_mb": 45060.2, "mfu_percent": None,
        "total_tokens_M": 499.6, "num_steps": 953, "dataset": "climbmix v2: the big one",
    }  # fmt: skip
    assert isinstance(parse_summary(UPSTREAM, "val_bpb")["num_steps"], int)


def test_the_last_block_counts_and_other_lines_do_not():
    text = "val_bpb: 9\n---\nval_bpb: 1\n---\r\nEval completed in 3 s\nval_bpb: 2\r\nnote:\nhttp://x\n"
    assert parse_summary(text, "val_bpb") == {"val_bpb": 2, "note": ""}


def test_without_a_block():
    assert parse_summary("", "val_bpb") == {} == parse_summary("FAIL\nloss: 3\n", "val_bpb")
    assert parse_summary("epoch: 3\nval_acc=0.8810\n", "val_acc") == {"val_acc": 0.881}
    assert parse_summary("val_bpb: 2\nthen\nval_bpb: 1.5", "val_bpb") == {"val_bpb": 1.5}
    assert parse_summary("METRIC val_bpb=0.99\nMETRIC steps = 12\n", "val_bpb") == {"val_bpb": 0.99, "steps": 12}


@given(st.dictionaries(keys, values), st.text(), st.integers(0, 20))
def test_what_was_printed_is_what_is_read(block, noise, padding):
    lines = [f"{key + ':':<{padding}} {'n/a' if value is None else value}" for key, value in block.items()]
    text = "\n".join([noise.replace("---", ""), "progress\r---", *lines, ""])
    assert parse_summary(text, "val_bpb") == block


@given(st.text())
def test_no_text_is_too_odd(text):
    for value in parse_summary("---\n" + text, "val_bpb").values():
        assert value is None or isinstance(value, (int, float, str))


def test_forms_of_other_harnesses():
    wrapped = "EXPERIMENT_STATUS: done\nEXPERIMENT_RESULT: exp-02 val_bpb=0.9912 memory_gb=44.2\n"
    assert parse_summary(wrapped, "val_bpb") == {"val_bpb": 0.9912}
    assert parse_summary("epoch 3 | best val_acc: 88.1% |\n", "val_acc") == {"val_acc": 88.1}
    assert parse_summary("\x1b[32mval_bpb: 0.99\x1b[0m\n", "val_bpb") == {"val_bpb": 0.99}
    assert parse_summary("step 1\rstep 2\rval_bpb: 0.99\r\n", "val_bpb") == {"val_bpb": 0.99}
    assert parse_summary("---\nval_bpb: 0.9979 bits\npeak_vram_mb: 45,060.2 MB\n", "val_bpb") == {
        "val_bpb": 0.9979, "peak_vram_mb": "45,060.2 MB",
    }  # fmt: skip
    both = "---\nsteps: 12\n---\nseconds: 3\nMETRIC val_bpb=0.98\n"
    assert parse_summary(both, "val_bpb") == {"seconds": 3, "val_bpb": 0.98}
    assert parse_summary("---\n# a rule\n---\nsaved to x\nThe end, val_loss = 1.5\n", "val_loss") == {"val_loss": 1.5}


def test_a_word_is_no_number():
    assert parse_summary("best_val_bpb: 0.5\nval_bpb_ema=0.4\n", "val_bpb") == {}
    assert parse_summary("val_bpb: 1.2\n---\nval_bpb: n/a\n", "val_bpb") == {"val_bpb": None}
    assert parse_summary("val_bpb: soon\n", "val_bpb") == {}
    assert math.isnan(parse_summary("val_bpb: nan\n", "val_bpb")["val_bpb"])


@pytest.mark.parametrize(
    ("text", "number"),
    [("45060.2 MB", 45060.2), ("88.1%", 88.1), ("1,234", 1234), ("1e-3", 1e-3), ("-inf", -math.inf), ("12", 12)]
    + [(text, None) for text in ("n/a", "", "-", "v2", "e5", ".", "1.2.3", "fast")],
)
def test_numbers_with_units(text, number):
    assert number_of(text) == number
