"""The seal around a reader: what it may still do, and that anything else is seen and stopped.

python -m pytest tests/trainer/test_seal.py
"""

import ctypes
import errno
import fcntl
import math
import mmap
import os
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from trainer import seal

pytestmark = pytest.mark.skipif(not seal.works(), reason="this kernel seals no process")

Act = Callable[[], object]


class Broken(Exception):
    """The reader was stopped; the message is the call."""


@contextmanager
def reader(before: Act, after: Act) -> Iterator[tuple[socket.socket, seal.Watch]]:
    """A process under the seal that does one thing while it loads, and another one when it is sealed."""
    (here, there), (hand, taker) = socket.socketpair(), socket.socketpair()
    there_number, hand_number = there.fileno(), taker.fileno()
    child = os.fork()
    if child == 0:
        try:
            seal.hide()
            channel = there.fileno()
            seal.enter(channel, taker.detach())
            for act in (before, after):
                os.read(channel, 1)
                said = _said(act)
                os.write(channel, said.encode()[:4000] + b"\n")
        finally:
            os._exit(0)
    there.close()
    taker.close()
    watch = seal.Watch(hand, lambda: here.shutdown(socket.SHUT_RDWR), (there_number, hand_number))
    try:
        yield here, watch
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        watch.close()
        hand.close()
        here.close()


def _said(act: Act) -> str:
    try:
        return f"done {act()!r}"
    except OSError as error:
        return f"{errno.errorcode[error.errno or 0]}"


def loading(act: Act) -> str:
    """What comes of this while a model is loaded."""
    with reader(act, lambda: None) as (here, _):
        here.sendall(b".")
        return here.recv(4096).decode().strip()


def sealed(act: Act, before: Act = lambda: None) -> str:
    """What comes of this in a sealed reader; `before` is done while the model is loaded."""
    with reader(before, act) as (here, watch):
        here.settimeout(60)
        here.sendall(b".")
        here.recv(4096)
        watch.seal()
        here.sendall(b".")
        said = here.recv(4096).decode().strip()
        if watch.broken:
            raise Broken(watch.broken)
        return said


SYSTEM = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> Act:
    """A system call as a reader could make it by itself, whatever Python offers."""
    number = seal.number(name)
    return lambda: _checked(SYSTEM.syscall(number, *arguments))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def sockets() -> list[int]:
    """The numbers of what can be spoken through: the channel, and the way to the referee."""
    links = {number: Path(f"/proc/self/fd/{number}") for number in range(3, 256)}
    return [number for number, link in links.items() if link.is_symlink() and link.readlink().match("socket:*")]


FILE = os.open(__file__, os.O_RDONLY)
PIPE = os.pipe()
SHARED = mmap.mmap(-1, 4096)

TALK = {
    "a file to write": (lambda: os.open(__file__, os.O_WRONLY), "openat"),
    "a file to read": (lambda: os.open(__file__, os.O_RDONLY), "openat"),
    "a file made in memory": (lambda: os.open("/dev/shm/x", os.O_RDWR | os.O_CREAT), "openat"),
    "a file's length": (lambda: os.fstat(FILE), "fstat|newfstatat"),
    "a file's times": (lambda: os.utime(FILE, (1, 1)), "utimensat"),
    "a file's mode": (lambda: os.fchmod(FILE, 0o644), "fchmod"),
    "a file's attributes": (lambda: os.getxattr(__file__, "user.x"), "getxattr"),
    "what is in a folder": (lambda: os.scandir("/tmp"), "openat"),
    "a file that is open already": (lambda: os.pread(FILE, 1, 0), "pread64"),
    "where it was read to": (lambda: os.lseek(FILE, 7, 0), "lseek"),
    "an inherited pipe, to write": (lambda: os.write(PIPE[1], b"x"), "write"),
    "an inherited pipe, to read": (lambda: os.read(PIPE[0], 1), "read"),
    "a pipe's size": (lambda: fcntl.fcntl(PIPE[1], 1031, 8192), "fcntl"),
    "a lock on a file": (lambda: fcntl.lockf(FILE, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 7), "fcntl"),
    "a lock on a whole file": (lambda: fcntl.flock(FILE, fcntl.LOCK_SH), "flock"),
    "a signal": (lambda: os.kill(os.getppid(), 0), "getppid|kill"),
    "a signal to anybody": (call("kill", -1, 0), "kill"),
    "a terminal": (lambda: os.isatty(FILE), "ioctl"),
    "a socket": (lambda: socket.socket(socket.AF_UNIX), "socket"),
    "words beside the channel": (call("sendto", 3, b"x", 1, 0, None, 0), "sendto"),
    "shared memory by number": (call("shmget", 7, 4096, 0o1600), "shmget"),
    "a semaphore": (call("semget", 7, 1, 0o1600), "semget"),
    "a message queue": (call("msgget", 7, 0o1600), "msgget"),
    "keys that all processes share": (call("add_key", b"user", b"x", b"rows", 4, -3), "add_key"),
    "another process's memory": (call("process_vm_readv", 1, None, 0, None, 0, 0), "process_vm_readv"),
    "another process's files": (call("pidfd_getfd", 3, 1, 0), "pidfd_getfd"),
    "a process": (os.fork, "getpid|clone|fork"),
    "a program": (call("execve", b"/bin/true", None, None), "execve"),
    "a thread": (lambda: threading.Thread(target=int).start(), "clone3?"),
    "a file as memory": (lambda: mmap.mmap(FILE, 10, prot=mmap.PROT_READ), "fcntl|fstat|mmap|newfstatat"),
    "which pages are in memory": (call("mincore", 0, 4096, None), "mincore"),
    "pages thrown out for all": (call("madvise", None, 4096, 21), "madvise"),
    "another core": (lambda: os.sched_setaffinity(0, {0}), "sched_setaffinity"),
    "the machine's memory": (call("sysinfo", ctypes.create_string_buffer(256)), "sysinfo"),
    "calls in a queue": (call("io_uring_setup", 1, ctypes.create_string_buffer(256)), "io_uring_setup"),
    "a call nobody heard of": (lambda: _checked(SYSTEM.syscall(1000)), "system call 1000"),
    "another filter": (call("seccomp", 1, 0, None), "seccomp"),
}  # fmt: skip


@pytest.mark.parametrize("way", TALK)
def test_a_sealed_reader_that_does_anything_but_compute_is_stopped_and_told(way: str) -> None:
    act, name = TALK[way]
    with pytest.raises(Broken) as stopped:
        sealed(act)
    assert str(stopped.value) in name.replace("clone3?", "clone|clone3").split("|")


def work() -> float:
    """What a model does: memory, arithmetic in as many threads as before, the clock, random numbers."""
    with torch.no_grad():
        large = torch.randn(400, 400) @ torch.randn(400, 400)
        kept = [torch.zeros(size) for size in (10, 10**5, 10**7)]
        attended = torch.nn.functional.scaled_dot_product_attention(*(torch.randn(2, 4, 64, 32) for _ in range(3)))
    time.sleep(0.001)
    return float(large.sum() * 0 + kept[-1].sum() + attended.sum() * 0) + (time.perf_counter() + time.time()) * 0


@pytest.mark.parametrize("threads", [1, 3])
def test_a_sealed_reader_computes(threads: int) -> None:
    def first() -> float:
        torch.set_num_threads(threads)
        return work()

    assert sealed(work, first) == "done 0.0"


QUIET = {
    "a file to write": (lambda: os.open("/tmp/x", os.O_WRONLY), "EROFS"),
    "a file to make": (lambda: os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR), "EROFS"),
    "a file both could map": (lambda: os.memfd_create("x"), "EPERM"),
    "a socket": (lambda: socket.socket(socket.AF_UNIX), "EPERM"),
    "a lock": (lambda: fcntl.lockf(FILE, fcntl.LOCK_SH | fcntl.LOCK_NB, 1), "EPERM"),
    "a signal": (lambda: os.kill(os.getpid(), 0), "EPERM"),
    "another process's files": (lambda: os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR), "EROFS"),
    "to be looked into": (lambda: _checked(SYSTEM.prctl(seal.SET_DUMPABLE, 1, 0, 0, 0)), "EPERM"),
    "a process": (os.fork, "EPERM"),
    "another process's limits": (call("prlimit64", os.getpid(), 7, None, ctypes.create_string_buffer(16)), "EPERM"),
    "a name for a mode": (lambda: Path(__file__).chmod(0o644), "EPERM"),
    "shared memory": (call("shmget", 7, 4096, 0o1600), "EPERM"),
    "a file as memory": (lambda: mmap.mmap(FILE, 10, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE), "EPERM"),
    "a file as memory that a library would be": (
        call("mmap", None, 4096, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, FILE, 0), "EPERM"),
    "another file in the channel's place": (lambda: [os.dup2(PIPE[1], number) for number in sockets()], "EPERM"),
    "a number in it for the next file": (lambda: [os.close(number) for number in sockets()], "EPERM"),
    "the same for all numbers": (call("close_range", 0, 2**32 - 1, 0), "EPERM"),
    "numbers of its own for a thread": (call("close_range", 3, 2**31, 2), "EPERM"),
}  # fmt: skip


@pytest.mark.parametrize("way", QUIET)
def test_what_could_be_left_for_another_is_refused_while_a_model_is_loaded(way: str) -> None:
    act, code = QUIET[way]
    assert loading(act) == code


def test_loading_reads_files_and_starts_threads() -> None:
    def load() -> str:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        os.dup2(FILE, os.dup(FILE))  # other numbers are its own affair
        return Path(__file__).read_text()[:3]

    assert loading(load) == 'done \'"""\''


def test_a_hidden_process_cannot_be_looked_into_by_one_like_it() -> None:
    """A reader that could open the other one's channel would read what that one is asked."""
    with reader(lambda: None, lambda: None) as (here, _):
        here.sendall(b".")
        here.recv(4096)  # it is under the seal, and waits
        other = max(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_ours(entry))
        drop = "import ctypes, os, sys; ctypes.CDLL(None).capset(b'\\x22\\x05\\x08\\x20' + bytes(4), bytes(24)); "
        script = drop + f"os.open('/proc/{other}/mem', os.O_RDONLY)"
        child = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", script])
        assert child == 1


def _is_ours(entry: Path) -> bool:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    except OSError:
        return False


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_lets_through_what_computing_needs_and_puts_the_rest_before_the_watch(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run line by line, as the kernel does, on both machines."""
    monkeypatch.setattr(os, "uname", lambda: type("Uname", (), {"machine": machine})())
    lines, foreign = seal.program(5, 6), {"x86_64": 0xC00000B7, "aarch64": 0xC000003E}[machine]
    own = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]

    def answer(name: str, *arguments: int, architecture: int = own) -> int:
        call = struct.pack("=iIQ6Q", seal.number(name), architecture, 0, *arguments, *[0] * (6 - len(arguments)))
        return run_filter(lines, call)

    for name in seal._COMPUTING:
        assert answer(name) == seal.ALLOW
        assert answer(name, architecture=foreign) == seal.KILL
    assert [answer("read", number) for number in (5, 6, 0)] == [seal.ALLOW, seal.NOTIFY, seal.NOTIFY]
    assert [answer("write", number) for number in (5, 1, 2)] == [seal.ALLOW, seal.NOTIFY, seal.NOTIFY]
    assert [answer("sendmsg", number) for number in (6, 5)] == [seal.ALLOW, seal.NOTIFY]
    assert [answer("mmap", 0, 9, 3, flags) for flags in (0x22, 0x21, 0x01, 0x02)] == [
        *[seal.ALLOW] * 2, *[seal.NOTIFY] * 2,
    ]  # fmt: skip
    assert [answer("madvise", 0, 9, advice) for advice in (4, 21)] == [seal.ALLOW, seal.NOTIFY]
    others = {*seal._NUMBERS} - {*seal._COMPUTING, "read", "write", "sendmsg", "mmap", "madvise"}
    assert {answer(name) for name in others if seal.number(name) >= 0} == {seal.NOTIFY}


def run_filter(lines: list[tuple[int, int, int, int]], call: bytes) -> int:
    """What a BPF program answers to a system call, by an interpreter of the few instructions that occur."""
    at, word = 0, math.nan
    while True:
        code, yes, no, value = lines[at]
        match code:
            case seal.LOAD:
                (word,) = struct.unpack_from("=I", call, value)
            case seal.GIVE:
                return value
            case _:
                known = int(word)
                found = {seal.EQUAL: known == value, seal.AT_LEAST: known >= value, seal.ANY_OF: bool(known & value)}
                at += yes if found[code] else no
        at += 1
