"""All swarms of the repository, one table per comparability key: results under different keys are never ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.invoked import program
from swarm.snapshot.records import Snapshot, SwarmView
from swarm.wording.formatting import Scale, clean, plural
from swarm.wording.markdown import escape, table

COLUMNS = ("swarm", "experiments", "keep", "kept", "baseline", "newest trunk")


def unranked_line(snapshot: Snapshot) -> str:
    """One line on the swarms that are not compared with this one; "" where all are."""
    others = [swarm for swarm in snapshot.swarms if swarm.differs]
    if not others:
        return ""
    why = ", ".join(sorted({name for swarm in others for name in swarm.differs}))
    return f"{plural(len(others), 'other swarm')} not ranked with this one (different {why}): see `{program()} ls`"


def render_swarms(snapshot: Snapshot) -> RenderableType:
    """All swarms for a terminal, the best of each group first."""
    return Group(*(part for heading, rows in _groups(snapshot) for part in (Text(clean(heading)), _table(rows))))


def _table(rows: Sequence[Sequence[str]]) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in COLUMNS:
        made.add_column(name, no_wrap=True, justify="left" if name == COLUMNS[0] else "right", min_width=12)
    for row in rows:
        made.add_row(*(Text(clean(cell)) for cell in row))
    return made


def swarms_markdown(snapshot: Snapshot) -> str:
    """The same for the report; "" where there is only one swarm."""
    if len(snapshot.swarms) < 2:
        return ""
    parts = []
    for heading, rows in _groups(snapshot):
        cells = [dict(zip(COLUMNS, map(escape, row), strict=True)) for row in rows]
        parts.append(f"{escape(heading)}\n\n{table(cells)}")
    return "\n\n".join(parts)


def _groups(snapshot: Snapshot) -> Iterator[tuple[str, list[Sequence[str]]]]:
    """For each group what its swarms have in common, and a row for each of them."""
    for _, members in groupby(snapshot.swarms, key=lambda swarm: swarm.key):
        group = list(members)
        yield _heading(group[0]), [_row(swarm, snapshot) for swarm in group]


def _heading(swarm: SwarmView) -> str:
    same = f"{swarm.device}, {swarm.budget:g} s a run"
    return f"{same}; not compared with the above (different {', '.join(swarm.differs)})" if swarm.differs else same


def _row(swarm: SwarmView, snapshot: Snapshot) -> Sequence[str]:
    scale = Scale.of(snapshot)
    name = f"{swarm.tag} (this one)" if swarm.tag == snapshot.tag else swarm.tag
    return (
        name,
        str(swarm.experiments),
        str(swarm.keep),
        str(swarm.kept),
        scale.value(swarm.baseline),
        scale.value(swarm.best),
    )
