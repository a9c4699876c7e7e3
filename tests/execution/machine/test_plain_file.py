"""Nothing but a plain file is ever opened, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from swarm.execution.machine.plain_file import NotPlain, TooLarge, is_plain, open_plain, read_plain_file


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    (path.parent / "target").write_text("x")
    path.symlink_to("target")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")


def listening(path: Path) -> None:
    socket.socket(socket.AF_UNIX).bind(str(path))


@pytest.mark.parametrize("make", [pipe, link, loop, device, listening, Path.mkdir])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "f")
    with pytest.raises(NotPlain, match="f is no plain file"):
        open_plain(tmp_path / "f")
    assert not is_plain(tmp_path / "f")


def test_a_plain_file_is_read_up_to_its_cap(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"four")
    assert read_plain_file(file, 4) == b"four" and is_plain(file)
    with pytest.raises(TooLarge, match="larger than 3 bytes"):
        read_plain_file(file, 3)
    with file.open("wb") as sparse:
        sparse.truncate(2**40)  # takes no space, and would take all memory
    with pytest.raises(TooLarge):
        read_plain_file(file, 2**20)
    with pytest.raises(FileNotFoundError):
        read_plain_file(tmp_path / "none", 4)
