"""A person's word reaches a swarm that runs: its head acts on what another process left for it. On a real Ray."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.verbs import called

pytestmark = pytest.mark.long

SMALL = 200  # ideas, so that nobody has had them all before a person has spoken
PATIENCE = 1200.0  # seconds: ten times what a quiet machine needs
TRAIN = """\
import os, random
from pathlib import Path

LEVEL = 1.0

SWITCHES
noise = random.Random(int(os.environ.get("SWARM_SEED", "1"))).gauss(0, 0.002)
loss = LEVEL - 0.02 * sum(value for name, value in globals().items() if name.startswith("a_")) + noise
Path(os.environ["SWARM_RUN_DIR"], "model.txt").write_text(str(loss))
print(f"loss: {loss}")
"""
REFEREE = """\
import json, os
from pathlib import Path

folder = Path(os.environ["SWARM_RUN_DIR"])
(folder / "referee.json").write_text(json.dumps({"loss": float((folder / "model.txt").read_text())}))
"""
SETTINGS = """\
command = ["{python}", "train.py"]
editable = ["train.py"]
fixed = ["measure.py"]
metric = "loss"
direction = "lower"
budget = 1
"""


def step(title: str, old: str, new: str, think: float) -> dict[str, Any]:
    """A step of a script for the scripted researcher."""
    return {"title": title, "category": "other", "path": "train.py", "replace": [old, new], "think": think}


class Live:
    """A swarm of one agent, which tries a great gain first and then small ones, a few seconds apart."""

    def __init__(self, root: Path, referee: bool, environ: Mapping[str, str]) -> None:
        root.mkdir()
        names = [f"a_{number}" for number in range(SMALL)]
        steps = [step("great", "LEVEL = 1.0", "LEVEL = 0.4", think=0.0)]
        steps += [step(f"small {name}", f"{name} = 0", f"{name} = 1", think=2.0) for name in names]
        train = TRAIN.replace("SWITCHES", "\n\n".join(f"{name} = 0" for name in names) + "\n")
        referees = 'referee = ["{python}", "measure.py"]\n' if referee else ""
        for name, text in {
            "train.py": train, "measure.py": REFEREE, "swarm.toml": SETTINGS + referees, "program.md": "Less loss.\n",
            "script.json": json.dumps({"steps": steps}),
        }.items():  # fmt: skip
            (root / name).write_text(text)
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "a project"]):
            subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=root, check=True)
        self.root = root
        flags = ("--tag", "apr5", "--device", "sim", "--agents", "1", "--researcher", "scripted")
        self.log = (root.parent / f"{root.name}.log").open("w+")
        self.head = subprocess.Popen(
            [sys.executable, "-m", "swarm", "launch", "-C", str(root), *flags, "--script", str(root / "script.json")],
            env=dict(environ), stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        return json.loads(called("status", "-C", str(self.root), "--json").stdout)

    def wait_for(self, found: Callable[[dict[str, Any]], Any], what: str) -> Any:
        """What `found` finds in the status, once it finds anything; the swarm runs all the while."""
        until = time.monotonic() + PATIENCE
        while True:
            told = called("status", "-C", str(self.root), "--json")
            if told.returncode == 0 and (result := found(json.loads(told.stdout))):
                return result
            assert time.monotonic() < until and self.head.poll() is None, f"never: {what}\n{self.said()}"
            time.sleep(0.5)

    def said(self) -> str:
        return Path(self.log.name).read_text()[-3000:]

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.head.poll() is None and called("stop", "-C", str(self.root), "--now").returncode:
                self.head.kill()
        self.head.wait()
        self.log.close()


@contextlib.contextmanager
def live(root: Path, referee: bool, environ: Mapping[str, str]) -> Iterator[Live]:
    swarm = Live(root, referee, environ)
    try:
        yield swarm
    finally:
        swarm.end()


def named(told: dict[str, Any], title: str, **fields: str) -> dict[str, Any] | None:
    """The experiment of that title, once it is as these fields say."""
    return next(
        (e for e in told["experiment_list"] if e["title"] == title and all(e[k] == v for k, v in fields.items())), None
    )


def on(told: dict[str, Any], commit: str | None) -> list[dict[str, Any]]:
    """The experiments that started from this commit."""
    return [e for e in told["experiment_list"] if commit and e["parent"] == commit and not e["restores"]]


def test_what_is_held_is_accepted_while_the_swarm_runs(tmp_path: Path, on_shared_ray: Mapping[str, str]) -> None:
    with live(tmp_path / "project", referee=True, environ=on_shared_ray) as swarm:
        held = swarm.wait_for(lambda told: named(told, "great", outcome="held"), "the great gain is held")
        assert held["status"] == "discard" and not on(swarm.status(), held["commit"])
        answer = called("accept", "-C", str(swarm.root), held["id"])
        assert answer.returncode == 0 and "accepted" in answer.stdout, answer
        kept = swarm.wait_for(lambda told: named(told, "great", status="keep", rung="kept"), "the head keeps it")
        swarm.wait_for(lambda told: kept["id"] in {step["experiment"] for step in told["trunk"]}, "it is a step")
        commit = swarm.wait_for(lambda told: named(told, "great")["commit"], "it has its commit")
        swarm.wait_for(lambda told: on(told, commit), "something is built on it")
        assert swarm.status()["status"] == "running"
        trunk = ("git", "merge-base", "--is-ancestor", commit, "autoresearch/apr5")
        assert subprocess.run(trunk, cwd=swarm.root, check=False).returncode == 0, "git follows"


def test_a_large_gain_is_rejected_with_what_was_built_on_it(tmp_path: Path, on_shared_ray: Mapping[str, str]) -> None:
    with live(tmp_path / "project", referee=False, environ=on_shared_ray) as swarm:
        large = swarm.wait_for(lambda told: named(told, "great", outcome="large"), "it is kept, and marked")
        commit = swarm.wait_for(lambda told: named(told, "great")["commit"], "it has its commit")
        built = swarm.wait_for(
            lambda told: [e for e in on(told, commit) if e["status"] == "keep"], "something is kept on it"
        )
        spoken = time.time()
        answer = called("reject", "-C", str(swarm.root), large["id"], "it", "prints", "what", "it", "likes")
        assert answer.returncode == 0 and "rejected" in answer.stdout, answer
        swarm.wait_for(lambda told: named(told, "great", outcome="rejected", rung="invalid"), "the head takes it back")
        swarm.wait_for(lambda told: named(told, built[0]["title"], rung="tainted"), "and what was built on it")
        base = swarm.status()["trunk"][0]["commit"]
        swarm.wait_for(
            lambda told: [e for e in on(told, base) if (e["judged"] or 0.0) > spoken],
            "what is tried starts from before it",
        )
        assert swarm.status()["status"] == "running"
