"""Runs whose time was up: what they were doing, what to raise, and a result that was there before they hung.

python -m pytest tests/execution/validity/test_overrun.py
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from swarm.codec import decode, encode
from swarm.execution.slot import UNTOUCHED, limits_for, timeout_from
from swarm.execution.validity.overrun import _mentions
from swarm.records import Failure, Purpose

WALL = 4.0  # seconds; the guard looks at the tree once in each

HANGS = """
import threading
threading.Thread(target=threading.Event().wait).start()  # no daemon: the interpreter waits for it for ever
"""
SPINS = """
while True:
    pass
"""


@pytest.fixture
def late(rig):
    rig.limits = replace(rig.limits, wall=WALL)
    return rig


@pytest.mark.parametrize(
    "summary",
    [
        "print('---\\nval_bpb: 1.25')",
        "print('final val_bpb=1.25')",
        "print('METRIC val_bpb=1.25')",
    ],
)
def test_a_result_counts_though_the_program_hangs_after_it(late, summary):
    run = late.run(f"print('step 1 loss: 3')\n{summary}\n{HANGS}")
    assert run.failure is None and run.metrics and run.metrics.value == 1.25, run.reason
    assert "hung until it was ended after" in run.reason and "its number counts" in run.reason
    assert decode(encode(run)) == run


def test_a_block_counts_though_the_program_is_busy_after_it(late):
    run = late.run(f"print('---\\nval_bpb: 1.25', flush=True)\n{SPINS}")
    assert run.metrics and run.metrics.value == 1.25


@pytest.mark.parametrize(
    "program",
    [
        f"print('val_bpb: 1.25', flush=True)\n{SPINS}",  # it may be the first of many
        f"print('epoch 1 val_bpb: 1.5')\nprint('epoch 2 val_bpb: 1.25', flush=True)\n{HANGS}",
        "import time\nprint('val_bpb: 1.25')\nfor k in range(99):\n    time.sleep(0.2); print(k, flush=True)",
        f"print('no number yet', flush=True)\n{HANGS}",
        f"print('---\\nval_bpb: nan', flush=True)\n{HANGS}",
    ],
    ids=["at work", "printed again and again", "still printing", "no result", "no number"],
)
def test_what_may_have_gone_on_has_no_result(late, program):
    run = late.run(program)
    assert run.metrics is None and run.failure is Failure.TIMEOUT, run
    assert 'timeout = "' in run.reason, "and it says what to raise"


WRITES = "import json, time\njson.dump({{'val_bpb': 1.25}}, open('out.json', 'w'))\n{}"
TALKS = "print('val_bpb: 9')\nwhile True:\n    time.sleep(0.2); print('waiting, val_bpb: 9', flush=True)"


@pytest.mark.parametrize(
    "after",
    [HANGS, "print('epoch 1 val_bpb: 3')\nprint('epoch 2 val_bpb: 2', flush=True)\n" + SPINS, "time.sleep(60)", TALKS],
    ids=["hangs", "spins", "sleeps", "talks"],
)
def test_a_result_that_was_written_counts_though_the_program_goes_on(late, after):
    late.project = replace(late.project, result="out.json")
    run = late.run(WRITES.format(after))
    assert run.failure is None and run.metrics and run.metrics.value == 1.25, run.reason


@pytest.mark.parametrize(
    "program",
    [
        f"print('---\\nval_bpb: 1.25', flush=True)\n{HANGS}",  # it is in the log, where nobody reads it
        "import json, time\nfor k in range(99):\n    json.dump({'val_bpb': k}, open('out.json', 'w')); time.sleep(0.2)",
        "import time\nopen('out.json', 'w').write('{')\ntime.sleep(60)",
    ],
    ids=["not written", "written again and again", "half written"],
)
def test_a_file_that_is_not_there_or_not_done_is_no_result(late, program):
    late.project = replace(late.project, result="out.json")
    run = late.run(program)
    assert run.metrics is None and run.failure is Failure.TIMEOUT, run


def test_a_hang_is_no_result_where_a_referee_measures(late, referee):
    late.referee = referee
    run = late.run(f"print('---\\nval_bpb: 1.25', flush=True)\n{HANGS}")
    assert run.failure is Failure.TIMEOUT


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (HANGS, "and had printed nothing"),
        (f"print('epoch 3 of 9', flush=True){SPINS}", "while training, with this as its last line"),
        (f"print('Evaluating 20/100', flush=True){SPINS}", "while evaluating, with this as its last line"),
        (f"print('hm', flush=True){SPINS}", "s before: 'hm'"),
        (
            "import os, time\nbeats = open(os.environ['SWARM_RUN_DIR'] + '/heartbeat.jsonl', 'a')\n"
            "for step in range(99):\n    beats.write('{\"step\": %d}\\n' % step); beats.flush(); time.sleep(0.5)",
            "while training (step ",
        ),
    ],
    ids=["silent", "training", "evaluating", "unknown", "heartbeats"],
)
def test_a_timeout_says_what_the_program_was_doing(late, program, said):
    run = late.run(program)
    assert run.failure is Failure.TIMEOUT and run.reason.startswith("it still ran after 4 s, "), run.reason
    assert said in run.reason and 'raise it: timeout = "' in run.reason


def test_cpu_time_that_runs_out_says_the_same(rig):
    rig.limits = replace(rig.limits, cpu=0.5)
    run = rig.run(f"print('Evaluating', flush=True){SPINS}")
    assert run.failure is Failure.TIMEOUT and "while evaluating" in run.reason and "timeout = " in run.reason


# -- how long a run may take ---------------------------------------------------------------------------------------


def test_what_the_untouched_code_took_decides():
    assert timeout_from(1200, 300) == 3660, "an evaluation of twenty minutes is left alone"
    assert timeout_from(3, 300) == 90, "a program of three seconds is not waited for ten minutes"
    assert timeout_from(310, 300) == 990
    assert timeout_from(60, 300) == 660
    for seconds in (0.0, 0.1, 1, 50, 299, 300, 301, 5000):
        assert timeout_from(seconds, 300) >= 3 * seconds + 60


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_timeout_alone_ends_a_training(device):
    limits = limits_for(300, device, None, 4000)
    assert (limits.wall, limits.cpu, limits.silence) == (4000, None, None)
    assert limits.check == 4000, "checks get no less than a run"
    ended = {"wall": 0.0, "cpu": 0.0, "silence": 0.0, "check": 0.0}
    assert replace(limits, **ended) == replace(limits_for(300, device), **ended)


def test_a_runner_learns_it_from_the_baseline(rig):
    rig.purpose = Purpose.BASELINE
    assert rig.run("print('val_bpb: 1')").metrics
    rig.purpose = Purpose.FIRST
    assert rig.run("print('val_bpb: 1')", attempt=2).metrics
    first, second = rig.timeouts
    assert first == UNTOUCHED and 60 < second <= timeout_from(20, 1.0)


def test_the_projects_word_holds_over_what_was_measured(rig, referee):
    rig.project = replace(rig.project, timeout=77.0)
    rig.run("print('val_bpb: 1')")
    rig.project = replace(rig.project, timeout=None)
    rig.referee = referee
    rig.run("", attempt=2)
    assert rig.timeouts == [77.0, None], "with a referee the budget gives the limits"


def test_a_line_of_many_names_takes_no_time() -> None:
    begun = time.process_time()
    assert _mentions("seconds", "seconds " * 32_000) == []
    assert _mentions("seconds", "a\nMETRIC seconds: 3, seconds 4\nseconds: x\n2 seconds") == [9]
    assert time.process_time() - begun < 5.0, "it was minutes"
