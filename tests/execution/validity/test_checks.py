"""The project's checks as runs of their own: real commands that pass, fail, hang and meddle.

python -m pytest tests/execution/validity/test_checks.py
"""

from __future__ import annotations

import asyncio
import shlex
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.codec import decode, encode
from swarm.execution.sandbox import sandbox
from swarm.records import Failure, Purpose, Run

PASSES = "echo fine"


def check(rig, *checks: str, train: str = "x = 1\n") -> Run:
    rig.project = replace(rig.project, checks=checks)
    rig.purpose = Purpose.CHECK
    return rig.run(train)


def test_checks_that_pass_have_neither_a_number_nor_a_failure(rig):
    run = check(rig, PASSES, "test -f train.py && python3 -c 'import train'")
    assert (run.metrics, run.failure, run.reason) == (None, None, ""), run
    assert decode(encode(run)) == run
    assert run.seconds > 0 and run.training_seconds == 0


def test_the_exit_status_decides_and_the_last_lines_are_told(rig):
    run = check(rig, PASSES, "echo one; echo; echo two; echo three; echo 4 failed in 0.1s >&2; exit 3", "touch never")
    assert run.failure is Failure.CHECKS and run.metrics is None
    assert run.reason == (
        "guard: echo one; echo; echo two; echo three; echo 4 failed in 0.1s >&2; exit 3 failed (exit 3):"
        " two | three | 4 failed in 0.1s"
    )
    assert "4 failed in 0.1s" in run.log_tail and run.log.endswith(".check2.log")
    assert not (rig.folder / "run" / "never").exists(), "after the first that fails there are no more"


def test_what_the_output_says_decides_nothing(rig):
    assert check(rig, "echo Traceback; echo FAILED; echo val_bpb: 1").failure is None
    run = check(rig, "echo No space left on device; exit 1")
    assert run.failure is Failure.CHECKS, "the text of a test is no fault of the machine"


def test_they_see_the_edit_the_repository_and_what_a_run_sees(rig):
    text = 'cat train.py prepare.py; echo $SWARM_RUN_DIR; test -w . && test "$CUDA_VISIBLE_DEVICES" = 3'
    run = check(rig, text, train="print('edited')\n")
    assert run.failure is None, run.reason
    assert "print('edited')" in run.log_tail and "FIXED = 1" in run.log_tail and "/runs/" in run.log_tail


def test_a_real_pytest_that_fails(rig):
    run = check(rig, "{python} -m pytest -q -p no:cacheprovider test_train.py", train="def f():\n    return 1\n")
    assert run.failure is Failure.CHECKS and "(exit 4)" in run.reason and "test_train.py" in run.reason


def test_a_command_that_is_not_there_says_how_to_name_this_python(rig):
    run = check(rig, "no-such-command-at-all")
    assert run.failure is Failure.CHECKS and "(exit 127; {python} in a check stands for this Python)" in run.reason


def test_a_check_that_hangs_is_ended(rig):
    rig.limits = replace(rig.limits, check=1.0, wall=0.1)
    run = check(rig, "echo waiting; sleep 60")
    assert run.failure is Failure.CHECKS and run.reason == "guard: echo waiting; sleep 60 still ran after 1 s: waiting"


def test_a_check_that_changes_a_fixed_file_or_the_edit_fails(rig):
    for path in ("prepare.py", "train.py"):
        run = check(rig, f"echo '#' >> {path}")
        assert run.failure is Failure.CHECKS and run.reason == f"guard: the checks changed fixed files: {path}"


def test_checks_that_are_stopped_are_made_again(rig):
    rig.project = replace(rig.project, checks=("echo up; sleep 60",))
    rig.purpose = Purpose.CHECK
    runner = rig.runner()

    async def stopped() -> Run:
        running = asyncio.ensure_future(rig.start(runner, "x = 1\n"))
        log = rig.folder / "logs" / "t-gpu0-0001.1.1.check1.log"
        await asyncio.to_thread(rig.until, lambda: log.exists() and b"up" in log.read_bytes())
        await runner.stop()
        return await running

    run = asyncio.run(stopped())
    assert run.failure is Failure.INTERRUPTED and not run.failure.blames_the_idea


def test_checks_that_nobody_acknowledged_are_found_again(rig):
    run = check(rig, "exit 1")
    again = rig.runner().leftovers()
    assert [(found.run, found.failure, found.reason) for found in again] == [(run.run, Failure.CHECKS, run.reason)]


@pytest.mark.skipif(bool(sandbox.missing()), reason="no sandbox here")
def test_they_are_in_the_sandbox_of_the_run(rig, tmp_path):
    outside = tmp_path / "outside"
    rig.sandboxed = True
    run = check(rig, f"touch {shlex.quote(str(outside))}")
    assert run.failure is Failure.CHECKS and run.sandboxed and not outside.exists()
    assert check(rig, "touch inside && test -f inside").failure is None


def test_what_the_copy_lacks_is_told_with_its_key(rig, tmp_path):
    rig.checkout = tmp_path / "checkout"
    (rig.checkout / "golden").mkdir(parents=True)
    (rig.checkout / "golden" / "out.txt").write_text("1")
    text = "cat golden/out.txt"
    run = check(rig, text)
    assert run.failure is Failure.CHECKS and 'include = ["golden"]' in run.reason, run.reason
    rig.project = replace(rig.project, include=("golden",))
    assert check(rig, text).failure is None
    assert check(rig, "{python} -c 'print(open(\"{repo}/golden/out.txt\").read())'").log_tail == "1"
    run = check(rig, "echo 2 > golden/out.txt")
    assert run.failure is Failure.CHECKS and run.reason.startswith("guard: golden/out.txt was changed")


@pytest.mark.skipif(bool(sandbox.missing()), reason="no sandbox here")
def test_a_path_of_the_checkout_in_a_check_is_open_to_it(rig, tmp_path):
    rig.checkout = tmp_path / "checkout"
    (rig.checkout / "tools").mkdir(parents=True)
    (rig.checkout / "tools" / "check.sh").write_text("echo checked")
    rig.sandboxed = True
    run = check(rig, "sh '{repo}/tools/check.sh'")
    assert run.failure is None and run.log_tail == "checked", run.reason


def test_nothing_is_trained_and_no_referee_measures(rig, referee):
    rig.referee = referee
    run = check(rig, PASSES, train="raise SystemExit('trained')\n")
    assert run.failure is None, run.reason
    assert threading.active_count() < 50 and not Path(rig.folder, "runs", "t-gpu0-0001.1.1", "referee.json").exists()
