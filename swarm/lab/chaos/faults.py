"""The faults, each injected from outside: signals, limits, sockets, files. Each is False where it is impossible."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable

import psutil

from swarm.execution.spec import RESULT
from swarm.lab.chaos.target import TAG, TargetSwarm

Fault = Callable[[TargetSwarm, random.Random], bool]

LONGEST_STOP = 4.0  # seconds
JUMP = 86400.0  # seconds that a clock may jump, either way
FULL = 4096  # bytes after which every write to a file fails
PIDFD_GETFD = 438  # the system call's number, the same on all machines since Linux 5.6


def kill_trainer(target: TargetSwarm, chance: random.Random) -> bool:
    run = target.run(target.one_of_its_agents(chance))
    return bool(run) and _signal(run[1].step_pid, signal.SIGKILL)


def kill_guard(target: TargetSwarm, chance: random.Random) -> bool:
    run = target.run(target.one_of_its_agents(chance))
    return bool(run) and _signal(run[1].pid, signal.SIGKILL)


def kill_agent(target: TargetSwarm, chance: random.Random) -> bool:
    return _signal(target.agent(target.one_of_its_agents(chance)), signal.SIGKILL)


def kill_board(target: TargetSwarm, chance: random.Random) -> bool:
    return _signal(target.of_ray("ray::BoardActor"), signal.SIGKILL)


def kill_raylet(target: TargetSwarm, chance: random.Random) -> bool:
    return _signal(target.of_ray("raylet"), signal.SIGKILL)


def kill_gcs(target: TargetSwarm, chance: random.Random) -> bool:
    return _signal(target.of_ray("gcs_server"), signal.SIGKILL)


def kill_head(target: TargetSwarm, chance: random.Random) -> bool:
    return _signal(target.head.pid, signal.SIGKILL)


def kill_agent_and_guard(target: TargetSwarm, chance: random.Random) -> bool:
    """Both at once: only the kernel, or the next start of the agent, can end the training."""
    name = target.one_of_its_agents(chance)
    run = target.run(name)
    return bool(run) and _signal(target.agent(name), signal.SIGKILL) and _signal(run[1].pid, signal.SIGKILL)


def hang_up(target: TargetSwarm, chance: random.Random) -> bool:
    """The terminal is closed: its whole session gets SIGHUP."""
    os.killpg(target.head.pid, signal.SIGHUP)
    return True


def stop_for_a_while(target: TargetSwarm, chance: random.Random) -> bool:
    """SIGSTOP for some seconds: a machine that swaps, sleeps, or is debugged."""
    name = target.one_of_its_agents(chance)
    run = target.run(name)
    candidates = [target.agent(name), target.of_ray("ray::BoardActor"), target.head.pid]
    candidates += [run[1].pid, run[1].step_pid] if run else []
    chosen = chance.choice(candidates)
    if not _signal(chosen, signal.SIGSTOP):
        return False
    time.sleep(chance.uniform(1.0, LONGEST_STOP))
    _signal(chosen, signal.SIGCONT)
    return True


def fill_disk(target: TargetSwarm, chance: random.Random) -> bool:
    """No Python process of the swarm can write to a file for some seconds."""
    if sys.platform != "linux":
        return False
    _limit_writes(target, FULL)
    time.sleep(chance.uniform(1.0, LONGEST_STOP))
    for _ in range(3):  # what was started meanwhile inherited the limit
        _limit_writes(target, None)
    return True


def cut_connections(target: TargetSwarm, chance: random.Random) -> bool:
    """Shuts down every TCP connection of the board or of an agent."""
    chosen = chance.choice([target.of_ray("ray::BoardActor"), target.agent(target.one_of_its_agents(chance))])
    if sys.platform != "linux" or chosen is None:
        return False
    try:
        handle = os.pidfd_open(chosen.pid)
    except OSError:
        return False
    try:
        connected = [c.fd for c in chosen.net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED]
        return sum(_shut_down(handle, number) for number in connected) > 0
    except psutil.Error:
        return False
    finally:
        os.close(handle)


def lock_refs(target: TargetSwarm, chance: random.Random) -> bool:
    """Git refuses every update of refs for some seconds, as a git that died before leaves it."""
    lock = target.root / ".git" / "refs" / "heads" / "autoresearch" / f"{TAG}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    time.sleep(chance.uniform(1.0, LONGEST_STOP))
    lock.unlink()
    return True


def jump_clock(target: TargetSwarm, chance: random.Random) -> bool:
    """Every clock of head, board and agents is suddenly up to a day off; it stays so until the next jump."""
    _order(target, "clock", f"{chance.uniform(-JUMP, JUMP):.0f}")
    return True


def corrupt_result(target: TargetSwarm, chance: random.Random) -> bool:
    """The file in which a guard wrote how its run ended holds garbage when the agent comes to read it."""
    name = target.one_of_its_agents(chance)
    agent, run = target.agent(name), target.run(name)
    if agent is None or run is None or not _signal(agent, signal.SIGSTOP):
        return False
    result, deadline = run[0] / RESULT, time.monotonic() + 10
    while not result.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    corrupted = result.exists()
    if corrupted:
        result.write_bytes(chance.randbytes(200))
    _signal(agent, signal.SIGCONT)
    return corrupted


def lose_acknowledgement(target: TargetSwarm, chance: random.Random) -> bool:
    """The board dies right after it committed something, before it can answer."""
    order = target.orders / "forget"
    order.touch()
    deadline = time.monotonic() + 20
    while order.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    taken = not order.exists()
    order.unlink(missing_ok=True)
    return taken


FAULTS: dict[str, tuple[int, Fault]] = {  # with the relative frequency of each
    "trainer killed": (3, kill_trainer),
    "guard killed": (3, kill_guard),
    "agent killed": (4, kill_agent),
    "agent and guard killed": (2, kill_agent_and_guard),
    "board killed": (3, kill_board),
    "acknowledgement lost": (4, lose_acknowledgement),
    "connections cut": (3, cut_connections),
    "stopped for a while": (3, stop_for_a_while),
    "disk full": (3, fill_disk),
    "refs locked": (2, lock_refs),
    "clock jumped": (2, jump_clock),
    "result corrupted": (3, corrupt_result),
    "terminal closed": (1, hang_up),
    "raylet killed": (1, kill_raylet),
    "gcs killed": (1, kill_gcs),
    "head killed": (2, kill_head),
}


def _signal(process: psutil.Process | int | None, number: signal.Signals) -> bool:
    """Whether there was a process to send it to."""
    pid = process.pid if isinstance(process, psutil.Process) else process
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, number)
            return True
    return False


def _limit_writes(target: TargetSwarm, size: int | None) -> None:
    """Sets, or takes away, the largest size of files; not for Ray's own programs, which a signal would end."""
    for process in target.processes():
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            name = process.name()
            if not name.startswith(("python", "ray::BoardActor", "ray::AgentActor")):
                continue
            _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
            process.rlimit(psutil.RLIMIT_FSIZE, (hard if size is None else size, hard))


def _shut_down(handle: int, number: int) -> bool:
    """Closes a socket of another process for both sides."""
    copy = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, handle, number, 0)
    if copy < 0:
        return False
    with contextlib.suppress(OSError), socket.socket(fileno=copy) as connection:
        connection.shutdown(socket.SHUT_RDWR)
    return True


def _order(target: TargetSwarm, name: str, text: str) -> None:
    draft = target.orders / f".{name}"
    draft.write_text(text)
    draft.replace(target.orders / name)
