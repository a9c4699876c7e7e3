"""Logs: capped, read from their end, cleaned."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.reading.logs import CappedLog, LogPipe, clean, read_plain, tail_of


def test_little_output_is_kept_whole(tmp_path):
    log = CappedLog(tmp_path / "log", head=10, tail=10)
    for part in (b"0123", b"4567", b"89ab", b"cdef"):
        log.write(part)
    log.close()
    assert (tmp_path / "log").read_bytes() == b"0123456789abcdef"


def test_of_much_output_head_and_tail_are_kept(tmp_path):
    log = CappedLog(tmp_path / "log", head=10, tail=10)
    for number in range(1000):
        log.write(b"%04d" % number)
    assert (tmp_path / "log").read_bytes() == b"0000000100"  # on disk at once
    log.close()
    assert (tmp_path / "log").read_bytes() == b"0000000100\n[... 3978 bytes left out ...]\n099709980999"


def test_all_that_waits_in_the_pipe_is_kept(tmp_path):
    pipe = LogPipe(tmp_path / "log")
    for number in range(3000):
        os.write(pipe.sink, b"%04d" % number)
    pipe.close()
    assert (tmp_path / "log").read_bytes() == b"".join(b"%04d" % number for number in range(3000))


def test_nobody_who_goes_on_writing_keeps_a_log_from_being_closed(tmp_path):
    """Here there is as much in the pipe after each read as before, whoever is faster."""
    pipe = LogPipe(tmp_path / "log")
    os.write(pipe.sink, bytes(4096))
    write, ended = pipe.log.write, threading.Event()

    def refill(data: bytes) -> None:
        write(data)
        if not ended.is_set():
            os.write(pipe.sink, data)

    pipe.log.write = refill  # type: ignore[method-assign]
    closing = threading.Thread(target=pipe.close)
    closing.start()
    closing.join(20)
    closed = not closing.is_alive()
    ended.set()
    closing.join()
    assert closed and (tmp_path / "log").read_bytes() == bytes(4096)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_breaks_the_log_and_nothing_else():
    log = CappedLog(Path("/dev/full"))
    log.write(b"x")
    log.write(b"y")
    log.close()
    assert log.broken and "No space left" in log.broken


def test_only_plain_files_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert read_plain(tmp_path / "file", 4) == b"0123"
    assert read_plain(tmp_path / "file", 4, from_end=True) == b"6789"
    for name in ("link", "pipe", "missing", "."):
        assert read_plain(tmp_path / name, 4) == b""


def test_the_tail_is_for_people(tmp_path):
    (tmp_path / "log").write_bytes(b"first\n" * 100 + b"10%\r20%\r30%\n\x1b[31mred\x1b[0m \xff\x07\nlast\r\n\n")
    assert tail_of(tmp_path / "log", 3) == "30%\nred \ufffd\nlast"


@given(st.text())
def test_clean_text_is_clean_and_stays_so(text):
    once = clean(text)
    assert clean(once) == once and not any(ord(char) < 32 and char not in "\n\t" for char in once)
