"""What starts under a head ends with it: real heads, which are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from swarm.coordinator import reaper

HEAD = """
import os, signal, subprocess, sys, time
from pathlib import Path
from swarm.coordinator.reaper import Reaper

folder = Path(sys.argv[1])
reaper = Reaper(folder)
reaper.session(sys.argv[2])
python = [sys.executable, "-S", "-c"]
orphan = "import os, time\\nif os.fork(): os._exit(0)\\nos.setsid()\\nif os.fork(): os._exit(0)\\ntime.sleep(600)"
deaf = "import signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\ntime.sleep(600)"
bare = "import os, sys\\nif not os.fork(): os.execve(sys.executable, [sys.executable, '-S', '-c', %r], {})\\n" % deaf
guard = {**os.environ, "SWARM_GUARD": str(folder)}
ends = "import signal, sys, time\\nsignal.signal(signal.SIGTERM, lambda *_: open(sys.argv[1], 'w').write('TERM'))\\n"
ends += "time.sleep(1)\\nwhile not time.sleep(0.05): pass"
subprocess.Popen([*python, "import time; time.sleep(600)"])
subprocess.Popen([*python, orphan], start_new_session=True)
subprocess.Popen([*python, deaf], start_new_session=True)
subprocess.Popen([*python, bare + "import time; time.sleep(600)"], start_new_session=True)
subprocess.Popen([*python, ends, str(folder / "asked")], env=guard, start_new_session=True)
reaper_of = lambda: reaper._process.pid
print(os.environ["SWARM_HEAD"], reaper_of(), flush=True)
for line in sys.stdin:
    match line.strip():
        case "close":
            began = time.monotonic()
            reaper.close()
            print(time.monotonic() - began, flush=True)
        case "revive":
            print(reaper.revive(), reaper_of(), flush=True)
        case "raise":
            raise SystemExit(3)
"""


class Head:
    """A head of its own process group, and what it started."""

    def __init__(self, folder: Path):
        self.folder, self.session = folder, folder / "ray" / "session_2026"
        (self.session / "logs").mkdir(parents=True)
        (self.session / "logs" / "raylet.out").write_text("said")
        (folder / "ray" / "session_latest").symlink_to(self.session)
        script = folder / "head.py"
        script.write_text(HEAD)
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(self.session)], text=True, cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        self.mark, number = self.answer().split()
        self.reaper = psutil.Process(int(number))
        until(lambda: len(self.found()) == 6)  # with the one without an environment, and no passing fork
        self.started = self.found()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def found(self) -> set[psutil.Process]:
        """What was started under it: what descends from it, and what has left it but has its mark."""
        orphans = set[psutil.Process]()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("SWARM_HEAD") == self.mark:
                    orphans.add(process)
        below = psutil.Process(self.process.pid).children(recursive=True)
        return {process for process in (*below, *orphans) if living(process)} - {self.reaper}

    def alive(self) -> set[psutil.Process]:
        return {process for process in self.started if living(process)}


def living(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def until(happened: Callable[[], bool], seconds: float = 120.0) -> float:
    began = time.monotonic()
    while not happened():
        assert time.monotonic() < began + seconds, "it did not happen"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def make_head(tmp_path: Path) -> Iterator[Callable[[], Head]]:
    made: list[Head] = []

    def make() -> Head:
        folder = tmp_path / f"head{len(made)}"
        folder.mkdir()
        made.append(Head(folder))
        return made[-1]

    yield make
    for head in made:
        with suppress(psutil.Error):
            head.reaper.kill()
        head.process.kill()
        head.process.wait()
        for process in head.started:
            with suppress(psutil.Error):
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_head_that_is_killed_leaves_nothing(make_head, number):
    head, other = make_head(), make_head()
    os.killpg(head.process.pid, number)  # the reaper is in no group of its head's
    assert until(lambda: not head.alive()) < 60, "seven seconds on a quiet machine"
    until(lambda: not living(head.reaper))
    assert not head.session.exists() and not (head.folder / "ray" / "session_latest").is_symlink()
    assert not (head.folder / "asked").exists(), "a guard ends by itself, and is not asked to"
    assert other.alive() == other.started and other.session.exists() and living(other.reaper)


def test_a_head_that_ends_in_order_leaves_nothing_but_rays_logs(make_head):
    head = make_head()
    head.tell("close")
    assert float(head.answer()) < 60
    assert not head.alive() and not living(head.reaper)
    assert (head.session / "logs" / "raylet.out").exists()


def test_a_head_with_nothing_left_is_not_delayed(tmp_path):
    script = "import time; from swarm.coordinator.reaper import Reaper; from pathlib import Path\n"
    script += "r = Reaper(Path('x')); time.sleep(2); b = time.monotonic(); r.close(); print(time.monotonic() - b)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2 * reaper.GUARDED, "the reaper said itself that it is done"


def test_a_reaper_ignores_signals_of_the_terminal_and_one_that_is_killed_is_replaced(make_head):
    head = make_head()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        head.reaper.send_signal(number)
    head.tell("revive")
    assert head.answer() == f"False {head.reaper.pid}"
    head.reaper.kill()
    until(lambda: not living(head.reaper))
    head.tell("revive")
    was_killed, number = head.answer().split()
    assert was_killed == "True" and head.alive() == head.started
    head.process.kill()
    until(lambda: not head.alive() and not living(psutil.Process(int(number))))
    assert not head.session.exists(), "the second one knows of it too"


def test_a_process_that_holds_the_pipe_of_a_dead_head_does_not_deceive_the_reaper(tmp_path):
    """A fork without an exec has both ends."""
    script = "import os, time; from swarm.coordinator.reaper import Reaper; from pathlib import Path\n"
    script += "r = Reaper(Path('x')); child = os.fork()\nif child == 0: time.sleep(600)\n"
    script += "print(r._process.pid, child, flush=True); time.sleep(600)"
    head = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert head.stdout
    own, child = map(psutil.Process, map(int, head.stdout.readline().split()))
    head.kill()
    head.wait()
    until(lambda: not living(own))
    child.kill()


def test_what_left_both_its_parent_and_its_environment_was_seen_before(tmp_path):
    """Its parent and the head die at once, so that nothing but the reaper's memory tells whose it is."""
    script = "import os, sys, time; from swarm.coordinator.reaper import Reaper; from pathlib import Path\n"
    script += "r = Reaper(Path('x')); sleep = [sys.executable, '-S', '-c', 'import time; time.sleep(600)']\n"
    script += "child = os.fork()\nif child == 0:\n  grandchild = os.fork()\n"
    script += "  if grandchild == 0: os.setsid(); os.execve(sys.executable, sleep, {})\n"
    script += "  print(r._process.pid, grandchild, flush=True); time.sleep(600)\nos.wait()"
    for _ in range(10):  # on a busy machine the reaper may not have looked yet
        head = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, process_group=0)
        assert head.stdout
        own, grandchild = map(psutil.Process, map(int, head.stdout.readline().split()))
        time.sleep(3 * reaper.EVERY)
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        until(lambda own=own: not living(own))
        if not living(grandchild):
            return
        grandchild.kill()
    pytest.fail("the reaper never saw it")
