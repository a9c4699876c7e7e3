"""Reads the file in which a run leaves its numbers: JSON, JSON lines, a table with tabs or commas, or text as in a log.

The file is foreign: whatever it holds, too large, too deep, half written, not there, is a fault of the run.
"""

from __future__ import annotations

import csv
import os
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from swarm import foreign
from swarm.execution.reading.logs import read_plain
from swarm.execution.reading.mentions import is_path_of, normal
from swarm.execution.reading.printed_value import Value, read_value
from swarm.execution.reading.summary import Printed, read_printed
from swarm.text import read_text

LARGEST = 16 * 2**20  # bytes
_DEEPEST, _MOST = 32, 1000  # levels of nesting, and values, that are looked at
_LONGEST = 200  # characters of a path
_SHOWN = 12  # names that a fault lists


class _Fault(Exception):
    """Why the file gives no numbers."""


def stamp(path: Path) -> str:
    """What tells a file that was written since from one that was not; "" where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def read_result(root: Path, name: str, before: str, wanted: Collection[str]) -> Printed:
    """The numbers in the file `name` below `root`, if it is another than when its stamp was `before`."""
    try:
        text = _text(root, name, before)
        if not text.strip():
            raise _Fault("is empty")
        match Path(name).suffix.lower():
            case ".json" | ".jsonl" | ".ndjson":
                values = dict(_flat(_json(text)))
            case ".csv" | ".tsv":
                values = _last_row(text, "\t" if "\t" in text.partition("\n")[0] else ",")
            case _:
                printed = read_printed(text, wanted)
                silent = {name: f"no {name} is in it" for name in wanted if name not in printed.values}
                return Printed(
                    printed.values, {one: f"{name}: {why}" for one, why in {**silent, **printed.faults}.items()}
                )
    except _Fault as fault:
        return Printed({}, dict.fromkeys(wanted, f"{name} {fault}"))
    found, faults = dict(values), {}
    for one in wanted:
        paths = [path for path in values if normal(path) == normal(one)]
        paths = paths or [path for path in values if is_path_of(path, one)]
        if len(paths) == 1:
            value, fault = _number(values[paths[0]])
            found[one] = value
            faults |= {one: f"{name} says {fault}"} if fault else {}
        elif paths:
            faults[one] = f"{name} has it {len(paths)} times: {', '.join(paths[:_SHOWN])}"
        else:
            faults[one] = f"{name} has no {one}; it has {', '.join(list(values)[:_SHOWN]) or 'no names'}"
    return Printed({path: _number(value)[0] for path, value in found.items()}, faults)


def _text(root: Path, name: str, before: str) -> str:
    path = root / name
    now = stamp(path)
    if not now or now == before:
        raise _Fault("was not written by this run")
    if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root)):
        raise _Fault("is outside of the run's folder")
    content = read_plain(path, LARGEST + 1)
    if len(content) > LARGEST:
        raise _Fault(f"is larger than {LARGEST // 2**20} MB")
    return read_text(content).text


def _json(text: str) -> object:
    """The object of the file; the last one where each line is one, or where it is a list of them."""
    try:
        try:
            whole = foreign.parse(text)
        except foreign.Unreadable:
            whole = foreign.parse(text.rstrip().rpartition("\n")[2])
    except foreign.Unreadable as error:
        raise _Fault(f"is no JSON: {error}") from error
    return whole[-1] if isinstance(whole, list) and whole else whole


def _flat(value: object) -> Iterator[tuple[str, object]]:
    """The plain values of an object by their dotted paths."""
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    given = 0
    while waiting and given < _MOST:
        path, value, depth = waiting.pop()
        if isinstance(value, Mapping):
            if depth < _DEEPEST:
                inner = [(_below(path, str(key)), item, depth + 1) for key, item in value.items()]
                waiting.extend(reversed(inner))
        elif path and not isinstance(value, list):
            given += 1
            yield path, value


def _below(path: str, key: str) -> str:
    """The path of a key: its start, as a long key over many others would fill the memory."""
    return f"{path}.{key[:_LONGEST]}"[:_LONGEST] if path else key[:_LONGEST]


def _last_row(text: str, separator: str) -> dict[str, object]:
    try:
        rows = (row for row in csv.reader(text.replace("\0", " ").splitlines(), delimiter=separator) if any(row))
        heading, last = next(rows, []), deque(rows, maxlen=1)
    except csv.Error as error:
        raise _Fault(f"is no table: {error}") from error
    if not last:
        raise _Fault("has no row below its heading")
    if len(last[0]) != len(heading):
        raise _Fault(f"has {len(last[0])} cells in its last row, and {len(heading)} in its heading")
    return dict(zip((cell.strip() for cell in heading), last[0], strict=True))


def _number(value: object) -> tuple[Value, str]:
    """The value as a record may hold it, and why it is no number, or ""."""
    if value is None:
        return None, "it has no value"
    number = foreign.number(value)
    if number is not None:
        return (value if isinstance(value, int) and abs(value) < foreign.MOST else number), ""
    said = read_value(foreign.text(value, 200))
    return said.value, said.fault
