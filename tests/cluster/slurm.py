"""A Slurm of our own on this machine: one controller, one node, two partitions, of which `urgent` preempts `main`.

Needs root on Linux and Debian's slurm-wlm. Nothing of the machine's own Slurm is used.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
SETTINGS = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
SlurmUser=root
SlurmctldPort={one}
SlurmdPort={two}
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/node.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/node.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=120
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10
"""


@dataclass(frozen=True)
class Slurm:
    """A running one; `environment` is what its commands need."""

    folder: Path
    environment: Mapping[str, str]

    def call(self, *command: str, **more: str) -> str:
        """What a command of Slurm answers."""
        around = {**self.environment, **more}
        done = subprocess.run(command, capture_output=True, text=True, env=around, check=False, timeout=120)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What Slurm knows of a job."""
        words = self.call("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)


def lacking() -> str:
    """Why no Slurm can be run here, or ""."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a Slurm of our own needs root on Linux"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"{', '.join(missing)} missing: apt-get install slurm-wlm" if missing else ""


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """One that runs while this lasts. OSError where it does not come up."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = {"one": one.getsockname()[1], "two": two.getsockname()[1]}
    host = socket.gethostname().partition(".")[0]
    settings = folder / "slurm.conf"
    settings.write_text(SETTINGS.format(host=host, folder=folder, cpus=os.cpu_count(), **ports))
    environment = {**os.environ, "SLURM_CONF": str(settings)}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in (["slurmctld", "-D", "-f", str(settings)], ["slurmd", "-D", "-f", str(settings)]):
            with (folder / f"{command[0]}.out").open("wb") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        found = Slurm(folder, environment)
        _until_idle(found, running)
        yield found
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()


def _until_idle(found: Slurm, running: list[subprocess.Popen[bytes]]) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends and all(process.poll() is None for process in running):
        asked = ["scontrol", "--oneliner", "show", "node"]
        told = subprocess.run(asked, capture_output=True, text=True, env=found.environment, check=False)
        if "State=IDLE" in told.stdout:
            return
        time.sleep(0.5)
    logs = "".join(file.read_text(errors="replace")[-1500:] for file in sorted(found.folder.glob("*.log")))
    raise OSError(f"Slurm does not come up here: {logs}")
