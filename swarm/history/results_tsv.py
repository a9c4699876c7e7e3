"""Reads results.tsv files as people and agents really leave them: what is certain becomes rows, the rest is set aside.

Headings may change within a file, columns come in any order, and banners, half tables and other agents' rows stand in
between. Nothing here raises for what a file holds. Pure functions.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

STATUSES: Mapping[str, str] = {
    **dict.fromkeys(("keep", "kept", "accept", "accepted", "improved", "best", "baseline", "win"), "keep"),
    **dict.fromkeys(("discard", "discarded", "reject", "rejected", "revert", "reverted", "worse"), "discard"),
    **dict.fromkeys(("crash", "crashed", "fail", "failed", "error", "oom", "timeout", "nan", "aborted"), "crash"),
}
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "commit": ("commit", "sha", "hash", "commit_hash", "experiment_id", "id", "tag"),
    "status": ("status", "result", "decision", "verdict", "outcome"),
    "description": ("description", "desc", "change", "idea", "experiment", "notes", "what"),
    "memory_gb": ("memory_gb", "mem_gb", "peak_memory_gb", "vram_gb"),
    "memory_mb": ("memory_mb", "peak_vram_mb", "vram_mb", "peak_memory_mb", "peak_mem_mb"),
}
_LAYOUTS = (  # of rows that no heading fits: autoresearch's, and that of a known other harness
    ("commit", "value", "memory_gb", "status", "description"),
    ("commit", "status", "value", "memory_gb", "description"),
)
_MOST_GB = 1000.0  # a larger "memory_gb" is in MB
_WORDS = re.compile(r"\w")
_LONGEST = 2000  # characters of a description


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment of an earlier file. `value` is None for a crash; `block` counts the baselines above it."""

    line: int
    commit: str
    value: float | None
    memory_mb: float | None
    status: str
    description: str
    block: int = 0


@dataclass(frozen=True, slots=True)
class Aside:
    """A line that was not understood with certainty, and why."""

    line: int
    text: str
    reason: str


class _Doubt(Exception):
    """Why a line cannot be taken."""


def read_results(data: bytes, metric: str) -> tuple[tuple[Row, ...], tuple[Aside, ...]]:
    """The rows that are certain, and the lines that are not; blank lines, rules and headings are neither."""
    heading: tuple[str, ...] = ()
    rows: list[Row] = []
    aside: list[Aside] = []
    seen: dict[tuple[object, ...], int] = {}
    block = 0
    for number, text in enumerate(data.decode("utf-8-sig", errors="replace").split("\n"), 1):
        text = text.rstrip("\r")
        if not _WORDS.search(text):
            continue
        try:
            cells = _cells(text)
            if named := _heading(cells, metric):
                heading = named
                continue
            row = _row(number, cells, heading)
            same = seen.setdefault((row.commit, row.value, row.status, row.description), number)
            if same != number:
                raise _Doubt(f"the same as line {same}")
        except (_Doubt, csv.Error) as doubt:
            aside.append(Aside(number, text[:200], str(doubt)))
            continue
        block += row.description.lower().startswith("baseline") or "baseline" in map(str.lower, cells)
        rows.append(replace(row, block=block))
    return tuple(rows), tuple(aside)


def _cells(text: str) -> list[str]:
    if "\t" in text:
        cells = text.split("\t")
    elif text.lstrip().startswith("|"):
        cells = text.strip().strip("|").split("|")
    else:
        cells = next(csv.reader([text.replace("\0", " ")], skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def _heading(cells: Sequence[str], metric: str) -> tuple[str, ...]:
    """What each column is ("" for one of no interest); () where this is no heading."""
    names = [re.sub(r"\W+", "_", cell.lower().removeprefix("columns:").strip()).strip("_") for cell in cells]
    wanted = {metric.lower(): "value"} | {name: role for role, known in _COLUMNS.items() for name in known}
    roles: list[str] = []
    for name in names:
        role = wanted.get(name, "")
        roles.append("" if role in roles else role)
    return tuple(roles) if "value" in roles and {"status", "description", "commit"} & set(roles) else ()


def _row(number: int, cells: list[str], heading: tuple[str, ...]) -> Row:
    """The line as a row: under the heading, in a layout that is known, or with a last cell that was cut in pieces."""
    attempts = [(cells, heading), *((cells, layout) for layout in _LAYOUTS)]
    if heading and heading[-1] == "description" and len(cells) > len(heading):
        last = len(heading) - 1
        attempts.append(([*cells[:last], " ".join(cells[last:])], heading))
    doubts = []
    for some, layout in attempts if heading else attempts[1:]:
        try:
            return _under(number, some, layout, guessed=layout is not heading)
        except _Doubt as doubt:
            doubts.append(doubt)
    raise doubts[0]


def _under(number: int, cells: list[str], layout: tuple[str, ...], guessed: bool) -> Row:
    if len(cells) < 2:
        raise _Doubt("not a row of a table")
    if len(cells) != len(layout):
        raise _Doubt(f"{len(cells)} cells, and the heading has {len(layout)}")
    cells_by_role = {role: cell for role, cell in zip(layout, cells, strict=True) if role}
    word = cells_by_role.get("status", "").lower().strip("*_` ")
    if word not in STATUSES:
        raise _Doubt(f"status {word[:40]!r} is none of keep, discard and crash" if word else "no status")
    status, value = STATUSES[word], _number(cells_by_role["value"])
    if guessed and value is None and status != "crash":
        raise _Doubt("no row of the heading above it")
    if status == "crash":
        value = None
    elif value is None:
        raise _Doubt(f"{status} without a number: {cells_by_role['value'][:40]!r}")
    elif value == 0:
        raise _Doubt(f"{status} with 0, which is how crashed and aborted runs are written")
    description = " ".join(cells_by_role.get("description", "").split())[:_LONGEST]
    if not description:
        raise _Doubt("no description: nobody could learn from it")
    return Row(number, cells_by_role.get("commit", "")[:40], value, _memory(cells_by_role), status, description)


def _memory(cells_by_role: Mapping[str, str]) -> float | None:
    """Peak memory in MB; None where it is not known, or 0 as on machines that cannot tell."""
    gb, mb = _number(cells_by_role.get("memory_gb", "")), _number(cells_by_role.get("memory_mb", ""))
    if mb is None and gb is not None:
        mb = gb if gb > _MOST_GB else gb * 1024
    return mb if mb and mb > 0 else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
