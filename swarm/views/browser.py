"""What a person sees of a swarm at the keyboard: the leaderboard, its tables in full, and one row with its files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import Console, Group, RenderableType
from rich.text import Text

from swarm.snapshot.agent_files import LOGS, TRANSCRIPTS
from swarm.snapshot.records import AgentView, ExperimentView, Snapshot
from swarm.views.experiment import render_experiment
from swarm.views.follow import TAIL
from swarm.views.leaderboard import render
from swarm.views.tables import agents_table, experiments_table
from swarm.wording.formatting import Portable, Scale, clean, clean_block, shorten
from swarm.wording.verdict_text import judged

TABLES = ("leaderboard", "experiments", "agents")
HELP = """\
q         leave (the swarm goes on); in a row or in this help: back
?         this help
Tab       leaderboard, experiments, agents
up down   j k: the next row; PgUp PgDn: a page; g G: first, last
Enter     open the row: what it is, its log and its transcript
s         sort by something else
/         show only rows that hold a text; Escape shows all again
p         pause: the picture stays until p is pressed again

No key ends a swarm: `stop` in another terminal does."""
_FRAME = 3  # lines around a table: its name, its headings, the keys
_MOVES = {"up": -1, "k": -1, "down": 1, "j": 1}


def _worst_last(value: float | None) -> float:
    return float("inf") if value is None else -value


_SORTS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "experiments": {
        "newest": lambda e: -(e.judged or e.created),
        "gain": lambda e: _worst_last(e.gain),
        "status": lambda e: e.status or "",
        "agent": lambda e: e.agent,
    },
    "agents": {
        "name": lambda a: (len(a.agent), a.agent),
        "gain": lambda a: _worst_last(a.gain),
        "state": lambda a: a.state,
    },
}


@dataclass(slots=True)
class Browser:
    """Where somebody is who looks on: `press` is told of keys, `draw` gives the picture, `left` says they leave."""

    stopping: str
    leads: bool = False  # whether the swarm was started in this terminal: who leaves it is asked
    left: bool = False
    paused: bool = False
    _asked: bool = False
    _help: bool = False
    _typing: bool = False
    _table: str = TABLES[0]
    _filter: str = ""
    _row: int = 0
    _scroll: int = 0
    _opened: str = ""  # the id of the row that is open
    _sorts: dict[str, int] = field(default_factory=dict)
    _page: int = 10

    def press(self, key: str, snapshot: Snapshot) -> None:
        """What a key does. None of them changes anything of the swarm."""
        if self._typing:
            self._type(key)
        elif self._asked:
            self._asked, self.left = False, key in ("q", "y")
        elif key in ("q", "escape"):
            self._back(key)
        elif key in ("?", "h"):
            self._help = not self._help
        elif key == "p":
            self.paused = not self.paused
        elif key == "tab":
            self._show(TABLES[(TABLES.index(self._table) + 1) % len(TABLES)])
        elif key == "/":
            self._leave_leaderboard()
            self._typing, self._filter = True, ""
        elif key == "s":
            self._leave_leaderboard()
            self._sorts[self._table] = self._sorts.get(self._table, 0) + 1
        elif key == "enter":
            self._open(snapshot)
        else:
            self._move(key, snapshot)

    def draw(self, snapshot: Snapshot, width: int, height: int) -> RenderableType:
        """The picture at `width` x `height` cells."""
        self._page = max(height - _FRAME - 1, 1)
        if self._asked:
            return _screen("leave this terminal?", Text(LEADS), "q: leave   any other key: back", width)
        if self._help:
            return _screen("keys", Text(HELP), "q: back", width)
        if self._table == TABLES[0] and not self._opened:
            pause = "PAUSED · " if self.paused else ""
            return render(snapshot, width, height, self.stopping, f"{pause}? keys · ")
        if self._opened:
            lines = _opened(snapshot, self._opened, width)
            self._scroll = max(min(self._scroll, len(lines) - self._page), 0)
            shown = Text("\n".join(lines[self._scroll : self._scroll + self._page]), no_wrap=True, overflow="crop")
            return _screen(self._opened, shown, f"q: back   lines {self._scroll + 1} to {self._scroll + self._page}"
                           f" of {len(lines)}", width)  # fmt: skip
        return self._listed(snapshot, width)

    def _listed(self, snapshot: Snapshot, width: int) -> RenderableType:
        rows = self._rows(snapshot)
        self._row = max(min(self._row, len(rows) - 1), 0)
        first = max(min(self._row - self._page // 2, len(rows) - self._page), 0)
        shown = rows[first : first + self._page]
        draw = experiments_table if self._table == "experiments" else agents_table
        table = draw(snapshot, shown, width)
        if shown:
            table.rows[self._row - first].style = "reverse"
        sort = self._sort()
        filtered = f" · /{self._filter}{'_' if self._typing else ''}" if self._typing or self._filter else ""
        title = f"{self._table} · by {sort}{filtered} · {len(rows)} rows{' · PAUSED' if self.paused else ''}"
        return _screen(title, table, "? keys   Enter: open   Tab: next table   q: back", width)

    def _rows(self, snapshot: Snapshot) -> list[Any]:
        rows: Sequence[Any] = judged(snapshot) if self._table == "experiments" else snapshot.agents
        key = _SORTS[self._table][self._sort()]
        return sorted((row for row in rows if self._filter.lower() in _words(row)), key=key)

    def _sort(self) -> str:
        names = list(_SORTS[self._table])
        return names[self._sorts.get(self._table, 0) % len(names)]

    def _show(self, table: str) -> None:
        self._table, self._row, self._scroll, self._opened, self._filter = table, 0, 0, "", ""

    def _leave_leaderboard(self) -> None:
        if self._table == TABLES[0] or self._opened:
            self._show("experiments" if self._table == TABLES[0] else self._table)

    def _back(self, key: str) -> None:
        if self._help:
            self._help = False
        elif self._opened:
            self._opened = ""
        elif self._filter:
            self._filter = ""
        elif self._table != TABLES[0]:
            self._show(TABLES[0])
        elif key == "q":
            self._asked, self.left = self.leads, not self.leads

    def _type(self, key: str) -> None:
        if key in ("enter", "escape"):
            self._typing, self._filter = False, self._filter if key == "enter" else ""
        elif key == "backspace":
            self._filter = self._filter[:-1]
        elif len(key) == 1 or key == "space":
            self._filter += " " if key == "space" else key
        self._row = 0

    def _open(self, snapshot: Snapshot) -> None:
        if self._table == TABLES[0] or self._opened:
            return self._leave_leaderboard() if not self._opened else None
        if rows := self._rows(snapshot):
            row = rows[min(self._row, len(rows) - 1)]
            self._opened, self._scroll = row.id if isinstance(row, ExperimentView) else row.agent, 0
        return None

    def _move(self, key: str, snapshot: Snapshot) -> None:
        steps = _MOVES | {"pageup": -self._page, "pagedown": self._page, "space": self._page}
        ends = {"g": -1_000_000, "home": -1_000_000, "G": 1_000_000, "end": 1_000_000}
        step = (steps | ends).get(key)
        if step is None:
            return
        if self._opened:
            self._scroll = max(self._scroll + step, 0)
        elif self._table == TABLES[0]:
            self._leave_leaderboard()
        else:
            self._row = max(min(self._row + step, len(self._rows(snapshot)) - 1), 0)


LEADS = """\
q leaves: the swarm goes on without this terminal, and you are told how to
come back to it.
Ctrl-C ends it instead: what runs is finished, nothing new begins; twice
stops it now."""


def _screen(title: str, body: RenderableType, keys: str, width: int) -> RenderableType:
    return Portable(Group(Text(shorten(clean(title), width), "bold"), body, Text(shorten(keys, width), "dim")))


def _words(row: AgentView | ExperimentView) -> str:
    if isinstance(row, AgentView):
        return f"{row.agent} {row.state} {row.title} {row.researcher}".lower()
    return f"{row.id} {row.status} {row.rung} {row.title} {row.category} {row.reason}".lower()


def _opened(snapshot: Snapshot, what: str, width: int) -> list[str]:
    """An experiment or an agent with its log and its transcript, as lines of at most `width` cells."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    view = next((view for view in snapshot.experiments if view.id == what), None)
    if view:
        runs = [run for run in snapshot.runs if run.experiment == what]
        console.print(render_experiment(view, runs, "", "", Scale.of(snapshot), snapshot.sigma))
    folder = Path(snapshot.folder, view.agent if view else what)
    files = {
        "log": replace(LOGS, pattern=f"logs/{what}.*.log").newest(folder) if view else LOGS.newest(folder),
        "transcript": folder / "transcripts" / f"{what}.md" if view else TRANSCRIPTS.newest(folder),
    }
    for name, path in files.items():
        console.print(Text(f"\n--- {name}{f' {path.name}' if path and path.exists() else ': none'}"))
        if path and path.exists():
            console.print(Text(clean_block(_tail(path))))
    return console.file.getvalue().split("\n")  # type: ignore[attr-defined]


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        return file.read().decode(errors="replace")
