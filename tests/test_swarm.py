"""Whole swarms on the synthetic problem: real Ray, real processes, real signals, real git."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from swarm.codec import decode
from swarm.errors import UsageError
from swarm.history.results_writer import results_header
from swarm.lab.simulation.project import make_project
from swarm.ledger.database import Ledger
from swarm.ledger.head_lock import is_led
from swarm.ledger.home import ledger_path
from tests.verbs import called

SWARM = [sys.executable, "-m", "swarm"]
PATIENCE = 1000.0  # seconds, on a machine that is slow


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A synthetic project; afterwards nothing that was started in it is left."""
    root = make_project(tmp_path / "project", budget=0.5)
    yield root
    for process in processes_of(root):
        process.kill()


@pytest.fixture
def after_a_night(finished_night: Path, tmp_path: Path) -> Iterator[Path]:
    """The synthetic project with a finished swarm, apr5."""
    root = shutil.copytree(finished_night, tmp_path / "project")
    yield root
    for process in processes_of(root):
        process.kill()


def swarm(
    root: Path, verb: str, *flags: str, check: bool = True, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [*SWARM, verb, "-C", str(root), *flags]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def start(root: Path, *flags: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A launch in the background, in a session of its own as under a terminal."""
    command = [*SWARM, "launch", "-C", str(root), "--tag", "apr5", "--device", "sim", *flags]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def status(root: Path) -> dict:
    return json.loads(called("status", "-C", str(root), "--json").stdout)


def wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"never happened: {what}"
        time.sleep(0.2)


def judged(root: Path) -> int:
    """Experiments judged so far, the baselines among them; 0 before there is a ledger."""
    if not ledger_path(root).exists():
        return 0
    with contextlib.suppress(UsageError), contextlib.closing(Ledger(ledger_path(root))) as ledger:
        return ledger.value("SELECT count(*) FROM experiments WHERE state = 'judged'")
    return 0


def processes_of(root: Path) -> list[psutil.Process]:
    """Every process that has to do with the project's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(root) in " ".join(process.cmdline()) or Path(process.cwd()).is_relative_to(root):
                found.append(process)
    return found


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def refs(root: Path) -> dict[str, str]:
    lines = git(root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split() for line in lines)


def check_invariants(root: Path) -> None:
    """Every started run ended once; git and results.tsv say what the ledger says; nothing is left running."""
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        assert ledger.value("SELECT count(*) FROM runs WHERE state = 'running'") == 0
        twice = ledger.rows("SELECT id FROM runs WHERE state != 'lost' GROUP BY id HAVING count(*) > 1")
        assert not twice, [row["id"] for row in twice]
        assert ledger.value("SELECT count(*) FROM experiments WHERE state IN ('claimed', 'drafted')") == 0
        rows = ledger.rows("SELECT id, agent, commit_sha, status FROM experiments WHERE state = 'judged'")
        here = refs(root)
        for row in rows:
            assert here[f"refs/experiments/{row['id']}"] == row["commit_sha"]
            git(root, "cat-file", "-e", row["commit_sha"])
        for agent in {row["agent"] for row in rows}:
            lines = (root / ".swarm" / "apr5" / agent / "results.tsv").read_text().splitlines()
            assert lines[0] == results_header("val_bpb") == "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
            assert len(lines) - 1 == sum(row["agent"] == agent for row in rows)
    assert git(root, "status", "--porcelain") == ""
    wait_for(lambda: not processes_of(root), "all processes of the swarm gone")


@pytest.mark.long
def test_four_agents_each_see_a_gpu_of_their_own(
    project: Path, tmp_path: Path, on_shared_ray: Mapping[str, str]
) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"steps": [{"title": "as told", "category": "schedule", "knobs": {"DEPTH": 6}}]}))
    mix = ("--researcher", "sweep,scripted:1", "--script", str(script))
    flags = ("--tag", "apr5", "--device", "sim", "--agents", "4", "--max-experiments", "4", *mix)
    done = swarm(project, "launch", *flags, env=on_shared_ray)
    assert "4 experiments done" in done.stdout
    with contextlib.closing(Ledger(ledger_path(project))) as ledger:
        results = ledger.rows("SELECT agent, result FROM runs WHERE state = 'measured'")
        seen = {(row["agent"], decode(row["result"]).metrics.values["visible_gpu"]) for row in results}
        assert ledger.value("SELECT count(*) FROM experiments WHERE baseline = 0 AND state = 'judged'") == 4
    assert sorted(agent for agent, _ in seen) == [f"gpu{k}" for k in range(4)], "always the same one"
    assert len({gpu for _, gpu in seen}) == 4, "and nobody else's"
    branches = {name for name in refs(project) if name.startswith("refs/heads/autoresearch/")}
    assert branches == {
        "refs/heads/autoresearch/apr5",
        *(f"refs/heads/autoresearch/apr5-gpu{k}" for k in range(4)),
    }
    told = status(project)
    assert told["agents"] == 4
    assert [agent["researcher"] for agent in told["agent_list"]] == ["sweep"] * 3 + ["scripted"]
    # On a busy machine others may be done with all four before it has had its turn.
    assert {e["agent"] for e in told["experiment_list"] if e["title"] == "as told"} <= {"gpu3"}
    assert told["keep"] + told["discard"] + told["crash"] == told["experiments"] == 4
    wanted = {"id", "agent", "sha", "parent", "purpose", "seed", "metric", "status", "seconds", "description"}
    assert all(wanted <= set(run) for run in told["runs"])
    assert (project / ".swarm" / "apr5" / "report.md").stat().st_size > 500
    assert (project / ".swarm" / "apr5" / "progress.png").read_bytes().startswith(b"\x89PNG")
    check_invariants(project)


@pytest.mark.long
def test_a_killed_launcher_resumes_and_loses_nothing(project: Path, on_shared_ray: Mapping[str, str]) -> None:
    """It has a Ray of its own, which dies with it; the resumed one joins a cluster that is there."""
    launcher = start(project, "--agents", "2", "--max-experiments", "30")
    wait_for(lambda: judged(project) >= 5, "five verdicts")
    launcher.kill()
    launcher.communicate()
    wait_for(lambda: status(project)["status"] == "interrupted", "the swarm is seen as interrupted")
    before = {run["id"] for run in status(project)["runs"] if run["metric"] is not None}
    known = {name: sha for name, sha in refs(project).items() if name.startswith("refs/experiments/")}
    lost = sorted(known)[0]  # a baseline's: its commit was projected when it was judged
    git(project, "update-ref", "-d", lost)
    flags = ("--tag", "apr5", "--device", "sim", "--agents", "2", "--resume", "--max-experiments", "8")
    swarm(project, "launch", *flags, env=on_shared_ray)
    told = status(project)
    assert told["status"] == "finished"
    assert told["experiments"] >= 8
    assert before <= {run["id"] for run in told["runs"] if run["metric"] is not None}
    assert known.items() <= refs(project).items(), "every experiment's commit is where it was, the lost one too"
    check_invariants(project)


def test_an_interrupt_while_it_starts_says_so_and_leaves_no_process(project: Path) -> None:
    """Its Ray is its own, and takes seconds to start."""
    launcher = start(project, "--agents", "2")
    wait_for(lambda: is_led(project / ".swarm" / "apr5"), "it is being started")
    os.killpg(launcher.pid, signal.SIGINT)
    output, _ = launcher.communicate()
    assert launcher.returncode == 130, output
    assert "apr5 was interrupted while it started; nothing of it runs. To go on:" in output
    wait_for(lambda: not processes_of(project), "all processes of the swarm gone")
    assert status(project)["status"] == "interrupted"
    assert "interrupted before its baseline was measured" in swarm(project, "status").stdout


def test_the_first_interrupt_drains(project: Path) -> None:
    """Its Ray is its own, and gets the interrupt too."""
    launcher = start(project, "--agents", "2")
    wait_for(lambda: judged(project) >= 3, "three verdicts")
    os.killpg(launcher.pid, signal.SIGINT)  # as a terminal does: to everything in the foreground
    output, _ = launcher.communicate()
    assert launcher.returncode == 0, output
    assert "has ended: drained" in output
    assert status(project)["status"] == "stopped"
    check_drained(project)


def check_drained(root: Path) -> None:
    """After a drain no run was cut off."""
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        assert ledger.value("SELECT count(*) FROM runs WHERE state IN ('lost', 'running')") == 0
    wait_for(lambda: not processes_of(root), "all processes of the swarm gone")


def test_the_second_interrupt_stops_and_leaves_no_process(tmp_path: Path, on_shared_ray: Mapping[str, str]) -> None:
    root = make_project(tmp_path / "project", budget=600.0)
    launcher = start(root, "--agents", "2", env=on_shared_ray)
    wait_for(lambda: list((root / ".swarm").glob("apr5/gpu*/runs/*/heartbeat.jsonl")), "a training runs")
    os.killpg(launcher.pid, signal.SIGHUP)  # the terminal is closed: nothing changes
    os.killpg(launcher.pid, signal.SIGINT)
    time.sleep(0.5)
    begun = time.monotonic()
    os.killpg(launcher.pid, signal.SIGINT)
    output, _ = launcher.communicate()
    assert launcher.returncode == 130, output
    assert time.monotonic() - begun < 300  # half of what a run lasts
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        assert ledger.value("SELECT count(*) FROM runs WHERE state = 'running'") == 0
        assert ledger.value("SELECT count(*) FROM runs WHERE state IN ('measured', 'crashed')") == 0
    wait_for(lambda: not processes_of(root), "all processes of the swarm gone")


@pytest.mark.slow
def test_detached_it_survives_and_answers_from_another_terminal(project: Path) -> None:
    done = swarm(project, "launch", "--tag", "apr5", "--device", "sim", "--agents", "2", "--detach")
    assert "apr5 runs on its own" in done.stdout
    wait_for(lambda: judged(project) >= 3, "three verdicts")
    second = swarm(project, "launch", "--device", "sim", check=False)
    assert second.returncode == 2
    assert "already running" in second.stderr
    swarm(project, "tell", "try", "smaller", "batches")
    frame = called("watch", "-C", str(project), "--once").stdout
    assert "apr5" in frame and "gpu1" in frame
    wait_for(lambda: "step" in swarm(project, "show", "gpu0").stdout, "the log of a run")
    swarm(project, "stop")
    told = status(project)
    assert told["status"] == "stopped"
    with contextlib.closing(Ledger(ledger_path(project))) as ledger:
        assert ledger.value("SELECT text FROM notes") == "try smaller batches"
    check_drained(project)


@pytest.mark.long
def test_a_second_night_knows_the_first(after_a_night: Path, on_shared_ray: Mapping[str, str]) -> None:
    project, first = after_a_night, status(after_a_night)
    flags = ("--device", "sim", "--agents", "1", "--max-experiments", "3")
    swarm(project, "launch", "--tag", "apr6", "--from", "apr5", *flags, env=on_shared_ray)
    with contextlib.closing(Ledger(ledger_path(project))) as ledger:
        rows = ledger.rows("SELECT intent FROM experiments WHERE baseline = 0 AND state != 'abandoned'")
        intents = [row["intent"] for row in rows]
        start = ledger.value("SELECT base_commit FROM swarms WHERE tag = 'apr6'")
    assert len(intents) == len(set(intents))
    assert start == refs(project)["refs/heads/autoresearch/apr5"]
    assert first["champion"] is None or first["champion"].startswith("apr5")
    assert called("prune", "-C", str(project), "apr5", "--yes").returncode == 0
    assert not [name for name in refs(project) if "apr5" in name]
    assert [name for name in refs(project) if "apr6" in name]


@pytest.mark.parametrize("fault", ["crash", pytest.param("oom", marks=pytest.mark.slow)])
def test_a_train_py_that_crashes_everywhere_ends_the_night(
    tmp_path: Path, fault: str, on_shared_ray: Mapping[str, str]
) -> None:
    root = make_project(tmp_path / "project", budget=0.5, fault=fault)
    flags = ("--tag", "apr5", "--device", "sim", "--agents", "2")
    done = swarm(root, "launch", *flags, check=False, env=on_shared_ray)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the baseline crashes on every agent" in done.stderr
    assert "Traceback" in done.stderr
    wait_for(lambda: not processes_of(root), "all processes of the swarm gone")
