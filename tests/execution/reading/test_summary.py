"""The numbers in a program's output: in every form that programs print, and never one that nobody printed."""

from __future__ import annotations

import math
import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.execution.reading.summary import likest, read_printed

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


def value(text: str, name: str = "val_bpb") -> object:
    """What is read of the name: a number, or None; "fault" where its newest mention cannot be read."""
    printed = read_printed(text, [name])
    return "fault" if name in printed.faults else printed.values.get(name)


def test_the_block_as_it_is_printed():
    values = read_printed(UPSTREAM, ["val_bpb"]).values
    assert values | {"step": 0, "loss": 0, "dt": 0} == {
        "val_bpb": 0.9979, "training_seconds": 300.1, "peak_vram_mb": 45060.2, "mfu_percent": None,
        "total_tokens_M": 499.6, "num_steps": 953, "dataset": "climbmix v2: the big one", "step": 0, "loss": 0, "dt": 0,
    }  # fmt: skip
    assert isinstance(values["num_steps"], int) and values["loss"] == 2.78
    assert list(values).index("loss") < list(values).index("training_seconds"), "in order of appearance"


FORMS = (
    "val_bpb: 0.97",
    "val_bpb:0.97",
    "val_bpb :  0.97",
    "val_bpb=0.97",
    "val_bpb = 0.97",
    "val_bpb 0.97",
    "val_bpb\t0.97",
    "METRIC val_bpb=0.97",
    "EXPERIMENT_RESULT: exp-02 val_bpb=0.97 memory_gb=44.2",
    "(val_bpb: 0.97)",
    "[val_bpb: 0.97]",
    "[val_bpb] 0.97",
    "saved to out (step 300, val_bpb 0.97)",
    "step 300 | loss: 2.3 | val_bpb: 0.97 | dt: 310ms",
    "Epoch 3: 100%|█████| 10/10 [00:01<00:00, 9.2it/s, loss=0.5, val_bpb=0.97]",
    "val_bpb=0.97: 100%|██████████| 10/10 [00:01<00:00,  9.2it/s]",
    "10/10 - 3s - loss: 0.5 - val_bpb: 0.97 - 3s/epoch - 300ms/step",
    "step 1\rstep 2\rval_bpb: 0.97\r\n",
    "\x1b[32mval_bpb\x1b[0m: \x1b[1m0.97\x1b[0m",
    "**val_bpb**: 0.97",
    "**val_bpb:** 0.97",
    "- **val_bpb** = `0.97`",
    "`val_bpb`: 0.97",
    '"val_bpb": 0.97,',
    "'val_bpb': 0.97}",
    '{"step": 3, "val_bpb": 0.97, "lr": 0.1}',
    "{'loss': 2.3, 'val_bpb': 0.97, 'epoch': 3.0}",
    '2026-04-05 12:00:00,123 INFO root {"val_bpb": 0.97}',
    '{\n  "config": {"lr": 0.1},\n  "val_bpb": 0.97\n}',
    '{"metrics": {"val_bpb": 0.97}}',
    '{"msg": "{\\"val_bpb\\": 0.97}"}',
    "{'val_bpb': tensor(0.97, device='cuda:0')}",
    "val_bpb: tensor([0.97])",
    "val_bpb: np.float64(0.97)",
    "val_bpb: Array(0.97, dtype=float32)",
    "val_bpb: Decimal('0.97')",
    "val_bpb: Some(0.97)",
    "val_bpb: <tf.Tensor: shape=(), dtype=float32, numpy=0.97>",
    "('val_bpb', 0.97)",
    "val_bpb: 0.97+-0.01",
    "val_bpb: 0.97 ± 0.01",
    "val_bpb: 0.97 (std 0.01)",
    "val_bpb: 0.97 [0.96, 0.98]",
    "The final val_bpb is 0.97.",
    "Done. val_bpb: 0.97!",
    "val_bpb -> 0.97",
    "val_bpb → 0.97",
    "val_bpb ......... 0.97",
    "val_bpb: 0.97 bits",
    "val_bpb (lower is better): 0.97",
    "val_bpb [bits/byte] = 0.97",
    "VAL_BPB: 0.97",
    "Val BPB: 0.97",
    "val-bpb: 0.97",
    'val_bpb: "0.97"',
    "val_bpb: +0.97",
    "val_bpb: 9.7e-01",
    "val_bpb: .97",
    "val_bpb：0.97",
    "val_bpb:\n    0.97\n",
    "| val_bpb | 0.97 |",
    "│ val_bpb │ 0.97 │",
    "|task|none|0|val_bpb|↓|0.97|±|0.005|",
    "| step | val_bpb |\n|------|---------|\n| 1 | 0.99 |\n| 2 | 0.97 |\n",
    "┃ step ┃ val_bpb ┃\n┡━━━━━━╇━━━━━━━━━┩\n│ 1    │ 0.97    │\n└──────┴─────────┘\n",
    "epoch  train_loss  val_bpb   time\n0      0.4952      0.9999    00:03\n1      0.3952      0.97      00:03\n",
    "   epoch  val_bpb   acc\n0      1     0.99  0.80\n1      2     0.97  0.81\n",
    "step,loss,val_bpb\n1,2.5,0.99\nsaved a checkpoint\n2,2.4,0.97\n",
    "step\tval_bpb\n1\t0.99\n2\t0.97\n",
    "val_bpb: 0.97</td>",
    "level=info msg=done val_bpb=0.97 steps=3",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_and_the_newest_counts(form):
    assert len(FORMS) >= 60
    assert value(form) == 0.97
    assert value(f"val_bpb: 3.5\nsomething else\n{form}") == 0.97
    assert value(f"{form}\nsomething else\nval_bpb: 3.5") == 3.5


@pytest.mark.parametrize(
    ("printed", "number"),
    [("88.1%", 88.1), ("88.1 %", 88.1), ("45060.2 MB", 45060.2), ("12ms", 12), ("1,234.5", 1234.5), ("1_234", 1234),
     ("1,234,567", 1234567), ("1'234.5", 1234.5), ("-0.5", -0.5), ("−0.5", -0.5), ("$12.50", 12.5), ("1.8x", 1.8),
     ("5.", 5), ("1" + "0" * 30, 1e30), ("inf", math.inf), ("-Infinity", -math.inf), ("1e999", math.inf)],
)  # fmt: skip
def test_numbers_with_units_and_groups(printed, number):
    assert value(f"score: {printed}\n", "score") == number


@pytest.mark.parametrize(
    "printed",
    ["0,9979", "1,234", "1.234,56", "1 234", "0.5 0.6", "(0.5, 0.6 3", "[0.5, 0.6]", "(0.5, 0.6)", "3/10", "3 of 10",
     "0.9 -> 0.8", "0.5-0.7", "12k", "1.2 M", "1:23", "3 min 20 s", "1.2.3", "0x1F", "12abc", "2026-04-05", "soon", "",
     "n/a", "None", "see below", "true", "0.5?", "1" + "0" * 400, "٣.٥", "{", "tensor(nan, 3)"],
)  # fmt: skip
def test_a_newest_mention_that_cannot_be_read_is_a_fault_and_no_older_one_counts(printed):
    name = "score"
    result = read_printed(f"score: 1\n---\nscore: {printed}\nthe end\n", [name])
    assert name in result.faults and not isinstance(result.values[name], (int, float))
    assert "the newest line that names it: score:" in result.faults[name]


def test_nan_is_a_number_for_the_caller():
    number = value("val_bpb: 1\nval_bpb: NaN\n")
    assert isinstance(number, float) and math.isnan(number)


@pytest.mark.parametrize(
    "text",
    ["improving val_bpb next", "the val_bpb 5 times lower", "val_bpb >= 1", "val_bpb == 1", "val_bpb, 3 seeds",
     "best_val_bpb: 0.5", "val_bpb_ema=0.4", "best val_bpb: 0.5", "[train] val_bpb: 0.5", "Train: val_bpb 0.5",
     "train/val_bpb: 0.5", "x.val_bpb: 0.5", "val_bpb/std: 0.5", "val_bpb@300: 0.5", "val_bpb (best): 0.5",
     "val_bpb ema: 0.5", "val_bpb improved by 0.5", "delta val_bpb 0.5", "val_bpb2: 0.5", "--val_bpb 0.5",
     '{"train": {"val_bpb": 0.5}}', "lower val_bpb\n0.5", "out/val_bpb=0.5.ckpt"],
)  # fmt: skip
def test_prose_and_lookalikes_are_no_mention(text):
    assert value(text) is None
    assert value(f"val_bpb: 0.97\n{text}\n") == 0.97


def test_a_word_before_a_plain_name_makes_another_quantity_of_it():
    line = "policy loss: 3 | loss: 5 | aux loss: 1"
    assert value(line, "loss") == 5 and value(line, "aux_loss") == 1 and value(line, "policy loss") == 3
    assert value("step 0: train loss 4.28, val loss 4.27", "val_loss") == 4.27
    assert value("Fold 5 acc: 0.8\nMean acc: 0.9 ± 0.01", "acc") == 0.9


def test_dotted_names_follow_the_nesting():
    text = '{"train": {"acc": 0.99}, "eval": {"acc": 0.91, "f1": {"macro": 0.8}}}'
    assert value(text, "eval.acc") == 0.91 and value(text, "train.acc") == 0.99
    assert value(text, "eval.f1.macro") == 0.8 and value(text, "acc") is None
    assert value('{"a": {"acc": 1}, "b": {"acc": 2}}', "acc") == "fault", "which one is not guessed"
    assert value('{"a": {"acc": 1}, "acc": 2}', "acc") == 2
    pretty = '{\n  "eval": {\n    "acc": 0.91\n  },\n  "train": {\n    "acc": 0.99\n  }\n}\ndone\n'
    assert value(pretty, "eval.acc") == 0.91
    long = f'{{"{"a" * 5_000}": {{"eval": {{"acc": 0.9}}, "best": {{"acc": 1}}}}}}'
    assert value(long, "eval.acc") == 0.9 == value(f'{{"acc": 0.9, "a": {long}, "b": {long}}}', "acc")
    assert value("eval.acc: 0.9", "eval.acc") == 0.9 and value('{"eval/acc": 0.9}', "eval/acc") == 0.9


def test_a_table_with_one_row_for_each_of_several_things_is_not_guessed():
    report = """              precision    recall  f1-score   support

           0       0.90      0.92      0.91        50
           1       0.91      0.88      0.89        50

    accuracy                           0.90       100
   macro avg       0.90      0.90      0.90       100
"""
    assert value(report, "f1-score") == "fault" == value(report, "accuracy")
    assert value("task   acc\nmath   0.5\nbio    0.7\n", "acc") == "fault"


TABLE = "method   bits    c_u\n-----------------------\nours     1.00    {}\n"
WORDS = st.sampled_from(
    ["one", "memoriser", "stores", "bits", "but", "all", "waste", "so", "dead", "(same", "info)", "-"]
)


@pytest.mark.parametrize(
    "sentence",
    [
        "4. Noise memoriser stores 1 bit but c_u = 0 - all waste",
        "1. Both rule learner and lookup table have c_u = 1 bit (same useful info)",
        "if c_u = 0, nothing was learned",
        "The agent learns nothing at all when c_u is 0 in every run",
    ],
)
def test_a_sentence_does_not_replace_the_table_above_it(sentence):
    assert value(TABLE.format("0.75") + f"\nKEY OBSERVATIONS:\n{sentence}\n", "c_u") == 0.75


@given(
    st.lists(WORDS, min_size=3, max_size=6).filter(lambda words: sum(word.isalpha() for word in words) >= 3),
    st.lists(WORDS, min_size=2, max_size=6).filter(lambda words: sum(word.isalpha() for word in words) >= 2),
    st.integers(0, 99),
)
def test_no_sentence_does(before, after, number):
    sentence = f"{' '.join(before)} c_u = {number} {' '.join(after)}"
    assert value(TABLE.format("0.75") + f"{sentence}\n", "c_u") == 0.75


@pytest.mark.parametrize(
    "line",
    [
        "epoch 3 done in 4s with c_u = 0.8",
        "c_u = 0.8 - new best!",
        "step: 3 - loss: 0.5 - c_u: 0.8 - lr: 0.1",
        "c_u: 0.8",
        "[final result of all runs] c_u=0.8 (mean of five)",
    ],
)
def test_what_is_printed_below_a_table_is_newer(line):
    assert value(TABLE.format("0.75") + f"{line}\n", "c_u") == 0.8


@given(
    st.sampled_from(["none", "None", "NULL", "nil", "nan", "NaN", "inf", "n/a", "true", "and", "of", "the", "with"]),
    st.sampled_from(["", "val_bpb ", "val_bpb: ", "loss = ", "a "]),
    st.integers(0, 999),
)
def test_a_value_and_a_word_that_joins_name_nothing(word, before, number):
    names = {name.lower().split()[-1] for name in read_printed(f"{before}{word} {number}\n", ["val_bpb"]).values}
    assert word.lower() not in names


def test_what_is_like_the_name_is_found():
    names = ["val_bpc", "valBpb", "step", "Best val_bpb", "lr"]
    assert set(likest("val_bpb", names)) == {"val_bpc", "valBpb", "Best val_bpb"} and likest("zzz", names) == []


GARBAGE = st.text(st.sampled_from("val_bpb:=0.9,9 |-+\n\"'{}[]()eE%kM/abs\t\r\x1b×±→"), max_size=60)


@given(st.one_of(GARBAGE, st.text()), st.sampled_from(["val_bpb", "a", "", ".", "a.b", "val bpb", "f1 (%)"]))
@example("val_bpb: 0", "val_bpb")
def test_no_garbage_yields_a_number(text, name):
    """A number that is read stands there, whole, behind a name that stands there."""
    number = value(text, name)
    if isinstance(number, (int, float)) and math.isfinite(number):
        digits = re.sub(r"[,_'’]", "", text.lower().replace("−", "-"))
        assert any(float(found) == number for found in re.findall(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", digits))


LINES = st.sampled_from(
    ["loss: {}", "step {} | val loss {} | acc 0.{}", "best f1={}", "Final test score: {}", "x is {}"]
)


@given(st.lists(st.tuples(LINES, st.integers(0, 999)), max_size=8))
def test_every_name_that_is_listed_can_be_asked_for(lines):
    text = "\n".join(form.format(number, number, number) for form, number in lines)
    for name, listed in read_printed(text, []).values.items():
        assert value(text, name) == listed


@pytest.mark.parametrize(
    "text",
    [
        '{"acc": {\n' * 30_000, ' {"train": {"acc": \n' * 20_000, '{"a":' * 50_000 + '{"acc": 1', "[" * 100_000,
        "acc" + " " * 300_000, "a" * 300_000, "a." * 150_000, "aa " * 100_000, "acc: " + "1" * 300_000,
        "acc: " + "1," * 150_000, "\x1b]" * 150_000, '"\\"' * 100_000 + '"acc": 1', "acc:" * 70_000,
        "improving acc next\n" * 15_000, "step,loss,acc\n" * 20_000, '{"train": {"acc": 1}} ' * 14_000,
        "acc  x\n" * 40_000, "(" * 300_000 + "acc" + ")" * 300_000,
        '{"acc": 1, ' + '"a":{"acc":1},' * 14_000 + '"z":1}', '{"acc": 1, "runs": [' + '{"acc": 1}, ' * 14_000 + "]}",
        '{"eval": {"acc": 1}, ' + '"x": {"eval": {"acc": 1}}, ' * 8_000 + '"z": 1}',
        '{"eval.acc": 1, ' + '"a": {"eval.acc": 1}, ' * 9_000 + '"z": 1}',
        '{"acc": 1,\n' + ' "a": {"acc": 1},\n' * 12_000 + "}\n",
        '{"a": {"acc": 1}, "b": {"acc": 1}}\n' * 7_000 + '{"best": {' + '"a":{"acc":1},' * 14_000 + "}}",
        '{"' + "a" * 100_000 + '": {"acc": 1, ' + '"b":{"acc":1},' * 8_000 + "}}",
        '{"b":' * 30 + '{"acc": 1, ' + '"b":{"acc":1},' * 14_000 + "}" * 31, '{"x": ' * 40_000 + '"acc"' + "}" * 40_000,
    ],
    ids=range(27),
)  # fmt: skip
def test_time_grows_no_faster_than_the_text(text):
    """Where it grew with the square, each of these would take minutes."""
    read_printed(text, ["acc", "eval.acc"])


@pytest.mark.parametrize("key", ['"acc": 1, ', '"b": {"acc": 1}, '])
def test_so_does_memory(key):
    """A path is kept for each key: with all of a long one above it, this would take a gigabyte."""
    text = '{"' + "a" * 60_000 + '": {' + key * 9_000 + "}}"
    tracemalloc.start()
    try:
        read_printed(text, ["acc"])
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
