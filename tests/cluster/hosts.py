"""Hosts on one machine, for tests of clusters: each a network namespace with its own processes, home and sshd.

Needs root on Linux and Debian's iproute2, openssh-server and rsync. Traffic stays between the namespaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

SSHD = "/usr/sbin/sshd"
HOME = "/mnt"  # where each host sees its own home: root's real one may hold the Python that all of them share
TOOLS = ("ip", "rsync", "unshare", "nsenter", "ps", "pkill", "ssh", "ssh-keygen", SSHD)
MEMORY = 5.0  # GB that three hosts with Ray take, and some room
NEW_NETWORK = 0x40000000  # CLONE_NEWNET

Answer = TypeVar("Answer")


def lacking(folder: Path) -> str:
    """Why no hosts can be made here, or "". Two are made in `folder`, and one calls the other: nothing else tells."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} missing: apt-get install iproute2 openssh-server rsync procps"
    if psutil.virtual_memory().available < MEMORY * 1e9:
        return f"three hosts need {MEMORY:g} GB of memory"
    try:
        with hosts(folder, ["one", "two"]) as there:
            call = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=5 -o ConnectionAttempts=10"
            called = there["one"].run(f"{call} {there['two'].address} true", timeout=60)
    except subprocess.CalledProcessError as error:
        return f"this system makes no network of namespaces: {error.stderr.decode().strip() or error}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"this system makes no network of namespaces: {error}"
    return "" if called.returncode == 0 else f"hosts made here do not reach each other: {called.stderr.strip()}"


@dataclass(frozen=True)
class Host:
    """One host; `init` is the process whose end ends everything on it."""

    name: str
    address: str
    home: Path
    init: int

    def run(self, command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """A shell command on the host, as its root."""
        return subprocess.run(self._entered(command), capture_output=True, text=True, timeout=timeout, cwd="/")

    def start(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        """The same in the background, its output in `log`."""
        with log.open("wb") as output:
            return subprocess.Popen(
                self._entered(command), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/"
            )

    def cut(self) -> None:
        """The cable is out: whoever is asked gets no answer at all."""
        _call("ip", "netns", "exec", self.name, "ip", "link", "set", "eth0", "down")

    def mend(self) -> None:
        _call("ip", "netns", "exec", self.name, "ip", "link", "set", "eth0", "up")

    def within(self, function: Callable[[], Answer]) -> Answer:
        """What the function gives when the network that it sees, and every process it starts, is this host's."""
        with ThreadPoolExecutor(1, initializer=self._enter_network) as thread:
            return thread.submit(function).result()

    def _enter_network(self) -> None:
        """The calling thread alone leaves this machine's network for the host's."""
        with Path("/run/netns", self.name).open("rb") as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), NEW_NETWORK):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def processes(self) -> list[str]:
        """The command lines of all that runs on the host."""
        return self.run("ps -eo args --no-headers").stdout.splitlines()

    def _entered(self, command: str) -> list[str]:
        home = ["env", "-i", f"HOME={HOME}", "USER=root", f"PATH={os.environ['PATH']}", "LANG=C.UTF-8", "TERM=xterm"]
        space = ["nsenter", "--target", str(self.init), "--net", "--pid", "--mount", "--uts", "--ipc"]
        return [*space, *home, "bash", "-c", f"cd ~; {command}"]


@contextlib.contextmanager
def hosts(folder: Path, names: list[str], network: str = "10.77.0") -> Iterator[dict[str, Host]]:
    """These hosts on one switch, each reachable from the others by ssh with the key ~/.ssh/id_ed25519."""
    switch = f"swarm-{os.getpid()}"
    made: list[str] = []
    running: dict[str, Host] = {}
    key = folder / "id_ed25519"
    _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host_key"))
    try:
        _call("ip", "netns", "add", switch)
        made.append(switch)
        _in(switch, "ip", "link", "add", "bridge", "type", "bridge")
        _in(switch, "ip", "link", "set", "bridge", "up")
        for number, name in enumerate(names, 1):
            space = f"{switch}-{name}"
            _call("ip", "netns", "add", space)
            made.append(space)
            port = f"port{number}"
            _in(switch, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            _in(switch, "ip", "link", "set", port, "master", "bridge", "up")
            _in(space, "ip", "link", "set", "lo", "up")
            _in(space, "ip", "link", "set", "eth0", "up")
            _in(space, "ip", "address", "add", f"{network}.{number}/24", "dev", "eth0")
            _in(space, "ip", "route", "add", "default", "via", f"{network}.{number}")
            running[name] = _boot(folder, space, name, f"{network}.{number}", key)
        yield running
    finally:
        for host in running.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(host.init, signal.SIGKILL)
        for space in reversed(made):
            subprocess.run(["ip", "netns", "delete", space], check=False)


def _boot(folder: Path, space: str, name: str, address: str, key: Path) -> Host:
    """The host's first process: its sshd, in namespaces of its own, with a home, /tmp/ray and /dev/shm of its own."""
    home, ray = folder / name / "home", folder / name / "ray"
    (home / ".ssh").mkdir(parents=True)
    ray.mkdir()
    Path("/tmp/ray").mkdir(exist_ok=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    shutil.copy(key, home / ".ssh/id_ed25519")
    shutil.copy(key.with_suffix(".pub"), home / ".ssh/authorized_keys")
    passwd = folder / name / "passwd"
    passwd.write_text(Path("/etc/passwd").read_text().replace(":/root:", f":{HOME}:", 1))
    settings = folder / name / "sshd_config"
    settings.write_text(
        f"ListenAddress {address}\nHostKey {folder}/host_key\nPermitRootLogin prohibit-password\nStrictModes no\n"
        "UsePAM no\nPidFile none\nUseDNS no\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
        f"SetEnv PATH={os.environ['PATH']}\n"
    )
    script = (
        f"hostname {name}; mount --bind {passwd} /etc/passwd; mount --bind {home} {HOME};"
        f" mount --bind {ray} /tmp/ray; mount -t tmpfs tmpfs /dev/shm;"
        f" exec {SSHD} -D -e -f {settings}"
    )
    unshare = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    with (folder / name / "sshd.log").open("wb") as log:
        outer = subprocess.Popen(
            ["ip", "netns", "exec", space, *unshare, "bash", "-c", script],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Host(space, address, home, _child(outer.pid))


def _child(pid: int) -> int:
    """The pid, as seen from here, of the first process in the new namespace."""
    for _ in range(100):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.05)
    raise OSError("a host did not start")


def _in(space: str, *command: str) -> None:
    _call("ip", "netns", "exec", space, *command)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
