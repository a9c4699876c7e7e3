"""Tables that fit a terminal: where columns do not fit, the least important are left out; rows never wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from rich.table import Table
from rich.text import Text

from swarm.wording.formatting import UNKNOWN

Row = TypeVar("Row")
UNBOUNDED = 1000  # cells; a screen so wide is none, and cells are as wide as what stands in them


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column: its cell for a row, its priority (0 is shown first), and how many terminal cells it asks for.

    A column with a `stretch` also shares the room that is left over. An optional column in which nothing is known
    is left out.
    """

    heading: str
    cell: Callable[[Row], Text]
    priority: int
    cells: int = 0
    stretch: int = 0
    right: bool = False
    optional: bool = False
    foreign: bool = False  # named by the project: it gives way where a column of ours has that name

    def width(self, cells: Sequence[Text]) -> int:
        """Enough for every cell; a stretching column cuts its cells and asks for its minimum only."""
        if self.stretch:
            return self.cells
        return max(self.cells, len(self.heading), *(cell.cell_len for cell in cells), 0)


def _told_apart(columns: Sequence[Column[Row]]) -> list[Column[Row]]:
    """The columns, no two under one name: a metric may be called as anything."""
    ours = {column.heading for column in columns if not column.foreign}
    return [
        replace(column, heading=f"{column.heading} (metric)") if column.foreign and column.heading in ours else column
        for column in columns
    ]


def fitting_table(columns: Sequence[Column[Row]], rows: Sequence[Row], width: int) -> Table:
    """`rows` under one line of headings, exactly one line each, at most `width` cells wide."""
    gap = 2 if width >= 100 else 1
    columns = _told_apart(columns)
    drawn = {column.heading: [column.cell(row) for row in rows] for column in columns}
    room, widths = width, {}
    for column in sorted(columns, key=lambda column: column.priority):
        cells = drawn[column.heading]
        needs = column.width(cells) + (gap if widths else 0)
        empty = all(cell.plain in ("", UNKNOWN) for cell in cells)
        if (column.optional and empty) or (widths and needs > room):
            continue
        widths[column.heading] = column.width(cells)
        room -= needs
    shown = [column for column in columns if column.heading in widths]
    shares = sum(column.stretch for column in shown)

    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    for column in shown:
        cells = widths[column.heading]
        if column.stretch and width >= UNBOUNDED:
            cells = max(cells, len(column.heading), *(cell.cell_len for cell in drawn[column.heading]))
        elif column.stretch:
            cells += room * column.stretch // shares
        justify = "right" if column.right else "left"
        table.add_column(column.heading, width=max(min(cells, width), 1), no_wrap=True, justify=justify)
    for index in range(len(rows)):
        table.add_row(*(drawn[column.heading][index] for column in shown))
    return table
