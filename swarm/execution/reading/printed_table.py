"""Finds a quantity in the tables that programs print: its name heads a column, and the newest row holds its value.

Columns are separated by bars (Markdown, box drawings), tabs or commas, or they stand below each other with two blanks
between names. Other output may stand between rows. Pure functions.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swarm.execution.reading.printed_value import CELL, Said, read_value
from swarm.text import lazy_pattern

LONGEST = 2000  # characters of a line that can be part of a table
_AHEAD = 4  # lines below a heading within which its first row stands, and below a row another one of the same table
_MOST = 10_000  # lines with the name that are looked at, the lowest of them
_BARS = lazy_pattern(rf"[{CELL}]")
BEHIND = rf"""(?=["'`*]{{0,2}}(?:[ \t]?[{CELL},\t\n]|\Z|[ ]{{2}}))"""  # what follows the name of a column
_NAME = lazy_pattern(r"[^\W\d][^\n:=]{0,60}")
_NUMBER = lazy_pattern(
    r"[+\-−$]?(?:[0-9][0-9.,_:/]*(?:e[+-]?[0-9]+)?|\.[0-9]+) ?[%a-z]{0,3}|[+-]?(?:nan|inf)|n/a|none", re.IGNORECASE
)
_WRAPPING = " \t\"'`*"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a column: where its line begins, and what it says."""

    place: int
    said: Said


@dataclass(frozen=True, slots=True)
class Row:
    """A line below a heading: the cell of the wanted column, and which of the others hold numbers."""

    cell: str
    label: str
    numbers: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """The line that names the columns: the wanted one is the `column`th, and stands at `first` to `last`."""

    bar: str  # what separates the cells; "" where they stand below each other
    count: int
    column: int
    first: int
    last: int

    def row(self, line: str) -> Row | None:
        """The line as a row; None where it has not as many cells, or none or several below the wanted name."""
        if self.bar:
            split = _split(line, self.bar)
            column = self.column if len(split) == self.count else None
            cells = [cell.strip(_WRAPPING) for cell in split] if column is not None else []
        else:
            words = list(re.finditer(r"\S+", line))
            below = [index for index, word in enumerate(words) if word.start() < self.last and word.end() > self.first]
            cells, column = [word[0] for word in words], below[0] if len(below) == 1 else None
        if column is None:
            return None
        others = cells[:column] + cells[column + 1 :]
        found = Row(cells[column], cells[0], tuple(bool(_NUMBER.fullmatch(cell)) for cell in others))
        return found if any(map(str.isalnum, line)) else None


def newest_cell(text: str, spans: Sequence[tuple[int, int]]) -> Cell | None:
    """The lowest cell below any of the names at `spans`, which have BEHIND behind them; None where none heads a column
    of numbers."""
    below = len(text)
    for end, heading in _headings_upwards(text, spans):
        if found := _lowest(text, end, below, heading):
            return found
        below = end
    return None


def _headings_upwards(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Heading]]:
    """The headings with a name at one of the spans, the lowest first, each with the place at which its line ends."""

    def line_of(span: tuple[int, int]) -> int:
        return text.rfind("\n", max(0, span[0] - LONGEST), span[0]) + 1

    for start, group in itertools.islice(itertools.groupby(reversed(spans), line_of), _MOST):
        first, last = list(group)[-1]
        end = text.find("\n", last, last + LONGEST)
        if end < 0:
            end = min(len(text), last + LONGEST)
        if end - start < LONGEST and (found := _heading(text[start:end], first - start, last - start)):
            yield end, found


def _heading(line: str, first: int, last: int) -> Heading | None:
    bar = next(
        (bar for bar, there in (("|", _BARS.search(line)), ("\t", "\t" in line), (",", "," in line)) if there), ""
    )
    cells = _split(line, bar) if bar else re.split(r"\s{2,}", line.strip())
    names = [cell.strip(_WRAPPING) for cell in cells]
    wanted = [index for index, name in enumerate(names) if name == line[first:last]]
    named = [name for name in names if name]
    if len(wanted) != 1 or len(named) < 2 or not all(_NAME.fullmatch(name) for name in named):
        return None
    return Heading(bar, len(cells), wanted[0], first, last)


def _split(line: str, bar: str) -> list[str]:
    return _BARS.split(line) if bar == "|" else line.split(bar)


def _lowest(text: str, start: int, end: int, heading: Heading) -> Cell | None:
    """The cell of the lowest row between a heading and the next; None where no row of numbers follows the heading."""
    lines = text[start + 1 : end].split("\n")
    first = next(iter(_rows(heading, lines, range(min(len(lines), _AHEAD)))), None)
    if first is None or not _NUMBER.fullmatch(first[1].cell):
        return None
    upwards = _rows(heading, lines, range(len(lines) - 1, first[0] - 1, -1))
    alike = ((number, row) for number, row in upwards if row.numbers == first[1].numbers)
    lowest, row = next(alike)
    _, above = next(alike, (0, row))
    said = read_value(row.cell)
    odd = _rows(heading, lines, range(lowest + 1, min(len(lines), lowest + 1 + _AHEAD)))
    others = any(_NUMBER.fullmatch(other.cell) and any(other.numbers) for _, other in odd) and not heading.bar
    if others or (row.label != above.label and _is_word(row.label) and _is_word(above.label)):
        said = Said(row.cell, "it stands in several rows of a table")
    return Cell(start + 1 + sum(map(len, lines[:lowest])) + lowest, said)


def _rows(heading: Heading, lines: Sequence[str], numbers: Iterable[int]) -> Iterator[tuple[int, Row]]:
    """Those of the lines that are rows."""
    for number in numbers:
        if len(lines[number]) < LONGEST and (row := heading.row(lines[number])):
            yield number, row


def _is_word(label: str) -> bool:
    return bool(label) and not any(map(str.isdigit, label))
