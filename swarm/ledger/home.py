"""Where a repository's ledger lives: `.swarm/ledger.sqlite`, in a folder that git ignores by itself."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from swarm.errors import OutOfReach, UsageError
from swarm.ledger.database import Ledger, founded

PRIVATE_FOLDER = 0o700
IGNORE_ITSELF = "*\n"  # .swarm/.gitignore


def ledger_path(root: Path) -> Path:
    return root / ".swarm" / "ledger.sqlite"


def make_home(folder: Path) -> None:
    """The folder .swarm, which git ignores by itself, and which is nobody else's to look into. OutOfReach where it
    cannot be made, or is there and nothing can be put into it."""
    try:
        _make(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise OutOfReach(folder, error) from error


def _make(folder: Path) -> None:
    folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    with contextlib.suppress(OSError):  # a file system without modes
        status = folder.stat()
        # Another user's stays: root, which has no powers in a sandbox, could not enter it there any more.
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            folder.chmod(PRIVATE_FOLDER)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(IGNORE_ITSELF)


def open_ledger(root: Path) -> Ledger:
    """The repository's ledger, for reading; UsageError where no swarm ever ran here."""
    path = ledger_path(root)
    if not founded(path):
        raise UsageError(f"no swarm has run in {root} yet: start one with `python -m swarm launch`")
    return Ledger(path)
