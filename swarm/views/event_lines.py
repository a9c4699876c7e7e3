"""One line of text per event: what `watch` and `launch` print into a pipe, a log file or a dumb terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from swarm.ledger.events import RESUMED
from swarm.snapshot.records import Event, ExperimentView, Snapshot
from swarm.wording.formatting import Scale, clean, clock, to_ascii

_POLL = 1.0  # seconds between two looks at the ledger
_VERDICTS = ("keep", "discard", "crash", "near miss", "held")


def event_line(event: Event, snapshot: Snapshot) -> str:
    """`14:02:11 gpu3 keep 0.9932 (-0.0011) raise embedding lr`, the change being that over the parent."""
    experiment = next((e for e in snapshot.experiments if e.id == event.experiment), None)
    text = clean(event.text)
    if event.kind == RESUMED:
        return f"{clock(event.at, seconds=True)} swarm resumed; what stands above is from before"
    if experiment and event.kind in _VERDICTS:
        text = _verdict(experiment, Scale.of(snapshot), text if event.kind == "keep" else clean(experiment.title))
    return f"{clock(event.at, seconds=True)} {clean(event.agent) or 'swarm'} {clean(event.kind)} {text}".rstrip()


def _verdict(experiment: ExperimentView, scale: Scale, title: str) -> str:
    if experiment.status == "crash":
        return f"{experiment.failure or 'unknown'}: {title}"
    runs = f", n={experiment.value_n}" if experiment.value_n > 1 else ""
    figures = f"{to_ascii(scale.value(experiment.value))} ({to_ascii(scale.change(experiment.gain))}{runs})"
    return f"{figures} {title}"


def new_events(before: Snapshot | None, now: Snapshot) -> Iterator[Event]:
    """The events of `now` that `before` did not hold, oldest first."""
    seen = set(before.events) if before else set()
    return (event for event in now.events if event not in seen)


def print_events(read: Callable[[], Snapshot], write: Callable[[str], None], done: Callable[[], bool]) -> Snapshot:
    """Writes a line for every event until the swarm has ended or `done()`; returns the last snapshot."""
    before = None
    while True:
        last = done()  # asked first, so that what happened until then is still read
        now = read()
        for event in new_events(before, now):
            write(event_line(event, now))
        if now.ended is not None or last:
            return now
        before = now
        time.sleep(_POLL)
