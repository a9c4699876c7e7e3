"""The guard: whatever happens to whom, a process tree ends as a whole and its end is written down."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.execution.machine import process_table
from swarm.execution.slot import Slot
from swarm.execution.spec import EndedBy, Result, Spec, State, Step
from swarm.records import Failure

AGENT = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import conftest
from swarm.execution import run_spec
run_spec.LOCK_FOLDER = Path(sys.argv[2]).parent / "locks"
rig = conftest.Rig(Path(sys.argv[2]))
rig.slot = conftest.Slot("sim", 0, lock="GPU-1")
rig.run(sys.argv[3])
"""


@pytest.fixture
def agent(rig, stubborn):
    """An agent in a process of its own, whose stubborn trainer and its grandchildren are up."""
    here = str(Path(__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", AGENT, here, str(rig.folder), stubborn], start_new_session=True)
    rig.until(lambda: len(rig.pids()) == 3)
    yield process
    process.kill()
    process.wait()


def gone(rig) -> bool:
    return not any(map(process_table.birth, rig.pids()))  # a zombie that init leaves lying about is gone


def lock_is_free(rig) -> bool:
    with (rig.folder.parent / "locks" / "GPU-1.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def state_of(rig) -> State | None:
    return State.read(rig.guard_folder)


def during(rig, act: Callable[[int], None]) -> threading.Thread:
    """Does something to the guard, given its pid, as soon as the trainer runs."""

    def wait_and_act() -> None:
        rig.until(lambda: bool((state := state_of(rig)) and state.step_pid))
        state = state_of(rig)
        assert state
        act(state.pid)

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def test_nothing_outlives_a_killed_agent(rig, agent):
    assert not lock_is_free(rig)
    os.killpg(agent.pid, signal.SIGKILL)
    rig.until(lambda: gone(rig))
    rig.until(lambda: lock_is_free(rig))
    [run] = rig.runner().leftovers()
    assert (run.failure, run.reason) == (Failure.INTERRUPTED, "its agent was gone")


def test_nothing_outlives_an_agent_and_a_guard_killed_together(rig, agent):
    state = state_of(rig)
    assert state
    os.killpg(agent.pid, signal.SIGKILL)
    os.kill(state.pid, signal.SIGKILL)
    runner = rig.runner()
    [run] = runner.leftovers()
    rig.until(lambda: gone(rig))
    assert run.failure == Failure.INFRASTRUCTURE and "guard died" in run.reason
    runner.acknowledge(run.run, run.attempt)
    assert runner.leftovers() == [] and lock_is_free(rig)


def threads(pid: int) -> list[Path]:
    """Of a process that was killed, none, or the main one, until somebody has waited for it."""
    listed = Path(f"/proc/{pid}/task")
    return [thread for thread in listed.iterdir() if thread.name != str(pid)] if listed.exists() else []


WITHOUT_A_MAIN_THREAD = """
import os, pathlib, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: it is to live on
pids = pathlib.Path(os.environ["SWARM_RUN_DIR"], "../../pids")
pids.mkdir()
def go_on():
    (pids / str(os.getpid())).touch()
    while True:
        {goes_on}
without_main(go_on)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has a main thread for as long as it lives")
@pytest.mark.parametrize("goes_on", ["time.sleep(1)", "os.write(1, bytes(2**20))"], ids=["sleeps", "floods its log"])
def test_a_training_whose_main_thread_has_ended_is_ended_at_its_deadline(rig, without_main, goes_on):
    rig.limits = replace(rig.limits, wall=5.0)
    run = rig.run(without_main + WITHOUT_A_MAIN_THREAD.format(goes_on=goes_on))
    assert run.failure == Failure.TIMEOUT and run.reason.startswith("it still ran after 5 s"), run.reason
    assert len(rig.pids()) == 1 and not any(map(threads, rig.pids())) and run.seconds < 100


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has a main thread for as long as it lives")
def test_nor_does_it_outlive_an_agent_and_a_guard_killed_together(rig, without_main):
    here, trainer = str(Path(__file__).parents[1]), without_main + WITHOUT_A_MAIN_THREAD.format(goes_on="time.sleep(1)")
    with subprocess.Popen(
        [sys.executable, "-c", AGENT, here, str(rig.folder), trainer], start_new_session=True
    ) as agent:
        rig.until(lambda: len(rig.pids()) == 1)
        state = state_of(rig)
        assert state
        os.killpg(agent.pid, signal.SIGKILL)
        os.kill(state.pid, signal.SIGKILL)
    assert all(map(threads, rig.pids())), "the test shows nothing here"
    rig.runner().leftovers()
    rig.until(lambda: not any(map(threads, rig.pids())))


def test_a_killed_guard_takes_its_tree_along(rig, stubborn):
    thread = during(rig, lambda pid: (rig.until(lambda: len(rig.pids()) == 3), os.kill(pid, signal.SIGKILL)))
    run = rig.run(stubborn)
    thread.join()
    assert run.failure == Failure.INFRASTRUCTURE and "guard died" in run.reason
    rig.until(lambda: gone(rig))


def test_hangups_and_interrupts_are_for_others(rig):
    thread = during(rig, lambda pid: (os.kill(pid, signal.SIGHUP), os.kill(pid, signal.SIGINT)))
    run = rig.run("import time; time.sleep(0.5); print('---\\nval_bpb: 1')")
    thread.join()
    assert run.metrics


def test_sigterm_stops_in_order(rig):
    thread = during(rig, lambda pid: os.kill(pid, signal.SIGTERM))
    run = rig.run("import time; time.sleep(600)")
    thread.join()
    result = Result.read(rig.guard_folder)
    assert result and result.ended_by == EndedBy.STOP and run.seconds < 100


def test_a_guard_that_its_run_stops_is_the_runs_own_word(rig):
    """Were it as good as an agent's stop, such a run would be made again and again, and its idea never fail."""
    run = rig.run("import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)")
    assert (run.failure, run.reason) == (Failure.INFRASTRUCTURE, "its guard was stopped, nobody knows by whom")
    assert run.own_word and run.seconds < 100


def test_without_a_subreaper_orphans_are_known_by_their_group(tmp_path):
    """As on macOS: the guard's own program, but with the Linux call taken out."""
    trainer = "sleep 30 & (sleep 30 & sleep 30 &) ; ps -o pid= -g $$; sleep 1.2"
    step = Step("trainer", ["sh", "-c", trainer], str(tmp_path), dict(os.environ), str(tmp_path / "log"), wall=20)
    Spec("t.1", 1, [step], run_folder=str(tmp_path), root=str(tmp_path), grace=0.3).write(tmp_path)
    program = (
        "from swarm.execution.guard import guard; from swarm.execution.machine import process_table;"
        " process_table.become_subreaper = bool; guard.main()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], **pipes) as process:
        assert process.stdout and b"t.1" in process.stdout.readline()
    result = Result.read(tmp_path)
    assert result and result.steps[0].exit == 0 and not result.survivors
    family = [int(pid) for pid in (tmp_path / "log").read_text().split()]
    assert len(family) >= 4 and not any(map(process_table.birth, family))


def test_one_lock_one_run(rig, tmp_path):
    rig.slot = Slot("sim", 0, lock="GPU/0: odd name")
    other = type(rig)(tmp_path / "other")
    other.slot = rig.slot

    over = tmp_path / "over"
    waits = f"import os, time\nwhile not os.path.exists({str(over)!r}): time.sleep(0.02)\nprint('---\\nval_bpb: 1')"

    async def both():
        first = asyncio.create_task(rig.start(rig.runner(), waits))
        while not (state := state_of(rig)) or not state.step_pid:
            await asyncio.sleep(0.02)
        refused = await other.start(other.runner(), "")
        over.touch()
        return refused, await first

    refused, served = asyncio.run(both())
    assert served.metrics
    assert refused.failure == Failure.INFRASTRUCTURE and "of run t-gpu0-0001.1 holds" in refused.reason
    assert other.run("print('---\\nval_bpb: 1')", attempt=2).metrics


def test_signals_that_the_agent_blocks_or_ignores_reach_the_trainer(rig):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = rig.run("""
            import signal
            print("---\\nval_bpb: 1")
            print("blocked:", len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
            print("hangup:", signal.getsignal(signal.SIGHUP) == signal.SIG_DFL)
            """)
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    assert run.metrics and (run.metrics.values["blocked"], run.metrics.values["hangup"]) == (0, "True")


def test_the_result_file_says_what_was_used(rig):
    run = rig.run("""
        import time
        ballast = bytearray(64 * 2**20)
        while time.process_time() < 0.5:
            pass
        """)
    result = Result.read(rig.guard_folder)
    assert result and run.seconds == result.steps[0].seconds
    assert (
        result.steps[0].exit == 0 and 0.4 <= result.steps[0].cpu_seconds < 10 and 64 < result.steps[0].max_rss_mb < 200
    )


def test_what_a_trainer_leaves_behind_is_gone_before_the_referee_comes(rig, referee, stubborn):
    rig.referee = f"import os\nassert not [p for p in os.listdir({str(rig.folder / 'pids')!r}) if alive(p)]\n" + referee
    rig.referee = "def alive(pid): return os.path.exists(f'/proc/{pid}/exe')\n" + rig.referee
    trains = stubborn.rpartition("time.sleep(600)")[0]
    run = rig.run(trains + 'pathlib.Path(os.environ["SWARM_RUN_DIR"], "model.pt").write_text("3")')
    assert run.metrics and run.metrics.value == 3.0 and gone(rig)
