"""Finds out what edited code can reach on this machine by running a small program in its place. Stdlib only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROBE = """
import json, os, pathlib, socket, sys
home, parent, server, *held_out = sys.argv[1:]

def readable(path):
    return any(path.iterdir()) if path.is_dir() else bool(path.open("rb").read(65536).strip(bytes(1)))

def identity(path):
    found = os.stat(path)
    return f"{found.st_dev}:{found.st_ino}"

def can(act):
    try:
        return act() is not False
    except OSError:
        return False

print(json.dumps({
    "network": bool({name for _, name in socket.if_nameindex()} - {"lo", "lo0"}) and can(socket.socket),
    "home": can(lambda: identity(pathlib.Path.home()) == home and bool(os.listdir(pathlib.Path.home()))),
    "system": can(lambda: os.close(os.open("/etc/passwd", os.O_WRONLY | os.O_APPEND))),
    "held_out": any([can(lambda: readable(pathlib.Path(path))) for path in held_out]),
    "processes": can(lambda: os.kill(int(parent), 0)),
    "sockets": can(lambda: socket.socket(socket.AF_UNIX).connect(server)),
}))
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the program could do: use a network, read the user's home folder, write to system files, read held-out data,
    end other processes of that user, talk to a server whose socket is a file in /tmp."""

    network: bool
    home: bool
    system: bool
    held_out: bool
    processes: bool
    sockets: bool


class ProbeError(Exception):
    """The program could not be run; the message is its last line."""


def probe(within: Callable[[Sequence[str]], Sequence[str]], held_out: Iterable[Path] = ()) -> Reach:
    """Runs the program as the command that `within` makes of its own, with the rights of this process otherwise.

    Raises:
        ProbeError: that command fails.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/server")
        server.listen()
        script = [sys.executable, "-S", "-c", _PROBE, _home(), str(os.getpid()), f"{folder}/server"]
        script += map(str, held_out)
        try:
            done = subprocess.run(within(script), capture_output=True, text=True, timeout=300, check=False, cwd="/")
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProbeError(f"it cannot be started: {error}") from error
    if done.returncode:
        raise ProbeError((done.stderr or done.stdout).strip().rpartition("\n")[2][:120])
    return Reach(**json.loads(done.stdout))


def _home() -> str:
    """Identifies this user's home folder, as a sandbox may put an empty one in its place; "" where there is none."""
    try:
        home = Path.home().stat()
    except (OSError, RuntimeError):
        return ""
    return f"{home.st_dev}:{home.st_ino}"
