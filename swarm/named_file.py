"""Reads a file that a person named: a plain one, of a size that fits its kind."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swarm.errors import UsageError
from swarm.text import printable

LARGEST = 256 * 2**20  # bytes of a file of results


def read_named(path: Path, largest: int = LARGEST, called: str = "") -> bytes:
    """The content of the file, `called` so in what people read. UsageError where it is missing, unreadable, larger than
    that, or none that ends, such as a pipe or /dev/zero."""
    name = called or str(path)
    try:
        with open(path, "rb", opener=lambda place, flags: os.open(place, flags | os.O_NONBLOCK)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{name} is no plain file, but {_kind(status.st_mode)}: name a file")
            content = stream.read(largest + 1)
    except IsADirectoryError as error:
        raise UsageError(f"{name} is no plain file, but a folder: name a file") from error
    except (OSError, ValueError) as error:  # a null byte in the name is a ValueError
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(printable(f"{name} cannot be read: {why}")) from error
    if len(content) > largest:
        raise UsageError(f"{name} is larger than {largest / 2**20:g} MB: name a smaller one")
    return content


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "a device")
