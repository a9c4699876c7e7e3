"""What a run's exit and last words mean: each kind of failure, from a process that really fails so."""

from __future__ import annotations

import os
import sys

import pytest

from swarm.codec import decode, encode
from swarm.records import Failure


@pytest.mark.parametrize(
    "trainer, failure, reason",
    [
        ("def f():\n    {}['missing']\nf()", Failure.CODE, "KeyError: 'missing'"),
        ("x = = 1", Failure.CODE, "SyntaxError: invalid syntax"),
        ("import sys; print('bye'); sys.exit(5)", Failure.CODE, "bye (exit code 5)"),
        ("import os; os.abort()", Failure.CODE, "no output (SIGABRT)"),
        ("import os; os.kill(os.getpid(), 9)", Failure.INFRASTRUCTURE, "killed (SIGKILL), nobody knows by whom"),
        ("raise RuntimeError('CUDA out of memory. Tried 20 GiB')", Failure.OOM, "RuntimeError: CUDA out of memory"),
        ("raise RuntimeError('MPS backend out of memory (9 GB)')", Failure.OOM, "RuntimeError: MPS backend"),
        ("print('out of memory, trying less')\nraise ValueError('no')", Failure.CODE, "ValueError: no"),
        ("print('loss: 9.1\\nloss: nan\\nFAIL'); raise SystemExit(1)", Failure.NAN, "the loss became nan"),
        ("print('loss: 9.1\\nFAIL'); raise SystemExit(1)", Failure.NAN, "FAIL"),
        ("print('step 3 loss: 250.5\\nFAIL'); raise SystemExit(1)", Failure.DIVERGED, "the loss rose to 250.5"),
        ("print('---\\nval_bpb: nan')", Failure.NAN, "val_bpb is nan"),
        ("print('---\\nval_bpb: n/a')", Failure.CODE, "no number for val_bpb: it has no value, in the newest"),
        ("raise RuntimeError('CUDA error: uncorrectable ECC error')", Failure.INFRASTRUCTURE, "RuntimeError: CUDA"),
        ("raise OSError(28, 'No space left on device')", Failure.INFRASTRUCTURE, "OSError: [Errno 28] No space"),
        ("open('prepare.py', 'a').write('#')", Failure.INVALID, "changed fixed files: prepare.py"),
        ("import os; os.remove('prepare.py')", Failure.INVALID, "changed fixed files: prepare.py"),
        ("import os; os.write(1, bytes(range(256)) * 9); raise ValueError('\\x1b[31mred\\x00')",
         Failure.CODE, "ValueError: red"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_told_apart(rig, trainer, failure, reason):
    run = rig.run(trainer)
    assert run.metrics is None and (run.failure, run.reason[: len(reason)]) == (failure, reason)
    assert all(char.isprintable() or char == "\n" for char in run.log_tail)
    assert "\n" not in run.reason and decode(encode(run)) == run


@pytest.mark.parametrize(
    "referee, failure, reason",
    [
        ("raise SystemExit(3)", Failure.INVALID, "the referee refused it"),
        ("print('looks ahead'); raise SystemExit(3)", Failure.INVALID, "looks ahead"),
        ("raise RuntimeError('HIP out of memory')", Failure.OOM, "the referee: RuntimeError: HIP out of memory"),
        ("1/0", Failure.CODE, "the referee: ZeroDivisionError: division by zero"),
        ("pass", Failure.CODE, "the referee wrote no number for val_bpb"),
        ("import os; open(os.environ['SWARM_RUN_DIR'] + '/referee.json', 'w').write('{\"val_bpb\": NaN}')",
         Failure.NAN, "val_bpb is nan"),
        ("import os; open(os.environ['SWARM_RUN_DIR'] + '/referee.json', 'w').write('{\"invalid\": \"cheats\"}')",
         Failure.INVALID, "cheats"),
    ],
)  # fmt: skip
def test_a_referee_without_a_number_is_a_crash(rig, referee, failure, reason):
    rig.referee = referee
    forged = 'import os; open(os.environ["SWARM_RUN_DIR"] + "/referee.json", "w").write(\'{"val_bpb": 0.1}\')\n'
    run = rig.run(forged + "print('---\\nval_bpb: 0.2')")
    assert run.metrics is None and (run.failure, run.reason) == (failure, reason)


def test_nothing_that_is_printed_takes_the_place_of_what_the_referee_says(rig):
    """Its figures say whether a model trained on while it was read: many names would push them out of the record."""
    says = {"val_bpb": 1.5, "reader_load": 16.0, "hint": 3, **{f"figure_{number}": number for number in range(30)}}
    rig.referee = f"import json, os; json.dump({says!r}, open(os.environ['SWARM_RUN_DIR'] + '/referee.json', 'w'))"
    run = rig.run(
        "print('---')\nfor n in ['reader_load', 'hint', *range(400)]: print(f'{n}: 0' if str(n) == n else f'n_{n}: 0')"
    )
    assert run.metrics and says.items() <= run.metrics.values.items() and "n_399" in run.metrics.values


def test_the_referee_is_not_asked_after_a_crash(rig, referee):
    rig.referee = referee
    run = rig.run("raise ValueError('no')")
    assert run.failure == Failure.CODE and not run.log.endswith("referee.log")
    assert not (rig.folder / "logs" / "t-gpu0-0001.1.1.referee.log").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
def test_a_number_that_a_full_disk_swallowed_is_no_fault_of_the_code(rig):
    """The guard cannot write another byte from then on, as on a full disk; the trainer does not notice."""
    run = rig.run("""
        import os, psutil, time
        psutil.Process(os.getppid()).rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
        print("---\\nval_bpb: 1", flush=True)
        time.sleep(0.5)
        psutil.Process(os.getppid()).rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        """)
    assert run.failure == Failure.INFRASTRUCTURE and "its log could not be written" in run.reason and run.own_word


# -- who says that the machine is to blame ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trainer",
    [
        "import os; os.kill(os.getpid(), 9)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP) if False else os._exit(137)",
        "raise RuntimeError('CUDA error: uncorrectable ECC error')",
        "print('GPU has fallen off the bus'); raise SystemExit(1)",
        "raise OSError(28, 'No space left on device')",
        "raise OSError(5, 'Input/output error')",
    ],
)
def test_what_a_run_does_to_itself_is_its_own_word(rig, trainer):
    run = rig.run(trainer)
    assert run.failure is Failure.INFRASTRUCTURE and run.own_word
    assert decode(encode(run)) == run


def test_a_full_disk_is_what_the_file_system_says(rig, monkeypatch):
    full = os.statvfs_result((4096, 4096, 10**9, 10, 10, 10**9, 10**9, 10**9, 0, 255))
    monkeypatch.setattr("swarm.execution.validity.blame.os.statvfs", lambda folder: full)
    run = rig.run("raise OSError(28, 'No space left on device')")
    assert run.failure is Failure.INFRASTRUCTURE and not run.own_word
    assert run.reason == "the disk is full: OSError: [Errno 28] No space left on device"


def test_that_it_stalled_is_heard_of_a_run_with_a_budget_alone(rig, referee):
    said = "open(__import__('os').environ['SWARM_RUN_DIR'] + '/model.pt', 'w').write('1')\nprint('---\\nstalled: true')"
    assert rig.run(f"{said}\nprint('val_bpb: 1')").metrics, "nobody counts what a foreign program calls its budget"
    rig.referee = referee
    run = rig.run(said, attempt=2)
    assert (run.failure, run.own_word) == (Failure.STALL, True), run.reason
