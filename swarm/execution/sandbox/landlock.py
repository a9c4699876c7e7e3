"""Runs a program in a sandbox that needs no privilege: Landlock for files, seccomp for the network.

    python -I -S landlock.py RULES PROGRAM [ARGUMENT ...]

RULES is a JSON object of lists of paths, or the path of a file with one. The program finds this machine read-only,
without what is `closed`; of that, what is `readable` all the same; nothing `secret`; and may write to `writable`, whose
first folder holds its temporary files: what it finds as /tmp, where the kernel lets a user have mounts and nothing that
it needs lies there. It may write to `devices`, too. It gets no network, not even TCP to itself, unless `network`
is "open"; no memory that is shared by a number, no signal out (Linux 6.12), and nothing of root's powers. Where the
kernel lets a user have mounts (mounts), everything else is read-only in every respect, and /dev/shm its own. Elsewhere
what Landlock does not know stays open: the modes, times and attributes of files that its user owns, and /dev/shm where
it is among `devices`; and everywhere sockets that lie in files, and before Linux 6.12 those with abstract names. No
mode takes the owner's own rights away, though, which would close files to whoever started this: such a call answers as
if it had worked. Linux 6.2. Stdlib only, and nothing of the swarm, as it is run by its path.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import stat
import struct
import sys
import zlib
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

NEEDED = 3  # the interface of Linux 6.2: before it, nothing kept a file from being truncated
SCOPED = 6  # the one that also knows signals
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, with the same numbers on every machine
READ = 0b1101  # execute, read files, list folders: the lowest bits of what the kernel knows
LIST = 0b1000
FILE = 0b100_0000_0000_0111  # of all rights, those that a single file has
EVERYTHING = 0x7FFF
SET_SECCOMP, NO_NEW_PRIVILEGES = 22, 38  # of prctl(2)
CAPABILITIES = 0x20080522  # the version of capset(2)
COMMON = "/tmp"
TEMPORARY, LINKS, LINK = ".tmp", Path(COMMON), "swarm-tmp-"  # where temporary files lie, and the short way there
TOKENS = "HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH"  # Hugging Face ends on a token that may not be read, not on none
MOUNT_SETATTR, READ_ONLY, BELOW, HERE = 442, 1, 0x8000, -100  # a system call, and what it takes
PRIVATE, BIND = 0x44000, 0x5000  # of mount(2), with all mounts below
OWN_SPACES = 0x10000000 | 0x00020000 | 0x08000000  # of unshare(2): users, mounts, shared memory
UNIX, INTERNET, INTERNET_6, NETLINK, NETLINK_ROUTE = 1, 2, 10, 16, 0  # families of sockets, and a protocol
IO_URING_SETUP = 425  # a call that could open one in secret
SETXATTRAT = 463
SELF, OWN_PRIORITY, OWN_IO_PRIORITY = (0,), (0, 0), (1, 0)  # first arguments of calls that concern the caller alone
OWNERS_RIGHTS = 0o700
MACHINES = {  # as seccomp names them; socket(2); what a process may do to itself alone: prlimit64, sched_setparam,
    # sched_setscheduler, sched_setattr, setpriority, ioprio_set; what is refused: System V's shared memory, semaphores
    # and messages, mq_open, the kernel's keyrings, and attributes of files, all of which outlive a run; which argument
    # is the mode that a call gives to a file: chmod, fchmod, fchmodat, fchmodat2
    "x86_64": (
        *(0xC000003E, 41, {**dict.fromkeys((302, 142, 144, 314), SELF), 141: OWN_PRIORITY, 251: OWN_IO_PRIORITY}),
        (29, 30, 31, *range(64, 72), 188, 189, 190, 220, 240, 248, 249, 250),
        {90: 1, 91: 1, 268: 2, 452: 2},
    ),
    "aarch64": (
        *(0xC00000B7, 198, {**dict.fromkeys((261, 118, 119, 274), SELF), 140: OWN_PRIORITY, 30: OWN_IO_PRIORITY}),
        (5, 6, 7, 180, *range(186, 198), 217, 218, 219),
        {52: 1, 53: 2, 452: 2},
    ),
}


def version() -> int:
    """The version of Landlock that this kernel has; 0 where there is none, or none that can be used here."""
    if sys.platform != "linux" or os.uname().machine not in MACHINES:
        return 0
    return max(0, _kernel().syscall(CREATE_RULESET, None, 0, 1))


@functools.cache
def mounts() -> bool:
    """Whether a program in here has mounts of its own, where this kernel lets a user make some: then what it may not
    write to is read-only in all respects, its mode, times and attributes too, and /dev/shm is its own. Tried, in a
    process of its own."""
    if not version():
        return False
    child = os.fork()
    if child == 0:
        refused = 1
        try:
            _mount(())
            refused = 0
        finally:  # nothing of the parent may go on in here
            os._exit(refused)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _mount(writable: Iterable[str], temporary: str = "") -> None:
    """Gives this process mounts of its own: all read-only but `writable`, and an empty /dev/shm. The folder `temporary`
    is its /tmp."""
    system, user, group = _kernel(), os.geteuid(), os.getegid()
    _done(system.unshare(OWN_SPACES))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", name).write_text(text)
    _done(system.mount(None, b"/", None, PRIVATE, None))
    paths = [os.fsencode(path) for path in writable]
    sources = {path: path for path in paths} | ({os.fsencode(COMMON): os.fsencode(temporary)} if temporary else {})
    for path, source in sources.items():
        _done(system.mount(source, path, None, BIND, None))
    attributes = struct.pack("=4Q", READ_ONLY, 0, 0, 0)
    _done(system.syscall(MOUNT_SETATTR, HERE, b"/", BELOW, attributes, len(attributes)))
    attributes = struct.pack("=4Q", 0, READ_ONLY, 0, 0)
    for path in sources:
        _done(system.syscall(MOUNT_SETATTR, HERE, path, BELOW, attributes, len(attributes)))
    if Path("/dev/shm").is_dir():
        _done(system.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"mode=1777"))
    os.chdir(Path.cwd())  # as it is mounted now


def enter(rules: dict[str, list[str]]) -> None:
    """Restricts this process and all its descendants for good, and tells them by TMPDIR where temporary files go.
    OSError where the kernel refuses."""
    system, own, writable, mounted = _kernel(), _own_temporary(rules), rules["writable"], mounts()
    if writable:
        os.environ["TMPDIR"] = COMMON if own else _temporary(writable[0])
    if mounted:
        _mount(writable, own)
    closed, secret = ({os.path.realpath(path) for path in rules[name]} for name in ("closed", "secret"))
    scope = 0b11 if version() >= SCOPED else 0
    attributes = struct.pack("=QQQ", EVERYTHING, 0, scope)
    ruleset = _done(system.syscall(CREATE_RULESET, attributes, len(attributes), 0))
    hidden = closed | secret
    above = _above(hidden)
    _open(ruleset, "/", hidden, above, listed=False)
    for path in map(os.path.realpath, rules["readable"]):
        _open(ruleset, path, hidden - ({path} & closed - secret), above, listed=True)
    for path in (*writable, *rules["devices"], *([COMMON] if own else [])):
        _allow(ruleset, path, EVERYTHING)
    _done(system.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))  # from now on not even root gets a power by starting a program
    _done(system.capset(struct.pack("=Ii", CAPABILITIES, 0), bytes(24)))  # none of those it has, which it always may
    _done(system.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    _unplug(system, (UNIX, NETLINK, INTERNET, INTERNET_6) if rules["network"] else (UNIX, NETLINK), modes=mounted)


def _above(paths: Set[str]) -> Set[str]:
    """All folders that any of these paths lies in."""
    return {path[:end] or "/" for path in paths for end, letter in enumerate(path) if letter == "/"}


def _open(ruleset: int, path: str, hidden: Set[str], above: Set[str], listed: bool) -> None:
    """Lets `path` be read except what is `hidden` in it; `above` are all folders that something hidden lies in. Rules
    only ever add rights, so that the way down to it is made of its neighbours; names on it can be `listed` or not."""
    if path in hidden:
        return
    if path not in above:
        _allow(ruleset, path, READ)
        return
    if listed:
        _allow(ruleset, path, LIST)
    entries: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError):  # closed to this user anyway, or a mount whose other end is gone
        entries += os.scandir(path)
    for entry in entries:
        if not entry.is_symlink():  # what it leads to is opened where it lies
            _open(ruleset, entry.path, hidden, above, listed)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # gone, or closed to this user anyway
        return
    try:
        rights &= EVERYTHING if stat.S_ISDIR(os.fstat(descriptor).st_mode) else FILE
    except OSError:  # a mount whose other end is gone
        rights = 0
    rule = struct.pack("=Qi", rights, descriptor)
    if rights:
        _done(_kernel().syscall(ADD_RULE, ruleset, 1, rule, 0))
    os.close(descriptor)


def _unplug(system: ctypes.CDLL, families: Sequence[int], modes: bool) -> None:
    """From now on only sockets of these `families` can be made, whatever the path to one; no shared memory, message,
    semaphore or key that is known by a number, as others of this user's could be read; no attribute of a file; no
    limits and priorities of other processes can be set, which would end them, slow them down, or be seen later; and
    files get only such `modes` as leave their owner all rights, or any."""
    program = _program(families, modes)
    lines = b"".join(struct.pack("=HBBI", code, yes, no, value) for code, yes, no, value in program)
    buffer = ctypes.create_string_buffer(lines)
    _done(system.prctl(SET_SECCOMP, 2, struct.pack("@HP", len(program), ctypes.addressof(buffer)), 0, 0))


def _program(families: Sequence[int], modes: bool) -> list[tuple[int, int, int, int]]:
    """The filter: what is asked, how many lines further if so, and if not."""
    machine, socket_call, own, refused, changes = MACHINES[os.uname().machine]
    load, equal, at_least, keep, give = 0x20, 0x15, 0x35, 0x54, 0x06  # BPF: a word of the call, comparisons, the bits
    # of it that count, the answer
    argument = 16  # where the first one lies; each takes 8 bytes
    allow, deny, done, on = "allow", "deny", "done", 0
    lines: list[tuple[int, int | str, int | str, int]] = [
        (load, on, on, 4),
        (equal, on, deny, machine),  # another machine's calls have other numbers
        (load, on, on, 0),
        (at_least, deny, on, 0x40000000),  # x32
        *((equal, deny, on, call) for call in (*refused, IO_URING_SETUP, SETXATTRAT)),
    ]
    for call, place in {} if modes else changes.items():
        lines += [(equal, on, 3, call), (load, on, on, argument + 8 * place), (keep, on, on, OWNERS_RIGHTS)]
        lines += [(equal, allow, done, OWNERS_RIGHTS)]
    for call, wanted in own.items():
        lines.append((equal, on, 2 * len(wanted), call))
        for place, value in enumerate(wanted):
            last = place == len(wanted) - 1
            lines += [(load, on, on, argument + 8 * place), (equal, allow if last else on, deny, value)]
    lines += [(equal, on, allow, socket_call), (load, on, on, argument)]
    lines += [(equal, allow, on, family) for family in families if family != NETLINK]
    if NETLINK in families:  # to ask the kernel which addresses there are; by other protocols two programs can talk
        lines += [(equal, on, 2, NETLINK), (load, on, on, argument + 16), (equal, allow, deny, NETLINK_ROUTE)]
    gives = {deny: 0x00050000 | 13, allow: 0x7FFF0000, done: 0x00050000}  # "Permission denied", allowed, 0
    answers = {answer: len(lines) + number for number, answer in enumerate(gives)}

    def further(jump: int | str, at: int) -> int:
        return jump if isinstance(jump, int) else answers[jump] - at - 1

    program = [(code, further(yes, at), further(no, at), value) for at, (code, yes, no, value) in enumerate(lines)]
    return [*program, *((give, 0, 0, what) for what in gives.values())]


@functools.cache
def _kernel() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _own_temporary(rules: dict[str, list[str]]) -> str:
    """The folder that a program finds as /tmp, as many write there by name; empty where it cannot have one, or where
    something that it needs lies in this machine's."""
    needed = [os.path.realpath(path) for name in ("readable", "writable", "devices") for path in rules[name]]
    if not rules["writable"] or not mounts() or any(Path(path).is_relative_to(COMMON) for path in needed):
        return ""
    place = Path(rules["writable"][0], TEMPORARY).resolve()
    place.mkdir(exist_ok=True)
    return str(place)


def _temporary(folder: str) -> str:
    """A place for temporary files in `folder`, by a path that is short enough for the sockets which PyTorch's workers
    put there: a link beside other users' files, remade where it is not ours, and removed once its folder is gone."""
    place = Path(folder, TEMPORARY).resolve()
    place.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        for link in LINKS.glob(LINK + "*"):
            if link.is_symlink() and not link.exists():
                link.unlink(missing_ok=True)
    link = LINKS / f"{LINK}{os.getuid()}-{zlib.crc32(os.fsencode(place)):08x}"
    with contextlib.suppress(OSError):
        link.symlink_to(place)
    with contextlib.suppress(OSError):
        if link.lstat().st_uid == os.getuid() and link.readlink() == place:
            return str(link)
    return str(place)


def main() -> None:
    rules = json.loads(sys.argv[1] if sys.argv[1].startswith("{") else Path(sys.argv[1]).read_text())
    os.environ |= dict.fromkeys(TOKENS, "/dev/null")
    enter(rules)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"landlock: {error}")
