"""Runs, from a fresh workspace to a Run: real processes, real guard."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.codec import decode, encode
from swarm.execution import runner as runner_module
from swarm.execution.machine import gpu, process_table
from swarm.execution.runner import Slot, limits_for
from swarm.execution.slot import COLD, SAVING, Overhead
from swarm.execution.spec import State
from swarm.records import Check, Failure, Measure, Purpose, Source

TRAIN = """
import json, os, pathlib, time
folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
with open(folder / "heartbeat.jsonl", "a") as beats:
    for step in range(100):
        beat = {"step": step, "loss": 5 - step / 100, "tokens": step * 10, "seconds": step / 50}
        beats.write(json.dumps(beat) + "\\n")
time.sleep(0.7)
(folder / "model.pt").write_text("1.25")
print("---\\nval_bpb: n/a\\npeak_vram_mb: 12.5\\nnum_steps: 100\\nmfu_percent: nan")
"""


def test_the_referee_measures(rig, referee, awaits):
    rig.referee = referee
    rig.awaited = lambda progress: progress.step == 99
    before = time.time()
    run = rig.run(TRAIN + awaits)
    assert run.failure is None and run.metrics
    assert (run.metrics.value, run.metrics.audited, run.metrics.peak_vram_mb) == (1.25, True, 12.5)
    phases = {name: run.metrics.values[name] for name in ("seconds_before", "seconds_within", "seconds_after")}
    told = {"val_bpb": 1.25, "peak_vram_mb": 12.5, "num_steps": 100, "mfu_percent": None}
    assert run.metrics.values == told | phases | {"seconds_of": "wall clock", "compiled": 0}
    assert sum(map(float, phases.values())) == pytest.approx(run.training_seconds, abs=0.1)
    assert 0.7 < run.training_seconds < run.seconds
    assert before <= run.started < time.time() - run.seconds + 1
    assert run.trace == tuple(5 - step / 100 for step in range(0, 100, 2))
    assert "num_steps: 100" in Path(run.log).read_text()
    assert {(seen.phase, seen.tokens) for seen in rig.seen if seen.step == 99} >= {("training", 990)}
    assert decode(encode(run)) == run


WAITING = """
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
(folder / "warm").touch()
assert sys.stdin.readline() == "go\\n"
result = {"val_bpb": 1.5, "trained": (folder / "model.pt").exists(), "there": pathlib.Path.cwd().name}
(folder / "referee.json").write_text(json.dumps(result))
"""
SAVES_WHEN_IT_IS_WARM = """
folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
while not (folder / "warm").exists():
    time.sleep(0.02)
(folder / "model.pt").touch()
sys.exit()
"""


def test_a_referee_that_waits_is_warm_when_its_turn_comes(rig, stubborn):
    rig.referee, rig.project = WAITING, replace(rig.project, referee_waits=True)
    run = rig.run(stubborn.replace('print("up", flush=True)', SAVES_WHEN_IT_IS_WARM))
    assert run.metrics and run.metrics.value == 1.5, "a training that waits for the referee would never have ended"
    assert run.metrics.values["trained"], "it started to measure before the training had ended"
    assert run.metrics.values["there"] == "referee", "it works where the training never was"
    assert not any(map(process_table.birth, rig.pids())), "what the training left was ended before it"


def test_a_referee_that_waits_goes_with_a_training_that_failed(rig):
    rig.referee, rig.project = WAITING, replace(rig.project, referee_waits=True)
    started = time.monotonic()
    run = rig.run("import time; time.sleep(0.5); 1 / 0")
    assert run.failure == Failure.CODE and "ZeroDivisionError" in run.reason
    assert time.monotonic() - started < 100
    assert not Path(run.log.replace(".log", ".referee.log")).read_text()


def test_a_machine_that_cannot_measure_is_no_fault_of_the_candidate(rig):
    rig.referee = "print('referee.py: this machine cannot measure now: OSError: no memory'); raise SystemExit(4)"
    run = rig.run(TRAIN)
    assert run.failure == Failure.INFRASTRUCTURE and "this machine cannot measure now" in run.reason


def test_a_training_that_changes_itself_or_the_referees_folder_is_invalid(rig, referee):
    rig.referee = referee
    for path in ("train.py", "../referee/prepare.py", "../referee/train.py"):
        run = rig.run(TRAIN + f"\nopen({path!r}, 'a').write('\\n')")
        assert run.failure == Failure.INVALID and run.reason == f"changed fixed files: {path}"


def used(monkeypatch: pytest.MonkeyPatch, *gigabytes: float) -> list[float]:
    """A GPU, of which there is none here, that holds so much at every look, and in the end the last; what was seen."""
    left, seen = list(gigabytes), []

    def look(uuid: str) -> gpu.Gpu:
        seen.append(left.pop(0) if len(left) > 1 else left[0])
        return gpu.Gpu(0, uuid, "NVIDIA H200", 141.0, seen[-1], holders=((4711, "python"),))

    monkeypatch.setattr(gpu, "load", look)
    monkeypatch.setattr(gpu, "driver", lambda: None)
    monkeypatch.setattr(runner_module, "_LOOK", 0.05)
    return seen


def test_a_run_begins_when_the_memory_of_its_gpu_is_free_again(rig, referee, monkeypatch):
    rig.referee, rig.slot = referee, replace(rig.slot, device="cuda", lock="GPU-x")
    seen = used(monkeypatch, 2.0, 90.0, 90.0, 3.0)  # others hold 2 GB; the run before it needs a moment to let go
    runner = rig.runner()
    first = asyncio.run(rig.start(runner, TRAIN))
    second = asyncio.run(rig.start(runner, TRAIN, attempt=2))
    assert first.metrics and second.metrics
    assert seen == [2.0, 90.0, 90.0, 3.0]


def test_a_gpu_that_stays_full_is_a_fault_of_the_machine(rig, referee, monkeypatch):
    rig.referee, rig.slot = referee, replace(rig.slot, device="cuda", lock="GPU-x")
    used(monkeypatch, 2.0, 90.0)
    monkeypatch.setattr(runner_module, "FREED", 0.3)
    runner = rig.runner()
    asyncio.run(rig.start(runner, TRAIN))
    run = asyncio.run(rig.start(runner, TRAIN, attempt=2))
    assert (run.failure, run.reason) == (
        Failure.INFRASTRUCTURE,
        "90.0 of the 141 GB of NVIDIA H200 are in use, by python (pid 4711)",
    )


@pytest.mark.parametrize(
    ("beats_at", "trains", "slack", "expected"),
    [
        (0.0, 0.5, 10.0, ""),
        (0.0, 2.6, 1.0, "clock: it trained for "),
        (0.0, 2.6, 10.0, ""),
        (2.5, 0.0, 1.0, "clock: "),
        (None, 2.5, 1.0, "clock: "),
    ],
)
def test_time_is_measured_from_outside(rig, referee, beats_at, trains, slack, expected):
    """A budget of one second, and a start of one: whatever the training's own clock says."""
    rig.referee, rig.limits = referee, replace(rig.limits, start=1.0, slack=slack)
    run = rig.run(f"""
        import os, pathlib, time
        folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
        if {beats_at} is not None:
            time.sleep({beats_at} or 0)
            (folder / "heartbeat.jsonl").write_text('{{"step": 1, "loss": 5, "seconds": 0.1}}\\n')
        time.sleep({trains})
        (folder / "model.pt").write_text("1.25")
        print("---\\ntraining_seconds: 0.5")
        """)
    assert bool(run.metrics) == (not expected), run.reason
    assert run.reason.startswith(expected) and run.failure == (Failure.INVALID if expected else None)
    assert run.check is (Check.CLOCK if expected else None), "what found it is in a code, not in the wording"
    assert decode(encode(run)) == run


def test_a_machine_that_stalls_is_no_cheat(rig, referee):
    rig.referee, rig.limits = referee, replace(rig.limits, slack=0.1)
    run = rig.run(TRAIN + "\nprint('stalled: true')\ntime.sleep(1)")
    assert (run.metrics, run.failure, run.own_word) == (None, Failure.STALL, True), run.reason


@pytest.mark.parametrize(
    ("counted", "elapsed", "expected", "check"),
    [
        ("num_steps: 9", 1.0, "", None),
        ("num_steps: 4", 1.0, "tokens: it counted 9 steps while it trained, and 4 ", None),
        ("num_steps: 9", 9.0, "clock: 9.0 seconds after its start it had counted 1.0", Check.CLOCK),
    ],
)
def test_counts_that_contradict_each_other_are_invalid(rig, referee, counted, elapsed, expected, check):
    rig.referee = referee
    run = rig.run(f"""
        import json, os, pathlib
        folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
        beat = {{"step": 9, "loss": 5, "tokens": 900, "untimed": 1, "seconds": 1.0, "elapsed": {elapsed}}}
        (folder / "heartbeat.jsonl").write_text(json.dumps(beat) + "\\n")
        (folder / "model.pt").write_text("1.25")
        print("---\\n{counted}\\nloaded_tokens: 1000\\nloaded_batches: 10")
        """)
    assert bool(run.metrics) == (not expected), run.reason
    assert run.reason.startswith(expected) and run.failure == (Failure.INVALID if expected else None)
    assert run.check is check


def test_starts_are_compared_with_the_baselines(rig, referee):
    rig.referee, rig.purpose = referee, Purpose.BASELINE
    assert rig.run(TRAIN).metrics
    rig.purpose = Purpose.FIRST
    assert rig.run("import time; time.sleep(2)\n" + TRAIN, attempt=2).metrics
    rig.run(TRAIN, attempt=3)
    first, second, third = rig.known
    assert first is None and second == third and 0 < second.start < 200 and second.cold is None


def test_progress_tells_when_the_referee_measures(rig, referee, awaits):
    rig.referee = referee + awaits
    rig.awaited = lambda progress: progress.phase == "measuring"
    rig.run(TRAIN)
    assert [progress.phase for progress in rig.seen][-1] == "measuring"
    assert rig.seen[-1].elapsed > rig.seen[0].elapsed > 0


FORGING = (
    TRAIN
    + """
import json, os, pathlib
pathlib.Path(os.environ["SWARM_RUN_DIR"], "referee-test.json").write_text(json.dumps({"val_bpb": 0.1}))
"""
)


@pytest.mark.parametrize(
    ("purpose", "ending", "hidden"),
    [
        (Purpose.CLOSING, "", 1.5),
        (Purpose.CONFIRM, "", 1.5),
        (Purpose.REPLICATE, "", None),
        (Purpose.CLOSING, "\nraise SystemExit(3)", None),
        (Purpose.CLOSING, None, None),
    ],
    ids=["closing", "confirm", "what is selected", "refused", "broken"],
)
def test_the_hidden_split_is_reported_of_fresh_runs_and_judges_nothing(rig, referee, purpose, ending, hidden):
    rig.referee, rig.purpose = referee, purpose
    hidden_referee = referee.replace("referee.json", "referee-test.json").replace("read_text())", "read_text()) + 0.25")
    rig.hidden = "nonsense" if ending is None else hidden_referee + ending
    run = rig.run(textwrap.dedent(FORGING))
    assert run.metrics and run.metrics.audited, run.reason
    assert (run.metrics.value, run.metrics.hidden) == (1.25, hidden)
    assert "nonsense" not in run.log_tail and 1.5 not in run.metrics.values.values()


def test_without_a_referee_the_printed_number_counts_unaudited(rig):
    run = rig.run("print('---'); print('val_bpb: 2.5')")
    assert run.metrics and (run.metrics.value, run.metrics.audited, run.sandboxed) == (2.5, False, False)


def test_progress_of_a_foreign_program_comes_from_its_last_line(rig, awaits):
    rig.awaited = lambda progress: progress.step is not None
    line = r"\rstep 00041 (25.0%) | loss: 5.5\rstep 00042 (50.0%) | loss: 5.25 | dt: 310ms"
    rig.run(f"import sys; sys.stdout.write('{line}'); sys.stdout.flush()\n{awaits}")
    seen = rig.seen[-1]
    assert (seen.phase, seen.step, seen.loss, seen.seconds) == ("training", 42, 5.25, 0.5)


def test_a_program_that_never_prints_is_started_and_no_more(rig, awaits):
    run = rig.run(awaits)
    assert {(seen.phase, seen.step) for seen in rig.seen} == {("starting", None)}
    assert run.failure == Failure.CODE
    assert run.reason == (
        "training ended and printed no number for val_bpb; it printed no number with a name:"
        ' print `val_bpb: NUMBER`, or say metric = "NAME"'
    )


def test_the_environment_is_allow_listed(rig, monkeypatch):
    for name in ("CANARY", "ANTHROPIC_API_KEY", "AUTORESEARCH_TOKEN", "CUDA_SECRET_THING", "HF_TOKEN", "GITHUB_PAT"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("UV_INDEX_URL", "https://me:canary@packages.example")
    monkeypatch.setenv("HF_HOME", "hf_canary12345678")  # whatever it is called
    monkeypatch.setenv("TF_VAR_word", "canary")  # Terraform's, and not TensorFlow's
    monkeypatch.setenv("XLA_FLAGS", "--xla")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("GEMINI_API_KEY", "named")
    monkeypatch.setenv("AUTORESEARCH_CACHE", "/somewhere")
    monkeypatch.setenv("EXTRA", "wanted")
    rig.allowed = ("EXTRA", "GEMINI_API_KEY")
    run = rig.run("import json, os; print(json.dumps(dict(os.environ)))")
    env = json.loads(Path(run.log).read_text())
    assert not [name for name, value in env.items() if "canary" in value]
    assert (env["XLA_FLAGS"], env["TOKENIZERS_PARALLELISM"], env["GEMINI_API_KEY"]) == ("--xla", "false", "named")
    assert env["AUTORESEARCH_CACHE"] == "/somewhere" and env["EXTRA"] == "wanted" and env["PATH"] == os.environ["PATH"]
    assert (env["TIME_BUDGET"], env["SWARM_SEED"], env["SWARM_THREADS"], env["OMP_NUM_THREADS"]) == ("1", "7", "2", "2")
    assert env["CUDA_VISIBLE_DEVICES"] == "3" and "SWARM_DEVICE" not in env
    assert env["SWARM_RUN_DIR"] == str(rig.runner().run_folder("t-gpu0-0001.1", 1))


def test_device_cores_and_gpu_order_reach_the_trainer(rig):
    rig.slot = Slot("cuda", 5, gpu="GPU-abc", cores=(0,), threads=1)
    run = rig.run("import os; print(os.environ, os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else {0})")
    log = Path(run.log).read_text()
    assert "'SWARM_DEVICE': 'cuda'" in log and "'CUDA_VISIBLE_DEVICES': 'GPU-abc'" in log and "PCI_BUS_ID" in log
    assert log.rstrip().endswith("{0}")


def test_stale_files_of_an_earlier_run_do_not_leak(rig):
    rig.run("import os; open('stale.py', 'w'); os.makedirs('deep/er'); os.chmod('deep', 0); os.symlink('/', 'root')")
    run = rig.run("import os; print('---\\nval_bpb: 1\\nfiles:', *sorted(os.listdir()))", attempt=2)
    assert run.metrics and run.metrics.values["files"] == "prepare.py train.py"


def test_a_run_that_wipes_its_own_folder_is_still_read(rig):
    run = rig.run("import os, shutil; shutil.rmtree(os.environ['SWARM_RUN_DIR']); print('---\\nval_bpb: 1')")
    assert run.metrics and rig.runner().leftovers() == [run]


def test_trainers_on_the_cpu_give_way_to_the_head(rig):
    rig.slot = Slot("cpu", 0, gpu="")
    run = rig.run("""
        import os
        print("---\\nval_bpb: 1\\nnice:", os.nice(0), "\\ngpus:", os.environ["CUDA_VISIBLE_DEVICES"])
        """)
    assert run.metrics and run.metrics.values["nice"] == os.nice(0) + 5 and run.metrics.values["gpus"] == ""


def test_stop_ends_the_run_and_comes_back_when_it_is_over(rig, stubborn):
    async def scenario():
        runner = rig.runner()
        running = asyncio.create_task(rig.start(runner, stubborn))
        while len(rig.pids()) < 3:
            await asyncio.sleep(0.05)
        await runner.stop()
        assert not any(map(process_table.birth, rig.pids()))
        run = await running
        assert run.failure == Failure.INTERRUPTED and run.reason == "it was stopped"
        await runner.stop()  # nothing runs: nothing to do
        assert (await rig.start(runner, "print('---\\nval_bpb: 1')", attempt=2)).metrics

    asyncio.run(scenario())


def test_stop_reaches_a_run_that_is_only_being_set_up(rig):
    async def scenario():
        runner = rig.runner()
        running = asyncio.create_task(rig.start(runner, "import time; time.sleep(600)"))
        await asyncio.sleep(0)
        await runner.stop()
        assert (await running).failure == Failure.INTERRUPTED

    asyncio.run(scenario())


def test_a_cancelled_run_leaves_nothing(rig, stubborn):
    async def scenario():
        running = asyncio.create_task(rig.start(rig.runner(), stubborn))
        while len(rig.pids()) < 3:
            await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    rig.until(lambda: not any(map(process_table.birth, rig.pids())))


def test_a_command_that_does_not_exist_is_told(rig):
    rig.project = replace(rig.project, command=("./no-such-program",))
    run = rig.run("")
    assert run.failure == Failure.CODE and "no-such-program cannot be started" in run.reason


def test_acknowledged_runs_leave_their_log_and_the_wanted_model(rig):
    keep, drop = rig.run(WITH_MODEL, attempt=1), rig.run(WITH_MODEL, attempt=2)
    runner = rig.runner()
    assert [(run.run, run.attempt) for run in runner.leftovers()] == [(keep.run, 1), (drop.run, 2)]
    assert runner.leftovers() == [keep, drop]
    runner.acknowledge(keep.run, 1, keep_model=True)
    runner.acknowledge(drop.run, 2)
    runner.acknowledge(drop.run, 2)
    assert runner.leftovers() == []
    assert (runner.run_folder(keep.run, 1) / "model.pt").read_text() == "weights"
    assert not runner.run_folder(drop.run, 2).exists()
    assert Path(keep.log).is_file() and Path(drop.log).is_file()


WITH_MODEL = """
import os
import signal
open(os.environ["SWARM_RUN_DIR"] + "/model.pt", "w").write("weights")
print("---\\nval_bpb: 1.5")
"""


def test_limits_follow_the_budget():
    assert limits_for(300, "mps").wall == 900 and limits_for(300, "mps").cpu is None
    assert limits_for(20, "mps").wall == 100
    assert (limits_for(20, "cpu").cpu, limits_for(20, "cpu").wall) == (100, 240)


@pytest.mark.parametrize(
    ("device", "unknown", "after_12", "after_150"), [("cuda", 600, 35, 345.5), ("mps", 600, 35, 345.5)]
)
def test_an_edit_may_start_later_than_the_untouched_code(device, unknown, after_12, after_150):
    """By a cold compile only on CUDA, and only where something was compiled."""
    limits = [limits_for(300, device, known) for known in (None, Overhead(12, 1), Overhead(150, 1))]
    assert [limit.start for limit in limits] == [unknown, after_12, after_150]
    assert [limit.cold for limit in limits[1:]] == ([COLD, 345.5] if device == "cuda" else [None, None])


@pytest.mark.parametrize("budget", [2.0, 20.0, 300.0])
def test_what_is_free_on_a_cpu_is_what_this_machine_needs(budget):
    limits = limits_for(budget, "cpu", Overhead(1.8, 0.2))
    assert limits.free == pytest.approx(1.5 * 1.8 + 0.02 * budget) and limits.cold is None
    assert limits.slack == pytest.approx(2.25 * 0.2 + 0.02 * budget + 0.2), (
        "in proportion to the budget, not so many seconds"
    )
    assert limits_for(budget, "cpu").free is None, "where nothing is known, nothing is held against it"


@pytest.mark.parametrize("budget", [10, 20, 60, 300, 3600])
@pytest.mark.parametrize("known", [None, Overhead(12.0, 2.0), Overhead(150.0, 2.0), Overhead(12.0, 2.0, 150.0)])
def test_on_cuda_compiling_takes_nothing_from_the_time_to_train(budget, known):
    limits = limits_for(budget, "cuda", known)
    assert limits.wall >= (limits.cold or limits.start) + 2 * budget + SAVING
    assert limits.wall >= limits_for(budget, "mps").wall and limits.referee >= COLD + 120
    assert limits_for(budget, "cuda").slack == 10 and limits_for(budget, "cpu").slack == 3


def test_a_runner_runs_one_thing_at_a_time(rig):
    async def scenario():
        runner = rig.runner()
        first = asyncio.create_task(rig.start(runner, "print('---\\nval_bpb: 1')"))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await rig.start(runner, "", attempt=2)
        assert (await first).metrics

    asyncio.run(scenario())


def test_importing_the_runner_is_light():
    script = "import sys, swarm.execution.runner; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"ray", "torch", "pandas", "git", "anthropic", "pynvml", "numpy", "psutil"} & set(modules)


def test_a_damaged_result_file_is_a_fault_of_the_machine(rig):
    rig.run("print('---\\nval_bpb: 1')")
    (rig.guard_folder / "result.json").write_bytes(b"\0" * 40)
    [run] = rig.runner().leftovers()
    assert (run.failure, run.reason) == (Failure.INFRASTRUCTURE, "the run's result file is damaged")


def test_what_ran_on_a_damaged_order_is_ended_and_forgotten(rig, stubborn):
    async def scenario():
        running = asyncio.create_task(rig.start(rig.runner(), stubborn))
        while len(rig.pids()) < 3:
            await asyncio.sleep(0.05)
        for name in ("guard.json", "state.json"):
            (rig.guard_folder / name).write_bytes(b'{"run": "t-g')
        assert await asyncio.to_thread(rig.runner().leftovers) == []
        assert not any(map(process_table.birth, rig.pids())) and not rig.guard_folder.exists()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.long  # its guard has ten seconds to start in, and is waited for as long
def test_a_guard_that_hangs_is_ended_when_its_time_is_over(rig, stubborn, monkeypatch):
    monkeypatch.setattr(runner_module, "UNHEARD", 7.0)
    rig.limits = replace(rig.limits, wall=5.0)

    async def scenario():
        running = asyncio.create_task(rig.start(rig.runner(), "import time; time.sleep(60)"))
        while not (state := State.read(rig.guard_folder)) or not state.step_pid:
            await asyncio.sleep(0.02)
        os.kill(state.pid, signal.SIGSTOP)
        run = await running
        assert run.failure is Failure.INFRASTRUCTURE and run.own_word and process_table.birth(state.pid) is None
        assert run.reason == "its guard was stopped, as it did not answer any more"

    asyncio.run(scenario())


def test_only_what_the_machine_did_is_its_fault(rig, monkeypatch):
    """Three of those in a row fence a GPU; a project that cannot be laid out has to end with its own message."""
    work = Measure("t-gpu0-0001.1", 1, "t-gpu0-0001", "an idea", Purpose.BASELINE, 7, "s", "s", 1.0)
    for source in (Source({"train.py": b"", "train.py/x.py": b""}), Source({"../../out.py": b""})):
        run = asyncio.run(rig.runner().run(work, source, rig.seen.append))
        assert run.failure is Failure.CODE and run.reason.startswith("the run could not be set up: "), run

    def full(*arguments):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    run = asyncio.run(rig.runner().run(work, Source({"train.py": b""}), rig.seen.append))
    assert run.failure is Failure.INFRASTRUCTURE and "full" in run.reason


def test_a_run_in_a_sub_folder_starts_there_and_sees_its_siblings(rig):
    rig.project = replace(rig.project, prefix="research/toy/", fixed=("../../prepare.py",))
    run = rig.run("""
        import os
        assert os.path.basename(os.getcwd()) == "toy" and open("../../prepare.py").read()
        print("val_bpb: 2.5")
    """)
    assert run.metrics and run.metrics.value == 2.5
    cheat = rig.run("open('../../prepare.py', 'a').write('#'); print('val_bpb: 0.1')", attempt=2)
    assert cheat.failure is Failure.INVALID and "../../prepare.py" in cheat.reason
