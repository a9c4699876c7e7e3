"""Reads results.tsv files as people and agents really leave them: what is certain becomes rows, the rest is set aside.

Headings may change within a file, columns come in any order, and banners, half tables and other agents' rows stand in
between. Nothing here raises for what a file holds. Pure functions.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from swarm.history.earlier import Aside, Doubt, Row, column, described, number_of, status_of

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "commit": (
        "commit",
        "sha",
        "hash",
        "commit_hash",
        "git_commit",
        "experiment_id",
        "id",
        "tag",
        "exp",
        "exp_id",
        "run_id",
        "config_id",
        "candidate_id",
        "run",
        "round",
        "trial",
        "iteration",
        "iter",
    ),
    "status": ("status", "result", "decision", "verdict", "outcome"),
    "description": ("description", "desc", "change", "idea", "hypothesis", "experiment", "notes", "what", "rationale"),
    "memory_gb": ("memory_gb", "mem_gb", "peak_memory_gb", "vram_gb"),
    "memory_mb": ("memory_mb", "peak_vram_mb", "vram_mb", "peak_memory_mb", "peak_mem_mb"),
}
_LAYOUTS = (  # of rows that no heading fits: autoresearch's, and that of a known other harness
    ("commit", "value", "memory_gb", "status", "description"),
    ("commit", "status", "value", "memory_gb", "description"),
)
_MOST_GB = 1000.0  # a larger "memory_gb" is in MB
_WORDS = re.compile(r"\w")
_TABLE = {"status", "description", "commit"}  # of which a heading has one at least
_SEPARATORS = ("\t", "|", "  ", ",", " ")

Results = tuple[tuple[Row, ...], tuple[Aside, ...]]


@dataclass(frozen=True, slots=True)
class Heading:
    """What each column is ("" for one of no interest), what it is called, and what separates it from the next."""

    roles: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    separator: str = ""

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that may hold a metric."""
        return tuple(name for name, role in zip(self.names, self.roles, strict=True) if name and role in ("", "value"))


def read_table(text: str, metric: str) -> Results:
    """The rows that are certain, and the lines that are not; blank lines, rules and headings are neither."""
    heading = Heading()
    rows: list[Row] = []
    aside: list[Aside] = []
    seen: dict[tuple[object, ...], int] = {}
    block = 0
    for number, line in _lines(text):
        try:
            if named := _heading(line, metric):
                heading = named
                continue
            if heading.roles and "value" not in heading.roles:
                raise Doubt(f"the heading above it has no {metric}")
            row = _row(number, line, heading)
            same = seen.setdefault((row.commit, row.value, row.status, row.description), number)
            if same != number:
                raise Doubt(f"the same as line {same}")
        except (Doubt, csv.Error) as doubt:
            aside.append(Aside(number, line[:200], str(doubt)))
            continue
        words = [row.description.lower(), *map(str.lower, _cells(line, heading.separator))]
        block += words[0].startswith("baseline") or "baseline" in words[1:]
        rows.append(replace(row, block=block))
    return tuple(rows), tuple(aside)


def metrics_of_table(text: str) -> dict[str, str]:
    """The columns of numbers that may be the metric; a table says of none which way is better."""
    heading = Heading()
    found: dict[str, str] = {}
    for _, line in _lines(text):
        if named := _heading(line, ""):
            heading = named
            continue
        cells = dict(zip(heading.names, _cells(line, heading.separator), strict=False))
        numbers = (name for name in heading.others if number_of(cells.get(name, "")) is not None)
        found |= dict.fromkeys(numbers, "")
    return found or dict.fromkeys(heading.others, "")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with words in them. A tab that was written as backslash and t is one."""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if "\t" not in line and line.count("\\t") > 1:
            line = line.replace("\\t", "\t")
        if _WORDS.search(line):
            yield number, line


def _cells(line: str, separator: str) -> list[str]:
    match separator:
        case "|":
            cells = line.strip().strip("|").split("|")
        case ",":
            cells = _of_csv(line)
        case "  ":
            cells = re.split(r" {2,}", line.strip())
        case " ":
            cells = line.split()
        case _:
            cells = line.split(separator or "\t")
    return [cell.strip() for cell in cells]


def _of_csv(line: str) -> list[str]:
    try:
        return next(csv.reader([re.sub(r"[\0\r]", " ", line)], skipinitialspace=True), [])
    except csv.Error:  # a cell of hundreds of thousands of characters
        return line.split(",")


def _separator(line: str) -> str:
    """What most likely separates the cells of a line that stands alone."""
    if "\t" in line:
        return "\t"
    if line.lstrip().startswith("|"):
        return "|"
    return "  " if re.search(r"\S {2,}\S", line) else ","


def _heading(line: str, metric: str) -> Heading | None:
    """The line as a heading; None where it is none."""
    wanted = {name: role for role, known in _COLUMNS.items() for name in known}
    wanted |= {column(metric): "value"} if column(metric) else {}
    for separator in _SEPARATORS:
        names = [cell.removeprefix("Columns:").strip(" *`") for cell in _cells(line, separator)]
        roles: list[str] = []
        for name in names:
            role = wanted.get(column(name), "")
            roles.append("" if role in roles else role)
        if len(names) < 2 or not _TABLE & set(roles) or any(number_of(name) is not None for name in names):
            continue
        named = all(re.fullmatch(r"[^\W\d]\w*", name) for name in names if name)
        if "value" in roles or (named and "status" in roles):
            return Heading(tuple(roles), tuple(names), separator)
    return None


def _row(number: int, line: str, heading: Heading) -> Row:
    """The line as a row: under the heading, in a layout that is known, or with a last cell that was cut in pieces."""
    separator = _separator(line)
    attempts = [(_cells(line, separator), layout) for layout in _LAYOUTS]
    if heading.roles:
        cells = _cells(line, heading.separator)
        other = [(_cells(line, separator), heading.roles)] if separator != heading.separator else []
        attempts = [(cells, heading.roles), *other, *attempts]
        last = len(heading.roles) - 1
        if heading.roles[-1] == "description" and len(cells) > len(heading.roles):
            attempts.append(([*cells[:last], " ".join(cells[last:])], heading.roles))
    doubts = []
    for some, layout in attempts:
        try:
            return _under(number, some, layout, guessed=layout is not heading.roles)
        except Doubt as doubt:
            doubts.append(doubt)
    raise doubts[0] if heading.roles or len(attempts[0][0]) < 2 else Doubt("no heading above it names its columns")


def _under(number: int, cells: list[str], layout: tuple[str, ...], guessed: bool) -> Row:
    if len(cells) < 2:
        raise Doubt("not a row of a table")
    if len(cells) != len(layout):
        raise Doubt(f"{len(cells)} cells, and the heading has {len(layout)}")
    cells_by_role = {role: cell for role, cell in zip(layout, cells, strict=True) if role}
    status, value = status_of(cells_by_role.get("status", "")), number_of(cells_by_role["value"])
    if guessed and value is None and status != "crash":
        raise Doubt("no row of the heading above it")
    if status == "crash":
        value = None
    elif value is None:
        raise Doubt(f"{status} without a number: {cells_by_role['value'][:40]!r}")
    elif value == 0:
        raise Doubt(f"{status} with 0, which is how crashed and aborted runs are written")
    description = described(cells_by_role.get("description", ""))
    return Row(number, cells_by_role.get("commit", "")[:40], value, _memory(cells_by_role), status, description)


def _memory(cells_by_role: Mapping[str, str]) -> float | None:
    """Peak memory in MB; None where it is not known, or 0 as on machines that cannot tell."""
    gb, mb = number_of(cells_by_role.get("memory_gb", "")), number_of(cells_by_role.get("memory_mb", ""))
    if mb is None and gb is not None:
        mb = gb if gb > _MOST_GB else gb * 1024
    return mb if mb and mb > 0 else None
