"""Which nights may be compared: one ranking for each comparability key, and never one across."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.snapshot.records import NightView, Snapshot
from swarm.views.markdown import escape, table
from swarm.views.text import Scale, clean, plural

COLUMNS = ("night", "experiments", "keep", "baseline", "newest trunk")


def apart(snapshot: Snapshot) -> str:
    """One line on the nights that are not compared with this one; "" where all are."""
    others = [night for night in snapshot.nights if night.differs]
    if not others:
        return ""
    why = ", ".join(sorted({name for night in others for name in night.differs}))
    return (
        f"{plural(len(others), 'other night')} not ranked with this one (different {why}): see `python -m swarm status`"
    )


def render_groups(snapshot: Snapshot) -> RenderableType:
    """All nights for a terminal, the best of each group first."""
    return Group(*(part for heading, rows in _groups(snapshot) for part in (Text(clean(heading)), _table(rows))))


def _table(rows: Sequence[Sequence[str]]) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in COLUMNS:
        made.add_column(name, no_wrap=True, justify="left" if name == COLUMNS[0] else "right", min_width=12)
    for row in rows:
        made.add_row(*(Text(clean(cell)) for cell in row))
    return made


def markdown(snapshot: Snapshot) -> str:
    """The same for the report; "" where there is but one night."""
    from pandas import DataFrame

    if len(snapshot.nights) < 2:
        return ""
    parts = []
    for heading, rows in _groups(snapshot):
        cells = [[escape(cell) for cell in row] for row in rows]
        parts.append(f"{escape(heading)}\n\n{table(DataFrame(cells, columns=list(COLUMNS)))}")
    return "\n\n".join(parts)


def _groups(snapshot: Snapshot) -> Iterator[tuple[str, list[Sequence[str]]]]:
    """For each group what its nights have in common, and a row for each of them."""
    for _, members in groupby(snapshot.nights, key=lambda night: night.key):
        group = list(members)
        yield _heading(group[0]), [_row(night, snapshot) for night in group]


def _heading(night: NightView) -> str:
    same = f"{night.device}, {night.budget:g} s a run"
    return f"{same}; not compared with the above (different {', '.join(night.differs)})" if night.differs else same


def _row(night: NightView, snapshot: Snapshot) -> Sequence[str]:
    scale = Scale.of(snapshot)
    name = f"{night.tag} (this one)" if night.tag == snapshot.tag else night.tag
    return name, str(night.experiments), str(night.keep), scale.value(night.baseline), scale.value(night.best)
