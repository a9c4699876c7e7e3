"""What a referee answered, and programs that would rather have answered in its place."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.execution.sandbox import sandbox
from swarm.execution.spec import MEASURES, Spec, State

FORGES = """
import ctypes, json, os, pathlib, time
run = pathlib.Path(os.environ["SWARM_RUN_DIR"])

def forge():
    pids = run / "../../pids"
    pids.mkdir()
    (pids / str(os.getpid())).touch()
    answer = run / "referee.json"
    while not answer.exists():
        pass
    answer.with_name("forged").write_text(json.dumps({"val_bpb": 0.5}))
    answer.with_name("forged").replace(answer)
    os._exit(0)

if os.fork() == 0:
    os.setsid()
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: it is to live on
    without_main(forge)
while not (run / "../../pids").exists() or not list((run / "../../pids").iterdir()):
    time.sleep(0.02)
(run / "heartbeat.jsonl").write_text('{"step": 1, "loss": 1.0}')
(run / "model.pt").write_text("1.25")
print("---\\nval_bpb: 9.0")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has a main thread for as long as it lives")
def test_nobody_that_a_training_left_behind_writes_the_referees_answer(rig, referee, without_main):
    rig.referee = referee
    run = rig.run(without_main + FORGES)
    assert run.metrics and run.metrics.value == 1.25, run.reason
    assert len(rig.pids()) == 1 and not any(Path(f"/proc/{pid}").exists() for pid in rig.pids())


# A referee of the kind that knows where to answer, and goes on only when somebody has tried to forge that.
KNOWS = """
import json, os, pathlib, time
folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
answer = {"val_bpb": float((folder / "model.pt").read_text())}
pathlib.Path(os.environ["REFEREE_ANSWERS"], "referee.json").write_text(json.dumps(answer))
while not (folder / "tried").exists():
    time.sleep(0.02)
"""
TRIES = """
import os, pathlib, sys
run = pathlib.Path(os.environ["SWARM_RUN_DIR"])
done = []
for folder in (run, pathlib.Path(sys.argv[1])):
    try:
        (folder / "forged").write_text('{"val_bpb": 0.5}')
        (folder / "forged").replace(folder / "referee.json")
        done.append(folder.name)
    except OSError:
        pass
(run / "tried").write_text(" ".join(done))
"""


def test_a_sandboxed_training_that_nobody_sees_any_more_cannot_write_it_either(rig):
    """Whoever is in a training's sandbox while the referee measures: here the test itself puts a program there."""
    if why := sandbox.missing():
        pytest.skip(why)
    rig.referee, rig.sandboxed = KNOWS, True
    answers = rig.guard_folder / "answers"

    def survivor() -> None:
        rig.until(lambda: bool((state := State.read(rig.guard_folder)) and state.step == MEASURES))
        rig.until((answers / "referee.json").exists)
        training = Spec.read(rig.guard_folder).steps[0]
        within = training.argv[: training.argv.index("train.py")]
        subprocess.run([*within, "-c", TRIES, str(answers)], cwd=training.cwd, env=dict(training.env), check=True)

    thread = threading.Thread(target=survivor)
    thread.start()
    run = rig.run(
        textwrap.dedent("""
        import os, pathlib
        run = pathlib.Path(os.environ["SWARM_RUN_DIR"])
        (run / "heartbeat.jsonl").write_text('{"step": 1, "loss": 1.0}')
        (run / "model.pt").write_text("1.25")
        """)
    )
    thread.join()
    tried = rig.folder / "runs" / rig.guard_folder.name
    assert (tried / "tried").read_text() == tried.name, "it forges what it can, and no more"
    assert run.metrics and run.metrics.value == 1.25, run.reason


@pytest.mark.parametrize(
    "left", ["os.mkfifo({0})", "os.symlink('/etc/passwd', {0})", "open({0}, 'w').write('x' * 2**21)"]
)
def test_what_is_no_answer_is_none(rig, left):
    rig.referee = f"import os; path = os.environ['SWARM_RUN_DIR'] + '/referee.json'; {left.format('path')}"
    rig.limits = replace(rig.limits, referee=60.0)
    run = rig.run("pass")
    assert (run.metrics, run.reason) == (None, "the referee wrote no number for val_bpb") and run.seconds < 60
