"""A lock on an open file, between all processes that can see it. Stdlib only, for the guard."""

from __future__ import annotations

import errno
import fcntl

from swarm.errors import UsageError

EXCLUSIVE, SHARED = fcntl.LOCK_EX, fcntl.LOCK_SH


def take(file: int, name: object, kind: int = EXCLUSIVE) -> bool:
    """Takes the lock if it is free; whether it was. The kernel releases it when the file is closed or its process ends.

    UsageError, with the remedy, where the file called `name` is in a place that has no locks, as some network file
    systems: what should be alone there could not know it.
    """
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.EINTR:
            return take(file, name, kind)
        raise UsageError(
            f"{name} cannot be locked ({error.strerror}): its file system has no locks that work; use a folder on a"
            " local disk, or have the network file system mounted with locks"
        ) from error
    return True
