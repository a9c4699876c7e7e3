"""`swarm serve` and `swarm report` as a person types them."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.history.repository import History
from swarm.ledger.served import served_at

PATIENCE = 120.0


@pytest.fixture
def root(night, tmp_path: Path) -> Path:
    """A repository whose swarm has kept an experiment that git knows."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y.z"]
    base = night.board.source(night.ledger.value("SELECT base_source FROM swarms"))
    for path, content in base.files.items():
        (tmp_path / path).write_bytes(content)
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", *base.files], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    night.swarm(base_commit=History(tmp_path).head())
    night.keep("gpu0", 1, 0.9)
    commits = History(tmp_path).project(night.ledger, "apr5")
    for experiment, sha in commits.items():
        night.ledger.execute("UPDATE experiments SET commit_sha = ? WHERE id = ?", sha, experiment)
    return tmp_path


class Server:
    """The verb in a process of its own; `base` is its address and `link` what it printed."""

    def __init__(self, root: Path, *flags: str):
        command = [sys.executable, "-m", "swarm", "serve", "-C", str(root), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout
        line = self.process.stdout.readline()
        found = re.search(r"https?://\S+", line)
        assert found, line + self.process.stdout.read()
        self.link = found[0]
        self.base = self.link.split("?")[0]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@pytest.fixture
def serve(root: Path) -> Iterator:
    made: list[Server] = []

    def started(*flags: str) -> Server:
        made.append(Server(root, *flags))
        return made[-1]

    yield started
    for server in made:
        server.process.kill()
        server.process.wait()


def test_it_serves_until_ctrl_c_and_is_known_while_it_does(serve, root):
    server = serve("--port", "0")
    with urllib.request.urlopen(server.base, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    assert "apr5" in text and "<ins>+k1 = 2</ins>" in text, "the change comes from git"
    assert served_at(root) == server.base and "token" not in server.link
    assert server.stop() == 0
    assert served_at(root) == ""


def test_other_machines_need_the_token_that_was_printed(serve, root):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = serve("--port", str(port), "--host", "0.0.0.0")
    found = re.search(r"token=(\S+)", server.link)
    assert found
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(f"http://127.0.0.1:{port}/?token={found[1]}", timeout=PATIENCE) as answer:
        assert "token" not in answer.url and "apr5" in answer.read().decode()
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        (["--port", "70000"], "between 0"),
        (["--host", "no.such.host.invalid"], "--port"),
        (["--url", "ftp://x"], "https://swarm.example.org"),
    ],
)
def test_wrong_input_is_one_line_with_the_remedy(root, flags, remedy):
    command = [sys.executable, "-m", "swarm", "serve", "-C", str(root), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2 and remedy in done.stderr and done.stderr.count("\n") == 1


def test_report_writes_the_page_beside_the_rest(root):
    command = [sys.executable, "-m", "swarm", "report", "-C", str(root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    page = Path(json.loads(done.stdout)["page"])
    assert page.name == "report.html" and "<ins>+k1 = 2</ins>" in page.read_text()
