"""Reads the ledger and live.json into a Snapshot. Never writes, never starts anything: any process may do it."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import get_type_hints

import msgspec
from msgspec.structs import replace

from swarm import foreign
from swarm.errors import UsageError
from swarm.ledger.database import Ledger, locked
from swarm.ledger.events import EXHAUSTED, RESUMED
from swarm.ledger.head_lock import is_led
from swarm.ledger.home import ledger_path
from swarm.ledger.ladders import ladder_of, questions, read_ladder_runs
from swarm.ledger.swarms import swarms
from swarm.snapshot.build import Picture
from swarm.snapshot.records import AgentView, LadderView, Snapshot

FRESH = 600.0  # seconds for which a warning of the head stands in the header
STALE = 10.0  # seconds after which live.json says nothing about now
LIVE = {name: kind for name, kind in get_type_hints(AgentView).items() if name != "agent"}  # what one may say of itself


def read_snapshot(root: Path, ledger: Ledger, tag: str, now: float | None = None) -> Snapshot:
    """One consistent picture of swarm `tag`; UsageError where there is none of that name."""
    now = time.time() if now is None else now
    with ledger.reading():
        stored = _stored(root, ledger, tag, ledger.version())
    running = stored.ended is None and locked(ledger_path(root))
    led = stored.ended is None and not running and is_led(Path(stored.folder))
    status = stored.status if stored.ended is not None or running else _without_board(stored, led)
    warnings = _fresh_warnings(stored, now) if running else ()
    return replace(
        stored,
        now=now,
        status=status,
        agents=_live_agents(stored, now) if running else stored.agents,
        ladders=_ladders(stored),
        warnings=stored.warnings if status in ("failed", "interrupted") else warnings,
    )


def _ladders(snapshot: Snapshot) -> tuple[LadderView, ...]:
    """The scale ladders that were climbed, from the file beside the ledger."""
    runs, sign = read_ladder_runs(Path(snapshot.folder)), 1 if snapshot.direction == "lower" else -1
    titles = {view.id: view.title for view in snapshot.experiments}
    found = ((name, rival, ladder_of(runs, name, rival, sign)) for name, rival in questions(runs))
    return tuple(LadderView(name, titles[name], rival, it) for name, rival, it in found if it and name in titles)


def _without_board(stored: Snapshot, led: bool) -> str:
    """The status of a swarm that has not ended and whose board does not live: Ray is being started, or nobody leads."""
    if not led:
        return "interrupted"
    return stored.status if stored.status == "draining" else "starting"


def _fresh_warnings(snapshot: Snapshot, now: float) -> tuple[str, ...]:
    """What the head, which knows no better place, has warned of in the last minutes."""
    kinds = ("warning", EXHAUSTED)
    heads = [event for event in snapshot.events if event.kind in kinds and event.agent == "head"]
    return tuple(event.text for event in heads if now - event.at < FRESH)


@functools.lru_cache(maxsize=1)  # a leaderboard asks four times a second, and the ledger changes once a minute
def _stored(root: Path, ledger: Ledger, tag: str, version: tuple[int, int]) -> Snapshot:
    """The snapshot as the ledger tells it at this version of its content."""
    known = {swarm.tag: swarm for swarm in swarms(ledger)}
    if tag not in known:
        raise UsageError(f"there is no swarm {tag}; there are: {', '.join(known) or 'none yet'}")
    stored = Picture(ledger, known[tag]).snapshot(str(root / ".swarm" / tag), now=0.0)
    return replace(stored, status="draining") if known[tag].stop and stored.ended is None else stored


def _live_agents(stored: Snapshot, now: float) -> tuple[AgentView, ...]:
    since = max([stored.started, *(event.at for event in stored.events if event.kind == RESUMED)])
    return tuple(_live(agent, Path(stored.folder), now, since) for agent in stored.agents)


def _live(agent: AgentView, folder: Path, now: float, since: float = 0.0) -> AgentView:
    """The agent with what it said a moment ago; it is starting where it said nothing in this life of the swarm, which
    began at `since`, and stands as it is where what it says cannot be read."""
    try:
        live = foreign.parse_object((folder / agent.agent / "live.json").read_bytes())
    except OSError:
        return replace(agent, state="starting", note="its process is started")
    if not live:
        return agent
    at = foreign.finite(live.get("at")) or 0.0
    if at < since:
        return replace(agent, state="starting", note="its process is started")
    if now - at > STALE:
        return replace(agent, state="lost", note="no word from it")
    return replace(agent, **{name: live[name] for name in LIVE.keys() & live.keys() if _fits(live[name], LIVE[name])})


def _fits(value: object, kind: object) -> bool:
    """Whether the value is of the kind that a field holds."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True
