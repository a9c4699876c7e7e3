"""The log of a run: written up to a size limit, read from its end, cleaned for people. Stdlib only, for the guard."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import termios
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from swarm import foreign
from swarm.execution.machine.plain_file import open_plain

HEAD_BYTES = 16 * 2**20
TAIL_BYTES = 4 * 2**20
BEATS = 64 * 2**20  # bytes of a file of heartbeats that are read
AT_ONCE = 2**20  # bytes that are moved at once: a tail may be longer by as much

_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_OVERWRITTEN = re.compile(r"[\r\b]+")
_LONGEST_LINE = 400


class CappedLog:
    """A log file of limited size: of any amount of output it keeps the first `head` and the last `tail` bytes.

    The head is on disk at once; the tail waits in memory and follows at `close`, after a line that says how much is
    missing. A full disk loses log, never the run: `broken` then says why.
    """

    def __init__(self, path: Path, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> None:
        self.broken: str | None = None
        self._left = head
        self._tail_limit = tail
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        head, rest = data[: self._left], data[self._left :]
        self._left -= len(head)
        if head:
            self._put(head)
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
        while self._tail_size - len(self._tail[0] if self._tail else b"") > self._tail_limit:
            self._tail_size -= len(self._tail[0])
            self._dropped += len(self._tail.popleft())

    def close(self) -> None:
        if self._dropped:
            self._put(f"\n[... {self._dropped} bytes left out ...]\n".encode())
        for chunk in self._tail:
            self._put(chunk)
        os.close(self._file)

    def _put(self, data: bytes) -> None:
        try:
            while data and not self.broken:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self.broken = str(error)


class LogPipe:
    """A pipe into a capped log: programs write to `sink`, `pump` moves what came and never waits for more."""

    def __init__(self, path: Path) -> None:
        self.log = CappedLog(path)
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)

    def pump(self) -> int:
        """Moves what is there, up to 1 MiB; how many bytes that was."""
        try:
            data = os.read(self.source, AT_ONCE)
        except BlockingIOError:  # empty: no end of file comes while this end's own `sink` is open
            return 0
        self.log.write(data)
        return len(data)

    def close(self) -> None:
        """Moves what is in the pipe now, and no more: somebody may still write to it, as fast as it is read."""
        left = _waiting(self.source)
        while left > 0 and (moved := self.pump()):
            left -= moved
        os.close(self.source)
        os.close(self.sink)
        self.log.close()


def _waiting(pipe: int) -> int:
    """How many bytes are in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def _visible(character: str) -> bool:
    return character.isprintable() or character == "\t"


def read_object(path: Path) -> Mapping[str, object]:
    """The JSON object in a file that untrusted code may have written, by its first MiB; {} where there is none."""
    return foreign.parse_object(read_plain(path, 2**20))


def read_plain(path: Path, limit: int, from_end: bool = False, start: int = 0) -> bytes:
    """At most `limit` bytes of a file that untrusted code may have written; b"" where there is no plain file."""
    with contextlib.suppress(OSError), open_plain(path) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - limit) if from_end else start)
        return stream.read(limit)
    return b""


def whole_of(path: Path) -> str:
    """All that a capped log kept, as it was written."""
    return read_plain(path, HEAD_BYTES + TAIL_BYTES + AT_ONCE + 4096).decode(errors="replace")


def tail_of(path: Path, lines: int = 60) -> str:
    """The last lines of a log, cleaned."""
    text = clean(read_plain(path, 256 * 1024, from_end=True).decode(errors="replace"))
    return "\n".join(text.split("\n")[-lines:])


def without_escapes(text: str) -> str:
    """Text whose lines end in a line feed, also those that were meant to be overwritten, and without escapes."""
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    return _OVERWRITTEN.sub("\n", text) if "\r" in text or "\b" in text else text


def clean(text: str) -> str:
    """Text without escapes and invisible characters; of what a carriage return overwrote only the last is left."""
    lines = []
    for line in _ESCAPE.sub("", text).replace("\r\n", "\n").split("\n"):
        shown = line.rstrip("\r").rpartition("\r")[2]
        lines.append("".join(filter(_visible, shown[:_LONGEST_LINE])).rstrip())
    return "\n".join(lines).strip("\n")
