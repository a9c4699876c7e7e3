"""A terminal on a running swarm: a real one with the real `claude` CLI, in real tmux; only the model is scripted."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.lab.simulation.project import make_project

sys.path.insert(0, str(Path(__file__).parent / "researchers"))
from tests.researchers.messages_server import MessagesServer, Reply, says, uses

PATIENCE = 500.0
KEY = "sk-ant-canary-4711"
WORD = "PLEASE TURN THE SCALARS"

tmux_is_here = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
claude_is_here = pytest.mark.skipif(shutil.which("claude") is None, reason="the claude CLI is not installed")


def wait_for(condition: Callable[[], object], what: str, seen: Callable[[], str] = str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"never happened: {what}\n{seen()}"
        time.sleep(0.2)


class Model:
    """Has a new idea whenever it is asked, and edits as an attentive model would: it reads the file first."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)

    def __call__(self, body: dict[str, Any]) -> Reply:
        if not body.get("tools"):
            return says("ok")
        last = json.dumps([message for message in body["messages"] if message["role"] == "user"][-1])
        place = re.findall(r"/[^\s\"\\]+/project(?=[\s\"\\])", json.dumps(body["system"]) + json.dumps(body))[0]
        if WORD in last:
            return says("I heard you.")
        if "# Now: one idea" in last:
            value = 0.5 + next(self.numbers) / 100
            idea = {"title": f"scalars at {value}", "rationale": "why not", "category": "learning rate"}
            return uses("Write", file_path=f"{place}/IDEA.json", content=json.dumps(idea))
        if "# Now: put your idea into code" in last:
            return uses("Read", file_path=f"{place}/train.py")
        if found := re.findall(r"SCALAR_LR = [\d.]+", last):
            title = re.findall(r"scalars at ([\d.]+\d)", json.dumps(body["messages"]))[-1]
            return uses("Edit", file_path=f"{place}/train.py", old_string=found[0], new_string=f"SCALAR_LR = {title}")
        return says("Done.")


class AttachedSwarm:
    """A swarm on the synthetic problem, of which gpu0 thinks with Claude Code and gpu1 by the sweep."""

    def __init__(self, root: Path, home: Path, server: MessagesServer) -> None:
        self.root, self.server = root, server
        (home / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True}))
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "TMUX_TMPDIR": str(home),
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": server.url,
        }
        self.environment.pop("TMUX", None)
        flags = ("--tag", "apr5", "--device", "sim", "--agents", "2", "--researcher", "claude-code:1,sweep", "--detach")
        done = self.run_verb("launch", *flags)
        assert done.returncode == 0, done.stdout + done.stderr

    def run_verb(self, verb: str, *flags: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "swarm", verb, "-C", str(self.root), *flags)

    def tmux(self, *words: str) -> str:
        return self.run("tmux", *words).stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )

    def transcript(self) -> str:
        folder = self.root / ".swarm" / "apr5" / "gpu0" / "transcripts"
        return "".join(path.read_text() for path in folder.glob("apr5-gpu0-*.md"))

    def windows(self) -> list[str]:
        return self.tmux("list-windows", "-t", "swarm-apr5", "-F", "#W").split()

    def asked(self) -> list[str]:
        """The model's turns that begin an idea."""
        bodies = [json.dumps(body["messages"]) for body in self.server.bodies if body.get("tools")]
        return [body for body in bodies if "# Now: one idea" in body[-6000:]]


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[AttachedSwarm]:
    (tmp_path / "home").mkdir()
    with MessagesServer(Model()) as server:
        swarm = AttachedSwarm(make_project(tmp_path / "project", budget=0.5), tmp_path / "home", server)
        yield swarm
        swarm.run_verb("stop", "--now")
        swarm.tmux("kill-server")


@tmux_is_here
@claude_is_here
def test_a_person_sees_every_agent_and_takes_over_a_conversation(swarm: AttachedSwarm) -> None:
    wait_for(lambda: "SCALAR_LR" in swarm.transcript(), "an experiment by claude-code")
    assert swarm.windows() == ["gpu0"]  # from the launch on, of whoever has a transcript
    assert KEY not in swarm.tmux("show-environment", "-g")

    for agent, said in (("gpu1", "only claude-code has one"), ("gpu9", "there are: gpu0, gpu1"), ("gpu0", "terminal")):
        done = swarm.run_verb("attach", agent)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1

    for _ in range(2):  # a second time it is there already
        opened = json.loads(swarm.run_verb("attach", "--json").stdout)
        assert opened == {"session": "swarm-apr5", "windows": ["leaderboard", "gpu0", "gpu1"]}
    assert sorted(swarm.windows()) == sorted(opened["windows"])
    wait_for(lambda: "* Edit train.py" in swarm.tmux("capture-pane", "-p", "-t", "swarm-apr5:gpu0"), "its transcript")
    wait_for(lambda: "claude-code" in swarm.tmux("capture-pane", "-p", "-t", "swarm-apr5:leaderboard"), "who thinks")

    attach = f"{sys.executable} -m swarm attach gpu0 -C {swarm.root}"
    variables = [f"-e{name}={swarm.environment[name]}" for name in ("HOME", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")]
    swarm.tmux("new-session", "-d", "-s", "person", "-x", "120", "-y", "40", *variables, f"{attach}; sleep 600")

    def screen() -> str:
        return swarm.tmux("capture-pane", "-p", "-t", "person")

    def press(*keys: str) -> None:
        swarm.tmux("send-keys", "-t", "person", *keys)
        time.sleep(0.5)

    wait_for(lambda: "trust this folder" in screen(), "the CLI's first dialog", screen)
    press("Enter")
    wait_for(lambda: "use this API key" in screen(), "its second", screen)
    press("Up")
    press("Enter")
    wait_for(lambda: "? for shortcuts" in screen(), "the conversation", screen)
    before = len(swarm.asked())
    press(WORD)
    press("Enter")
    wait_for(lambda: "I heard you." in screen(), "the model's answer to the person", screen)
    time.sleep(2)
    assert len(swarm.asked()) == before  # the agent asks nothing meanwhile
    press("/exit")
    press("Enter")
    wait_for(lambda: "gpu0 goes on" in screen(), "the person has left", screen)
    wait_for(lambda: len(swarm.asked()) > before, "the agent thinks again")
    assert WORD in swarm.asked()[-1]  # and remembers

    shown = swarm.run_verb("show", "gpu0-0001", "--transcript").stdout
    assert "* Write IDEA.json" in shown and "* Edit train.py" in shown and KEY not in shown
    newest = swarm.run_verb("show", "gpu0", "--transcript").stdout
    assert "thinks of an idea" in newest or "mends a crash" in newest  # the newest, whatever it is about
    assert swarm.run_verb("show", "gpu1", "--transcript").returncode == 2
    swarm.run_verb("stop", "--now")
    wait_for(lambda: not swarm.windows(), "the windows go with the swarm")
