"""Named outcomes that end a verb. Everything else that is raised is a bug."""

import errno

# What an operating system says where the machine is at fault; all else is about what was asked of it.
_OF_THE_MACHINE = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EIO", "ENOMEM", "EAGAIN", "EMFILE", "ENFILE", "EROFS", "ESTALE", "ENODEV", "ENXIO"),
        *("EBUSY", "ENOLCK", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ECONNRESET"),
    )
)


def is_of_the_machine(error: OSError) -> bool:
    """Whether the machine failed (a full disk, no process left), and not what was asked of it (an odd file name)."""
    return error.errno in _OF_THE_MACHINE


class SwarmError(Exception):
    """One line for people, with the remedy. The command line prints it and exits 1."""

    exit_code = 1


class UsageError(SwarmError):
    """Bad input: nothing was changed. Exit code 2."""

    exit_code = 2


class OutOfReach(UsageError):
    """A file or folder that the system does not let be used: mostly another user's. The remedy is with its owner."""

    def __init__(self, path: object, error: OSError):
        told = f"{path} cannot be used ({error.strerror or error})"
        if isinstance(error, PermissionError):
            told += ": it is another user's, as after `sudo swarm launch`; make it yours with `sudo chown -R`"
        super().__init__(told)


class LedgerDamaged(SwarmError):
    """What stands in a ledger cannot be what was written there: the disk or another program changed it."""

    exit_code = 2

    def __init__(self, path: object, why: object):
        said = " ".join(f"{type(why).__name__}: {why}".split())[:200] if isinstance(why, Exception) else why
        super().__init__(
            f"{path} is damaged ({said}): move it away to start anew; what was kept is in git, under"
            " refs/experiments and in the branches autoresearch/*"
        )


class LimitReached(SwarmError):
    """There is nothing to do within the limits: nothing was changed. Exit code 4."""

    exit_code = 4


class Interrupted(SwarmError):
    """A person ended a verb before it had anything to show. Exit code 130, as a shell has it."""

    exit_code = 130


class Fenced(SwarmError):
    """The caller's lease was given to somebody else: whatever it holds is no longer its own."""


class Unavailable(SwarmError):
    """There is no answer now, though nothing is wrong with the question: ask it again."""


class Unmakeable(UsageError):
    """A project's files cannot be laid out as they are: no machine's fault, and another try changes nothing."""


class MachineFault(SwarmError):
    """Run after run fails for what is no idea's fault: the slot should rest before it is tried again."""


class HostFault(MachineFault):
    """A MachineFault whose text begins with the name of its host."""
