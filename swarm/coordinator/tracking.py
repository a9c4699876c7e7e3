"""Starts the process that copies judged experiments to a tracker, hears it, and ends it. It never holds anything up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import swarm
from swarm.execution.spec import HEAD
from swarm.trackers.registry import KINDS

PATIENCE = 120.0  # seconds for one experiment, after which a tracker hangs
PARTING = 20.0  # seconds for the last experiments
RESTARTS = 3  # of a sender that ended, in a row without anything sent

# What a tracker needs to find its settings and the network. Keys of others stay here.
_PASSED = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "PYTHONPATH"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", HEAD),
)


class Tracking:
    """The sender of one swarm. `look` is called now and then; whatever is wrong is told once through `warn`."""

    def __init__(self, tracker: str | None, ledger: Path, tag: str, folder: Path, warn: Callable[[str], None]) -> None:
        self._tracker, self._warn, self._folder = tracker, warn, folder
        self._words = [sys.executable, "-P", "-m", "swarm.trackers", tracker or "", str(ledger), tag, str(folder)]
        self._warned: set[str] = set()
        self._restarts, self._busy_since = 0, 0.0
        self._process = self._start() if tracker else None

    def look(self) -> None:
        """Ends a sender that hangs, and starts another where one has ended."""
        if self._process is None:
            return
        if self._busy_since and time.monotonic() - self._busy_since > PATIENCE:
            self._complain("does not answer; it is ended and asked again")
            self._process.kill()
        if self._process.poll() is None:
            return
        self._restarts += 1
        if self._restarts > RESTARTS:
            self._complain(f"ended {self._restarts} times; nothing more is sent to it")
            self._process = None
            return
        self._process = self._start()

    def close(self) -> None:
        """Lets it send what is left, within PARTING seconds."""
        if self._process is None:
            return
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(PARTING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._complain("did not take the last experiments in time; `swarm resume` sends them")
        self._listener.join(1.0)

    def _start(self) -> subprocess.Popen[bytes]:
        assert self._tracker
        self._busy_since = 0.0
        process = subprocess.Popen(
            self._words,
            cwd="/",  # with -m the folder is a place to import from
            env=environment(self._tracker, os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, args=(process,), name="tracking", daemon=True)
        self._listener.start()
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        for line in process.stdout:
            word, _, what = line.decode(errors="replace").strip().partition(" ")
            self._busy_since = time.monotonic() if word == "sending" else 0.0
            if word == "sent":
                self._restarts = 0
            if word == "failed":
                self._complain(f"cannot be told of experiments, which is tried again: {what}")

    def _complain(self, problem: str) -> None:
        kind = problem.partition(":")[0]  # not one warning for every wording of a failure
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(f"{self._tracker} {problem}")


def environment(tracker: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that the tracker may see: what it needs to work, and its own."""
    own = KINDS[tracker].variables
    seen = {name: value for name, value in variables.items() if name in _PASSED or (own and name.startswith(own))}
    root = str(Path(swarm.__file__).parents[1])
    return seen | {"PYTHONPATH": os.pathsep.join(filter(None, (root, seen.get("PYTHONPATH", ""))))}
