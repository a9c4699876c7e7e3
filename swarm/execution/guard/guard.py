"""The guard: a small process between an agent and its trainer. It owns the process tree, the GPU's lock and the result.

    python -m swarm.execution.guard.guard FOLDER

It detaches itself from its parent (as Ray ends all descendants of its workers), takes the lock of its GPU, runs the
steps of FOLDER/guard.json one after another, and ends each step's whole process tree: when the step ends, at its
limits, on the line "stop" on stdin, and at the end of stdin, which means that the agent is gone. Only when no process
of the tree is left does it write FOLDER/result.json, report on stdout, and release the lock. Stdlib only: it starts in
0.1 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from swarm.errors import UsageError
from swarm.execution.guard.answers import make_room, take
from swarm.execution.guard.cpu_time import CpuTime
from swarm.execution.guard.fixed_files import changed_files
from swarm.execution.guard.kernel_limits import apply_limits
from swarm.execution.guard.resource_limits import AT_ONCE, ResourceMonitor
from swarm.execution.machine import process_table
from swarm.execution.machine.cpu_group import CpuGroup
from swarm.execution.machine.lock import HostLock
from swarm.execution.machine.plain_file import is_plain
from swarm.execution.machine.process_tree import ProcessTree
from swarm.execution.machine.removal import remove
from swarm.execution.machine.standstill import Standstill
from swarm.execution.reading.logs import LogPipe
from swarm.execution.spec import (
    GO,
    RESULT,
    ROOM,
    STATE,
    STOP,
    EndedBy,
    Result,
    Spec,
    State,
    Step,
    StepResult,
    write_whole,
)

_TICK = 0.1  # seconds between checks of the limits
_ROOM_BYTES = 2**18


class Guard:
    """Runs a spec's steps in one thread: every wait is a `_pump`, which handles whatever happens meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spec = Spec.read(folder)
        self._tree = ProcessTree()
        self._lock: HostLock | None = None
        self._early: dict[str, tuple[LogPipe, subprocess.Popen[bytes] | None]] = {}  # started before their turn
        self._called_off: EndedBy | None = None  # AGENT or STOP
        self._selector = selectors.DefaultSelector()
        self._standstill = Standstill()
        self._listen()

    def run(self) -> Result:
        """Runs everything, from the lock to the result file. Whatever happens, no process of the tree is left."""
        self._record(None)
        room = self._folder / ROOM  # which the result has, should a step fill the disk
        room.write_bytes(os.urandom(_ROOM_BYTES))
        done: list[StepResult] = []
        changed: tuple[str, ...] = ()
        error = self._take_lock()
        try:
            for step in self._spec.steps:
                if step.early and not error:
                    self._start_early(step)
            for step in self._spec.steps:
                if error or self._called_off or self._tree.survivors:
                    break
                done.append(self._run_step(step))
                changed = changed_files(self._spec)
                if changed or not done[-1].succeeded:
                    break
        finally:
            for _, child in self._early.values():  # whose turn never came
                if child:
                    self._tree.adopt(child.pid)
            self._end_tree()
        spec, survivors = self._spec, self._tree.survivors
        result = Result(spec.run, spec.attempt, tuple(done), changed, error, self._called_off, survivors)
        room.unlink(missing_ok=True)
        write_whole(self._folder / RESULT, asdict(result))
        return result

    def hold_lock(self) -> None:
        """Keeps the lock for as long as a process that could not be killed holds the GPU."""
        while self._tree.living():
            time.sleep(1.0)
            self._tree.reap()

    # -- one step ------------------------------------------------------------------------------------------------

    def _run_step(self, step: Step) -> StepResult:
        make_room(step)
        group = CpuGroup.make(step.nice) if step.group else None
        output, child = self._early.pop(step.name, None) or (self._output(step), None)
        if child:
            self._tree.adopt(child.pid)  # from now on it counts
        cpu = CpuTime(self._tree, group)
        usage = ResourceMonitor(step, self._tree, cpu)  # before it starts: what is there now is not its own
        started, clock, kills, still = time.time(), time.monotonic(), _memory_kills(), self._standstill.seconds
        result = StepResult(step.name, step.argv[0], started)
        try:
            result = self._watch(step, usage, child or self._start(step, output, group), result)
        except (OSError, subprocess.SubprocessError) as error:
            result = replace(result, error=f"{step.argv[0]} cannot be started: {error}")
        finally:
            self._selector.unregister(output.source)
            output.close()
        take(step)
        seconds = cpu.add(self._tree.living())
        if group:
            group.remove()
        result = replace(
            result,
            seconds=time.monotonic() - clock,
            cpu_seconds=seconds,
            counted_by=cpu.method,
            memory_killed=_memory_kills() > kills,
            log_broken=output.log.broken,
            stood_still=self._standstill.seconds - still,
        )
        left = usage.left()  # in any case: it cleans up too
        return replace(result, ended_by=result.ended_by or left, written_mb=usage.written_mb)

    def _output(self, step: Step) -> LogPipe:
        log = Path(step.log)
        if not is_plain(log):  # an earlier run, without a sandbox, may have left a pipe there
            remove(log)
        output = LogPipe(log)
        self._selector.register(output.source, selectors.EVENT_READ, output.pump)
        return output

    def _start(self, step: Step, output: LogPipe, group: CpuGroup | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            step.argv, cwd=step.cwd, env=dict(step.env), stdin=subprocess.PIPE if step.early else subprocess.DEVNULL,
            stdout=output.sink, stderr=output.sink, start_new_session=True,
            preexec_fn=lambda: apply_limits(step, group),
        )  # fmt: skip

    def _start_early(self, step: Step) -> None:
        """Starts a step before its turn. A failure shows when its turn comes and it is started again."""
        output, child = self._output(step), None
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            child = self._start(step, output)
            self._tree.exclude(child.pid)
        self._early[step.name] = output, child

    def _watch(
        self, step: Step, usage: ResourceMonitor, child: subprocess.Popen[bytes], result: StepResult
    ) -> StepResult:
        """Waits until the step's first process ends or must be ended, and ends all that is left of its tree."""
        self._tree.adopt(child.pid)
        with contextlib.suppress(OSError):  # the disk is full by now: a cleanup finds it by its environment
            self._record(step.name, child.pid)
        if child.stdin:
            with contextlib.suppress(BrokenPipeError), child.stdin as stdin:  # it may have ended already
                stdin.write(GO)
        reason = None
        while child.pid not in self._tree.exits and not reason:
            self._pump(_TICK)
            reason = self._called_off or usage.exceeded()
        self._end_tree(at_once=reason in AT_ONCE)
        result = replace(
            result,
            idle=usage.idle_seconds,
            memory_mb=usage.memory_mb,
            peak_mb=usage.peak_mb,
            gpu_peak_mb=usage.gpu_peak_mb,
            rewritten=usage.rewritten,
        )
        if usage.first and usage.last:
            result = replace(result, start=usage.first.wall, start_cpu=usage.first.cpu)
            result = replace(result, last=usage.last.wall, last_cpu=usage.last.cpu, compiled=usage.compiled)
        return self._with_exit(child, replace(result, ended_by=reason, max_rss_mb=usage.max_rss_mb))

    def _with_exit(self, child: subprocess.Popen[bytes], result: StepResult) -> StepResult:
        last = self._tree.exits.pop(child.pid, None)
        child.returncode = last.status if last else -signal.SIGKILL  # the tree waited for it, not Popen
        if last is None:  # it hangs in the kernel
            return replace(result, signal=signal.SIGKILL)
        largest = last.usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        peak = max(result.peak_mb or 0.0, largest)
        result = replace(result, max_rss_mb=max(result.max_rss_mb, largest), peak_mb=peak)
        if os.WIFEXITED(last.status):
            return replace(result, exit=os.WEXITSTATUS(last.status))
        return replace(result, signal=os.WTERMSIG(last.status))

    def _end_tree(self, at_once: bool = False) -> None:
        self._tree.terminate(0.0 if at_once else self._spec.grace, self._pump)

    # -- stdin, signals, lock and state ------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Handles stdin and signals: SIGTERM is a stop, SIGHUP and SIGINT are ignored, a dead child ends a wait."""
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write, 0):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # a handler, not SIG_IGN, which the trainer would inherit
        signal.signal(signal.SIGTERM, lambda *_: self._call_off(EndedBy.STOP))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Ray's workers block SIGINT, and children inherit that
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: os.read(wake_read, 4096))
        self._selector.register(0, selectors.EVENT_READ, self._read_stdin)

    def _pump(self, seconds: float) -> None:
        """Waits for events for at most `seconds`, and handles them."""
        for key, _ in self._standstill.over(self._selector.select, seconds):
            key.data()
        self._tree.reap()

    def _read_stdin(self) -> None:
        data = os.read(0, 4096)
        if not data:
            self._selector.unregister(0)
        if not data or STOP in data:
            self._call_off(EndedBy.STOP if data else EndedBy.AGENT)

    def _call_off(self, reason: EndedBy) -> None:
        self._called_off = self._called_off or reason

    def _take_lock(self) -> str | None:
        """Waits a bounded time for the lock of this GPU; why it cannot be taken, or None."""
        if self._spec.lock is None:
            return None
        deadline = time.monotonic() + self._spec.lock_wait
        try:
            self._lock = HostLock(Path(self._spec.lock))
            while not self._called_off and not self._lock.take(f"guard {os.getpid()} of run {self._spec.run}"):
                if time.monotonic() >= deadline:
                    return f"{self._lock.holder() or 'another run'} holds {self._spec.lock}"
                self._pump(_TICK)
        except OSError as error:
            return f"the lock {self._spec.lock} cannot be opened: {error}"
        except UsageError as error:
            return str(error)
        return None

    def _record(self, step: str | None, pid: int | None = None) -> None:
        """Writes the state file."""
        own = os.getpid()
        state = State(
            os.uname().nodename, own, process_table.birth(own), step, pid, process_table.birth(pid) if pid else None
        )
        write_whole(self._folder / STATE, asdict(state))


def _memory_kills() -> int:
    """How many processes the kernel ended for memory since this machine started."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _daemonize() -> None:
    """Two forks and a new session: from now on no ancestor, process group or terminal reaches this process."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)


def main() -> None:
    folder = Path(sys.argv[1])
    _daemonize()
    guard = Guard(folder)
    result = guard.run()
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps({"run": result.run, "attempt": result.attempt}).encode() + b"\n")
    os.close(1)
    guard.hold_lock()


if __name__ == "__main__":
    main()
