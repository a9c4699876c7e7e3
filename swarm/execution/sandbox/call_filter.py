"""Runs a program that can move to no other CPU cores and, where that is asked for, can start no process. Linux.

    python -I -S call_filter.py threads|processes PROGRAM [ARGUMENT ...]

A slot is a share of a machine's cores: `sched_setaffinity` answers as if it had worked, and changes nothing. With
`threads` the program may start threads, and no process: where the kernel does not count the CPU time of processes that
nobody waits for, there are none. With `processes` it may start both, but none into another control group. What it takes
of a disk it has to write: calls that reserve space, which nobody would count, do not work, and libraries write instead.
The filter holds for the program and all its descendants, for good. Stdlib only, and nothing of the swarm, as its text
is run.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

THREADS, PROCESSES = "threads", "processes"
NO_NEW_PRIVILEGES, SET_SECCOMP = 38, 22  # of prctl(2)
CLONE3, CLONE_THREAD = 435, 0x10000
MACHINES = {  # as seccomp names them; sched_setaffinity, fallocate, ioctl, clone, and the calls that only start
    # processes: fork and vfork
    "x86_64": (0xC000003E, 203, 285, 16, 56, (57, 58)),
    "aarch64": (0xC00000B7, 122, 47, 29, 220, ()),
}
TAKING = (0x40305828, 0x4030582A, 0x40305839, 0x401C5820)  # of ioctl(2): FS_IOC_RESVSP, ..64, _ZERO_RANGE, _FSSETXATTR

_LOAD, _EQUAL, _AT_LEAST, _HAS, _GIVE = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF: a word of the call, questions, the answer
_ALLOWED, _ERROR = 0x7FFF0000, 0x00050000
_DONE, _REFUSED, _UNKNOWN, _UNSUPPORTED = _ERROR, _ERROR | 1, _ERROR | 38, _ERROR | 95  # errno 0, EPERM, ENOSYS, and
# EOPNOTSUPP, as file systems say that cannot do it
_CALL, _MACHINE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24  # places in what is asked


def works() -> bool:
    """Whether this machine has such filters, as far as this module knows it."""
    return sys.platform == "linux" and os.uname().machine in MACHINES


def command(argv: Sequence[str], may_start: str) -> list[str]:
    """`argv` with the filter around it; its text is in the command, as a sandbox may close the file."""
    return [sys.executable, "-I", "-S", "-c", Path(__file__).read_text(), may_start, *argv]


def enter(may_start: str) -> None:
    """Puts this process under the filter. OSError where the kernel refuses."""
    system = ctypes.CDLL(None, use_errno=True)
    lines = b"".join(struct.pack("=HBBI", code, yes, no, value) for code, yes, no, value in _program(may_start))
    buffer = ctypes.create_string_buffer(lines)
    program = struct.pack("@HP", len(lines) // 8, ctypes.addressof(buffer))
    for what, value in ((NO_NEW_PRIVILEGES, 1), (SET_SECCOMP, 2)):
        if system.prctl(what, value, program if what == SET_SECCOMP else 0, 0, 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _program(may_start: str) -> list[tuple[int, int, int, int]]:
    """What is asked, how many lines further if so, and if not."""
    machine, set_affinity, fallocate, ioctl, clone, forks = MACHINES[os.uname().machine]
    # clone3 hides its flags in memory: libraries fall back to clone
    calls = {set_affinity: _DONE, fallocate: _UNSUPPORTED, CLONE3: _UNKNOWN}
    if may_start == THREADS:
        calls |= dict.fromkeys(forks, _REFUSED)
    head = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, machine), (_GIVE, 0, 0, _REFUSED), (_LOAD, 0, 0, _CALL)]
    head += [(_AT_LEAST, 0, 1, 0x40000000), (_GIVE, 0, 0, _REFUSED)] if forks else []  # x32: the same calls once more
    asked = [line for call, answer in calls.items() for line in ((_EQUAL, 0, 1, call), (_GIVE, 0, 0, answer))]
    if may_start == THREADS:
        asked += [(_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_HAS, 1, 0, CLONE_THREAD)]
        asked += [(_GIVE, 0, 0, _REFUSED)]
    taking = [line for what in TAKING for line in ((_EQUAL, 0, 1, what), (_GIVE, 0, 0, _UNSUPPORTED))]
    asked += [(_EQUAL, 0, 1 + len(taking), ioctl), (_LOAD, 0, 0, _SECOND_ARGUMENT), *taking]
    return [*head, *asked, (_GIVE, 0, 0, _ALLOWED)]


def main() -> None:
    enter(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"{sys.argv[2]} cannot be started: {error}")
