"""examples/slurm.sbatch on a real Slurm: a swarm that meets its time limit, is preempted, and ends after all.

python -m pytest -m cluster tests/cluster/test_slurm.py
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm.lab.chaos.invariants import check
from swarm.lab.simulation.project import make_project
from swarm.ledger.database import Ledger, founded
from swarm.ledger.home import ledger_path
from tests.cluster.slurm import Slurm, lacking, slurm

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "slurm.sbatch"
RAY = """\
#!{python}
import sys
sys.path.insert(0, "{root}")
from ray._private import node, services
from ray.scripts.scripts import main
from tests.shared_ray import patient, with_ports_told
services.get_node = patient(services.get_node)
node.wait_for_persisted_port = patient(node.wait_for_persisted_port)
services.start_raylet = with_ports_told(services.start_raylet)
main()
"""
ENDED = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL")
PATIENCE = 900.0  # seconds for anything that a quiet machine does in one minute and a half

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Slurm]:
    if why := lacking():
        pytest.skip(why)
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(slurm(tmp_path / "slurm"))
        except OSError as error:
            pytest.skip(str(error))
        yield found
        for job in found.call("squeue", "--noheader", "--format=%A").split():
            found.call("scancel", job)
        eventually(lambda: not found.call("squeue", "--noheader"), "no job is left")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as the script's first lines ask for: with its environment, in a folder that every node sees."""
    root = make_project(tmp_path / "project", budget=1.0)
    _furnish(root / ".venv")
    exclude = root / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text(".venv\n*.out\n*.sbatch\n")
    script = SCRIPT.read_text().replace("#SBATCH --gpus-per-node=8\n", "")  # as its comment says: there are none here
    assert script != SCRIPT.read_text()
    (root / "job.sbatch").write_text(script)
    return root


def _furnish(environment: Path) -> None:
    """This very environment, but with a `ray` that is as patient as this machine may be slow."""
    (environment / "bin").mkdir(parents=True)
    for name in ("lib", "pyvenv.cfg"):
        (environment / name).symlink_to(Path(sys.prefix, name))
    (environment / "bin" / "python").symlink_to(sys.executable)
    ray = environment / "bin" / "ray"
    ray.write_text(RAY.format(python=environment / "bin" / "python", root=ROOT))
    ray.chmod(0o755)


def eventually(true: Callable[[], bool], what: str) -> None:
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < PATIENCE, what
        time.sleep(1.0)
    print(f"{time.monotonic() - start:4.0f} s  {what}")


def verdicts(root: Path) -> int:
    if not founded(ledger_path(root)):
        return 0
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        return len(ledger.rows("SELECT id FROM experiments WHERE baseline = 0 AND state = 'judged'"))


def open_experiments(root: Path) -> set[str]:
    """Those without a verdict, the next start's to go on with."""
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        rows = ledger.rows("SELECT id FROM experiments WHERE state IN ('claimed', 'drafted', 'testing')")
    assert len(rows) <= 2, "one agent trains one, and has thought out another"
    return {row["id"] for row in rows}


def test_a_swarm_goes_on_after_its_time_limit_and_after_preemption(
    cluster: Slurm, project: Path, tmp_path: Path
) -> None:
    home = {"HOME": str(tmp_path), "GPUS_PER_NODE": "1"}
    ray = [str(project / ".venv/bin/ray"), "get-auth-token", "--generate"]
    subprocess.run(ray, env={**os.environ, **home}, check=True, capture_output=True)
    flags = [
        "--parsable",
        "--job-name=apr5",
        "--cpus-per-task=1",
        "--time=08:00:00",
        f"--chdir={project}",
        "job.sbatch",
    ]
    launch = ["--device", "sim", "--wait", "15m"]
    told = cluster.call("bash", "-c", f"cd {project} && sbatch {' '.join([*flags, *launch])}", **home)
    job, out = told.split(";")[0], project / "apr5.out"

    def restarts() -> int:
        return int(cluster.job(job)["Restarts"])

    def judged(number: int) -> bool:
        assert cluster.job(job)["JobState"] not in ENDED, out.read_text()[-3000:]
        return verdicts(project) >= number

    eventually(lambda: judged(2), "two verdicts")
    spent = cluster.job(job)["RunTime"].split(":")
    minutes = 60 * int(spent[-3][-2:]) + int(spent[-2])
    cluster.call("scontrol", "update", f"jobid={job}", f"timelimit={minutes + 3}")  # less than three minutes are left
    eventually(lambda: restarts() == 1, "the time limit is near: Slurm has queued it again")
    assert "the time limit is near" in out.read_text()
    before = verdicts(project)
    cluster.call("scontrol", "update", f"jobid={job}", "timelimit=08:00:00")
    eventually(lambda: judged(before + 1), "it goes on")

    cpus = f"--ntasks={os.cpu_count()}"
    cluster.call("sbatch", "--partition=urgent", cpus, f"--chdir={tmp_path}", "--wrap=true")
    eventually(lambda: restarts() == 2, "it was preempted, and is queued again")
    before = verdicts(project)
    eventually(lambda: judged(before + 1), "it goes on")

    stopped = [sys.executable, "-m", "swarm", "stop", "-C", str(project), "--tag", "apr5"]
    subprocess.run(stopped, check=True, capture_output=True)
    eventually(lambda: cluster.job(job)["JobState"] in ENDED, "the job has ended")
    ended = cluster.job(job)
    assert (ended["JobState"], ended["ExitCode"]) == ("COMPLETED", "0:0"), out.read_text()[-3000:]

    told = re.sub("\x1b.*?m", "", out.read_text())
    assert told.count("resumed") >= 2, told[-3000:]
    broken, waiting = check(project, "apr5"), open_experiments(project)
    assert not (broken.lost or broken.counted_twice or broken.duplicates_run), broken
    assert set(broken.stuck_claims) <= waiting, "what was stopped is there to be resumed, and nothing else is open"
