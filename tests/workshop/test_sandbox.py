"""The sandbox, tried from inside by programs that want out. Skipped where bubblewrap does not work.

python -m pytest tests/workshop/test_sandbox.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.records import Failure
from swarm.workshop import sandbox

works = pytest.mark.skipif(bool(sandbox.missing()), reason=sandbox.missing())

LOOK = """
import json, os, pathlib, socket
run = pathlib.Path(os.environ["SWARM_RUN_DIR"])
cache = pathlib.Path(os.environ["AUTORESEARCH_CACHE"])
def can(act):
    try:
        act()
        return True
    except OSError:
        return False
told = {
    "network": sorted(name for _, name in socket.if_nameindex()),
    "home": sorted(path.name for path in pathlib.Path.home().iterdir() if path.name[:4] not in (".cac", ".pye")),
    "etc": can((pathlib.Path("/etc") / "written").touch),
    "root": can(pathlib.Path("written").touch),
    "run": can((run / "written").touch),
    "others": sorted(path.name for path in run.parent.iterdir()),
    "train": (cache / "corpora" / "x" / "train.bin").read_bytes().decode(),
    "val": (cache / "corpora" / "x" / "val.bin").read_bytes().hex(),
    "downloads": sorted(path.name for path in (cache / "downloads").iterdir()),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
}
print(json.dumps(told))
print("---\\nval_bpb: 1.5")
"""


@pytest.fixture
def caged(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A bench whose runs are sandboxed, with data of which some is held out, and with another run beside."""
    cache, home = tmp_path / "cache", tmp_path / "home"
    for folder in (cache / "corpora" / "x", cache / "downloads", home / ".ssh", bench.folder / "runs" / "other"):
        folder.mkdir(parents=True)
    (cache / "corpora" / "x" / "train.bin").write_text("public")
    (cache / "corpora" / "x" / "val.bin").write_text("secret")
    (cache / "downloads" / "raw.parquet").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(cache))
    bench.project = replace(bench.project, held_out=("corpora/*/val.*", "downloads"))
    bench.sandboxed = True
    return bench


@works
def test_a_training_sees_its_own_and_no_more(caged) -> None:
    run = caged.run(LOOK)
    assert run.metrics and run.sandboxed, run.log_tail
    told = json.loads(Path(run.log).read_text().splitlines()[0])
    assert told.pop("processes") < 5
    assert told == {
        "network": ["lo"], "home": [], "etc": False, "root": True, "run": True, "others": [f"{run.run}.1"],
        "train": "public", "val": "00" * len("secret"), "downloads": [],
    }  # fmt: skip


@works
def test_what_kills_a_training_is_known_through_the_sandbox(caged) -> None:
    run = caged.run("import os; os.kill(os.getpid(), 9)")
    assert (run.failure, run.reason) == (Failure.INFRASTRUCTURE, "killed from outside (SIGKILL)")
    run = caged.run("raise ValueError('no')", attempt=2)
    assert (run.failure, run.reason) == (Failure.CODE, "ValueError: no")


@works
def test_nothing_outlives_a_sandboxed_training(caged, stubborn) -> None:
    caged.limits = replace(caged.limits, wall=3.0)
    run = caged.run(stubborn)
    assert run.failure == Failure.TIMEOUT
    assert not list(sandbox_processes(str(caged.folder)))


def sandbox_processes(folder: str):
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"bwrap" in (line := entry.read_bytes()) and folder.encode() in line:
                yield entry
        except OSError:
            continue


@works
def test_the_referees_cage_has_nothing_to_write_to(caged) -> None:
    caged.referee = """
    import json, os, pathlib, subprocess, sys
    folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
    script = "import os, sys; print([os.access(path, os.W_OK) for path in sys.argv[1:]])"
    cage = json.loads(os.environ["REFEREE_CAGE"])
    inside = subprocess.run([*cage, sys.executable, "-c", script, os.getcwd(), str(folder), "/etc"],
                            capture_output=True, text=True)
    (folder / "referee.json").write_text(json.dumps({"val_bpb": 1.5, "inside": inside.stdout + inside.stderr}))
    """
    run = caged.run("import os; open(os.environ['SWARM_RUN_DIR'] + '/model.pt', 'w')")
    assert run.metrics and run.metrics.values["inside"] == "[False, False, False]\n"


def test_a_sandbox_that_lets_something_through_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The trial is made from inside: here with a bwrap that only passes the program on."""
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("sys.platform", "linux")
    sandbox._trial.cache_clear()
    try:
        assert "held-out tokens" in sandbox.missing()
        assert not sandbox.wanted("auto")
        with pytest.raises(UsageError, match=r"--sandbox require: .*--sandbox off"):
            sandbox.wanted("require")
    finally:
        sandbox._trial.cache_clear()


def test_without_bubblewrap_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sandbox.missing()
    assert not sandbox.wanted("auto") and not sandbox.wanted("off")
