"""The live leaderboard: one screen that shows a swarm's whole state, drawn from a Snapshot.

`python -m swarm.lab.demo` shows it with a made-up swarm.
"""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.text import Text

from swarm.invoked import program
from swarm.snapshot.records import Snapshot
from swarm.views.comparable_swarms import unranked_line
from swarm.views.event_lines import print_events
from swarm.views.header import header
from swarm.views.tables import agents_beyond, agents_table, experiments_table, last_judged
from swarm.wording.audit_marks import legend
from swarm.wording.formatting import Portable, Scale, clean, keep_remedy, shorten, shorten_start
from swarm.wording.pace import drain_text

OWNER = "Ctrl-C drains, twice stops now"
VISITOR = "Ctrl-C leaves this view, the swarm runs on"

_HEADINGS = 2  # a blank line and a line of column names above each table
_LOW = 16  # rows; below, the header shrinks to its first two lines
_FOLDER = 8  # cells; of a name that is shorter nothing is left to read
_FEWEST_EXPERIMENTS = 3  # that stay in sight however many agents there are


class Leaderboard(Struct, frozen=True):
    """The picture at `width` x `height` cells; never more, whatever the swarm's size. `stopping` says how to stop."""

    snapshot: Snapshot
    width: int
    height: int
    stopping: str = OWNER
    keys: str = ""  # what stands before the last line, where somebody can press keys

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Portable(Group(*self._parts()))

    def _parts(self) -> list[RenderableType]:
        snapshot, width = self.snapshot, self.width
        top, bottom = header(snapshot, width), self._footer()
        if self.height < _LOW:
            top = top[:2]
        room = self.height - len(top) - len(bottom) - 1
        agents, experiments = self._divide(room - _HEADINGS)
        parts: list[RenderableType] = [*top[: self.height]]
        if agents > 0:
            parts += [Text(), agents_table(snapshot, snapshot.agents[:agents], width)]
            if agents < len(snapshot.agents):
                parts.append(agents_beyond(snapshot.agents[agents:], width))
        if experiments > 0:
            parts += [Text(), experiments_table(snapshot, last_judged(snapshot, experiments), width)]
        if room >= 0:
            parts += [Text(), *bottom]
        return parts

    def _divide(self, room: int) -> tuple[int, int]:
        """How many agents and how many experiments are shown in `room` lines; all agents if that can be."""
        everyone, judged = len(self.snapshot.agents), len(last_judged(self.snapshot, self.height))
        reserved = _HEADINGS + min(judged, _FEWEST_EXPERIMENTS) if judged and room >= 10 else 0
        agents = everyone if everyone <= room - reserved else max(room - reserved - 1, 0)
        used = agents + (1 if agents < everyone else 0)
        return agents, min(judged, max(room - used - _HEADINGS, 0))

    def _footer(self) -> list[Text]:
        snapshot, scale = self.snapshot, Scale.of(self.snapshot)
        meant = [f"{scale.direction} {scale.metric} is better", "± is a 95% interval"]
        only = ["DEMONSTRATION ONLY"] if snapshot.demonstration else []
        notes = shorten(", ".join(only + legend(snapshot.experiments) + meant), self.width)
        room = self.width - cell_len(notes) - 3
        folder = f"{shorten_start(clean(snapshot.folder), room)} · " if room >= _FOLDER else ""
        lines = (folder + notes, unranked_line(snapshot), self.keys + self._ending())
        return [Text(keep_remedy(line, self.width), "dim") for line in filter(None, lines)]

    def _ending(self) -> str:
        snapshot = self.snapshot
        if snapshot.ended is not None:
            return f"{program()} report --tag {clean(snapshot.tag)}"
        if snapshot.status == "interrupted":
            return f"nobody leads it any more: {program()} resume --tag {clean(snapshot.tag)}"
        if snapshot.status == "draining":
            again = "Ctrl-C again stops now" if self.stopping == OWNER else self.stopping
            return f"draining: {drain_text(snapshot)} · {again}"
        return f"program.md is re-read live · {self.stopping}"


def render(snapshot: Snapshot, width: int, height: int, stopping: str = OWNER, keys: str = "") -> RenderableType:
    """The leaderboard as something rich can print, in at most `width` x `height` cells."""
    return Leaderboard(snapshot, width, height, stopping, keys)


class Browsing(Protocol):
    """What keys do in a leaderboard (browser.py)."""

    left: bool
    paused: bool

    def press(self, key: str, snapshot: Snapshot) -> None: ...
    def draw(self, snapshot: Snapshot, width: int, height: int) -> RenderableType: ...


def watch(
    read: Callable[[], Snapshot],
    console: Console,
    refresh: float = 4.0,
    stopping: str = VISITOR,
    done: Callable[[], bool] = lambda: False,
    keys: Callable[[float], list[str]] | None = None,
    browser: Browsing | None = None,
) -> Snapshot:
    """Shows what `read` gives, `refresh` times a second, until the swarm has ended or `done()`; returns the last one.

    On a terminal this is the live leaderboard, and its last frame stays behind; where the output is a pipe or a dumb
    terminal, it is one line per event. KeyboardInterrupt passes through with the terminal restored. `keys` waits so
    many seconds and gives what was pressed; the `browser` says what that does, and when somebody leaves.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        return print_events(read, lambda line: console.print(Portable(Text(line)), soft_wrap=True), done)
    snapshot = read()
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while snapshot.ended is None and not done():
                picture = browser.draw if browser else functools.partial(render, stopping=stopping)
                live.update(picture(snapshot, *console.size), refresh=True)
                for key in _pressed(keys, 1 / refresh):
                    if browser:
                        browser.press(key, snapshot)
                if browser and browser.left:
                    break
                if not (browser and browser.paused):
                    snapshot = read()
    finally:
        console.print(render(snapshot, console.width, console.height - 1, stopping))
    return snapshot


def _pressed(keys: Callable[[float], list[str]] | None, seconds: float) -> list[str]:
    if keys:
        return keys(seconds)
    time.sleep(seconds)
    return []


def export_svg(snapshot: Snapshot, path: Path, width: int = 120, height: int = 40) -> Path:
    """The leaderboard as a picture, for a README; returns `path`."""
    console = Console(
        record=True,
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
    )
    console.print(render(snapshot, width, height))
    console.save_svg(str(path), title=f"python -m swarm watch --tag {clean(snapshot.tag)}")
    return path
