"""Trees that nobody can walk by paths or by recursion, built as a cheating run would build them. Stdlib only: runs
import it too."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

DEPTH, WIDTH = 1200, 2000  # longer than any path may be; more than the cap that tests set


def deep(folder: Path, name: str = "d" * 50) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def wide(folder: Path) -> None:
    for number in range(WIDTH):
        os.close(os.open(folder / f"f{number}", os.O_CREAT | os.O_WRONLY))


def folders(folder: Path) -> None:
    for number in range(WIDTH):
        (folder / f"d{number}").mkdir()


def odd(folder: Path) -> None:
    """What is no file, under names that are no text."""
    os.mkfifo(folder / "pipe\n\x1b[31m")
    with contextlib.suppress(OSError):  # a sandbox has no sockets in files
        socket.socket(socket.AF_UNIX).bind(str(folder / "s"))
    with contextlib.suppress(OSError):  # only root makes devices
        os.mknod(folder / "device", 0o020666, os.makedev(1, 5))
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to("..")
    (folder / "root").symlink_to("/")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe/\xf0")).write_text("x")


def closed(folder: Path) -> None:
    """Folders without permissions, one in the other."""
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    (folder / "a" / "b" / "file").chmod(0)
    for path in (folder / "a" / "b", folder / "a", folder):
        path.chmod(0)


TREES: dict[str, Callable[[Path], None]] = {
    "deep": deep, "wide": wide, "folders": folders, "odd": odd, "closed": closed,
}  # fmt: skip
