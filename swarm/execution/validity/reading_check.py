"""Whether a model went on to train while the referee loaded it or read with it, where no clock of a training runs.

Loading a model and reading with it take what the untouched code takes for that; reading takes longer as far as each
token also took longer to train. A call that takes far longer than the others did more than read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swarm import foreign
from swarm.execution.slot import COLD, longer
from swarm.execution.validity.diagnosis import Failed
from swarm.records import Check, Failure

UNEVEN = 0.25  # share of what the calls take that they may take beyond so many usual ones
LARGEST = 8.0  # times what a token took to train with the untouched code, up to which reading may take longer


_NAMES = ("load", "first", "calls", "usual")


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds that it took to load a model, for its first call, for all others, and for as many usual ones; and what a
    token took to be trained. Of the CPU where the reader was sealed, else by the clock on the wall."""

    load: float
    first: float
    calls: float
    usual: float
    price: float
    sealed: bool

    @staticmethod
    def of(values: Mapping[str, object]) -> Reading | None:
        """What the values of a run's metrics say; None where its referee is not ours."""
        seconds = _seconds(values, *(f"reader_{name}" for name in _NAMES))
        if not seconds:
            return None
        trained = _seconds(values, "seconds_within", "loaded_tokens")  # the second is the training's own word
        price = trained[0] / max(trained[1], 1.0) if trained else 0.0
        load, first, calls, usual = seconds
        return Reading(load, first, calls, usual, price, values.get("readers") == "sealed")

    @staticmethod
    def kept(stored: object) -> Reading | None:
        """What was stored of one; None where that is none."""
        if not isinstance(stored, Mapping) or not (seconds := _seconds(stored, *_NAMES, "price")):
            return None
        load, first, calls, usual, price = seconds
        return Reading(load, first, calls, usual, price, bool(stored.get("sealed")))

    @property
    def total(self) -> float:
        return self.load + self.first + self.calls


def _seconds(values: Mapping[str, object], *names: str) -> tuple[float, ...] | None:
    """The numbers of these names; None where one of them is missing."""
    found = [foreign.finite(values.get(name), 0) for name in names]
    known = tuple(number for number in found if number is not None)
    return known if len(known) == len(found) else None


def trained_while_read(own: Reading | None, known: Reading | None, budget: float, device: str) -> Failed | None:
    """A model that took more in the referee than the untouched code's, where that is known, and an idea explain."""
    if known is None:
        return None
    if own is None:
        return Failed(Failure.INVALID, "clock: the referee does not say what it took to read the model", Check.CLOCK)
    if own.sealed is not known.sealed:
        return None
    size = min(LARGEST, max(1.0, own.price / known.price)) if known.price else 1.0
    limits = {
        "to be loaded": (own.load, longer(known.load, budget, device)),
        "at its first call": (own.first, _first(known, size, budget, device)),
        "to be read with": (own.calls, longer(size * known.calls, budget, device)),
        "in a few of its calls": (own.calls - own.usual, longer(UNEVEN * own.usual, budget, device)),
    }
    for what, (seconds, most) in limits.items():
        if seconds > most:
            unit = "CPU-seconds" if own.sealed else "seconds"
            said = f"clock: its model took {seconds:.1f} {unit} {what}, where {most:.1f} are allowed"
            return Failed(Failure.INVALID, said, Check.CLOCK)
    return None


def _first(known: Reading, size: float, budget: float, device: str) -> float:
    """What a first call may take: where it compiles, at least what that takes where nothing is compiled yet."""
    most = longer(size * known.first, budget, device)
    return most if known.sealed else max(COLD, most)
