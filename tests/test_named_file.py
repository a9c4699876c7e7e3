"""Files that people name: plain ones are read, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.named_file import read_named


def test_a_plain_file_is_read_links_too(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00text")
    (tmp_path / "link").symlink_to("a")
    assert read_named(tmp_path / "a") == read_named(tmp_path / "link") == b"\x00text"


def test_what_does_not_end_or_is_none_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening, (tmp_path / "huge").open("wb") as huge:
        listening.bind(str(tmp_path / "socket"))
        huge.truncate(2**40)
    (tmp_path / "loop").symlink_to("loop")
    for name, why in {
        "pipe": "but a pipe", "": "but a folder", "socket": "cannot be read", "huge": "is larger than 1 MB",
        "loop": "cannot be read", "none": "cannot be read: No such file", "a\0b": "cannot be read", "x" * 500: "long",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=why) as refused:
            read_named(tmp_path / name, 2**20)
        assert str(refused.value).isprintable()
    for device in ("/dev/zero", "/dev/full", "/dev/null"):
        with pytest.raises(UsageError, match="no plain file, but a device: name a file"):
            read_named(Path(device))
