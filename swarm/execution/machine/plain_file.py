"""Opens files that untrusted code may have put there: plain files only, no link, pipe, device or socket is waited for.

Stdlib only, for the guard.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


class NotPlain(OSError):
    """There is something else in the place of a plain file."""


class TooLarge(OSError):
    """A plain file is larger than it may be."""


def open_plain(path: Path, most: int | None = None) -> BufferedReader:
    """A plain file of at most `most` bytes, opened for reading at once, whatever lies there.

    Raises:
        NotPlain: it is a link, a folder, a pipe, a device or a socket.
        TooLarge: it is larger.
        OSError: it is not there, or may not be read.
    """
    if not stat.S_ISREG(path.lstat().st_mode):  # not even opened: with some devices that does something
        raise NotPlain(errno.EINVAL, f"{path.name} is no plain file")
    try:  # it may have been replaced since
        file = open(path, "rb", opener=_open)  # noqa: SIM115 - the caller's to close
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise NotPlain(error.errno, f"{path.name} is no plain file") from error
        raise
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and (most is None or status.st_size <= most):
        return file
    file.close()
    if not stat.S_ISREG(status.st_mode):
        raise NotPlain(errno.EINVAL, f"{path.name} is no plain file")
    raise TooLarge(errno.EFBIG, f"{path.name} is larger than {most} bytes")


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def read_plain_file(path: Path, most: int) -> bytes:
    """The content of a plain file, as `open_plain` opens it, of at most `most` bytes."""
    with open_plain(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:  # it grew meanwhile
        raise TooLarge(errno.EFBIG, f"{path.name} is larger than {most} bytes")
    return content


def is_plain(path: Path) -> bool:
    """Whether there is a plain file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
