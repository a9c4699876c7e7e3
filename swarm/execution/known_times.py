"""What the untouched code took on a slot, in runs that have ended: an edit may take so much, and somewhat more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median

from swarm import foreign
from swarm.execution.slot import COLD_START, COUNTED, END, READING, START, TOOK, Overhead
from swarm.execution.spec import Result, Spec, write_whole
from swarm.execution.validity.clock_check import kept_heartbeats, phases_of
from swarm.execution.validity.counter_check import are_counted
from swarm.execution.validity.reading_check import Reading

REMEMBERED = 9  # runs of the untouched code whose times are kept


class KnownTimes:
    """The times of baseline runs, in the folder of an agent; where it made none, those of others beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, guard_folder: Path) -> None:
        """Keeps how long this baseline run took, to start, to end and in all."""
        result = Result.read(guard_folder)
        if result and result.steps:
            trainer, spec = result.steps[0], Spec.read(guard_folder)
            phases = phases_of(spec, trainer)
            if are_counted(kept_heartbeats(spec)):
                write_whole(self._folder / COUNTED, True)
            taken = {COLD_START if trainer.compiled else START: phases.before, END: phases.after, TOOK: trainer.seconds}
            for name, seconds in taken.items():
                write_whole(self._folder / name, [*_numbers(self._folder / name), seconds][-REMEMBERED:])

    def note_reading(self, values: Mapping[str, object]) -> None:
        """Keeps what this baseline run took in the referee, if that was more than before."""
        found, known = Reading.of(values), _reading(self._folder / READING)
        if found and (known is None or found.total > known.total):
            write_whole(self._folder / READING, asdict(found))

    def reading(self) -> Reading | None:
        """What a baseline run took in the referee here; where this slot made none, what it took on others."""
        own = _reading(self._folder / READING)
        others = map(_reading, self._folder.parent.glob(f"*/{READING}")) if own is None else ()
        return own or max(filter(None, others), key=lambda reading: reading.total, default=None)

    def counted(self) -> bool:
        """Whether a fixed harness counted the steps of a baseline run, here or on another slot."""
        return any(self._folder.parent.glob(f"*/{COUNTED}"))

    def overhead(self) -> Overhead | None:
        """What the untouched code took beside its training, where it has run here."""
        warm, cold, end = map(self.known, (START, COLD_START, END))
        start = cold if warm is None else warm
        return None if start is None or end is None else Overhead(start, end, cold)

    def known(self, name: str) -> float | None:
        """What baseline runs took here; where this slot made none, what they took on others of this machine.

        Of a start half as long again is free: of the median one, as of the longest a cheat had a third more to train
        in, and in 22 starts on a machine with a load of 4 to 18 no honest one needed it. Where the machine becomes half
        as slow again later on, one start in seven pays, a quarter of a second. Of all else, which is a limit and is not
        paid for, the longest counts.
        """
        seconds = _numbers(self._folder / name)
        if not seconds:
            seconds = [one for file in self._folder.parent.glob(f"*/{name}") for one in _numbers(file)]
        return (median(seconds) if name == START else max(seconds)) if seconds else None


def _numbers(file: Path) -> list[float]:
    """The numbers that a file holds; one alone counts as a list of it."""
    try:
        stored = foreign.parse(file.read_bytes())
    except (OSError, foreign.Unreadable):
        return []
    found = (foreign.finite(value, 0) for value in (stored if isinstance(stored, list) else [stored]))
    return [seconds for seconds in found if seconds is not None]


def _reading(file: Path) -> Reading | None:
    try:
        return Reading.kept(foreign.parse(file.read_bytes()))
    except (OSError, foreign.Unreadable):
        return None
