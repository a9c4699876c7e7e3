"""Times as people write them: 90s, 15m, 8h, 1h30m, or a bare number of the unit that a setting is kept in."""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated

from swarm.errors import UsageError
from swarm.text import one_line, printable


class Unit(Enum):
    """What a setting is kept in, and what a bare number means; the value is in seconds."""

    SECONDS = 1.0
    HOURS = 3600.0


Seconds = Annotated[float, Unit.SECONDS]
Hours = Annotated[float, Unit.HOURS]

LONGEST = 1e11  # seconds, three thousand years: what is longer is a slip
_SUFFIXES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"([0-9]+(?:\.[0-9]+)?)([smhd])"


def read_duration(value: object, name: str, unit: Unit = Unit.SECONDS) -> float:
    """How many units `value` lasts; UsageError, which calls it `name`, for what is no time."""
    try:
        found = _read(value, unit)
        if found is not None and abs(found) * unit.value <= LONGEST:  # neither nan nor inf is
            return found
    except (ValueError, OverflowError):
        pass
    wanted = f"a time such as 90s, 15m or 8h, or a number of {unit.name.lower()}"
    raise UsageError(one_line(printable(f"{name} must be {wanted}, not {shown(value)}")))


def _read(value: object, unit: Unit) -> float | None:
    if isinstance(value, str) and re.fullmatch(f"(?:{_PART})+", value.strip()):
        return sum(float(number) * _SUFFIXES[suffix] for number, suffix in re.findall(_PART, value)) / unit.value
    return None if isinstance(value, bool) or not isinstance(value, (str, int, float)) else float(value)


def shown(value: object) -> str:
    """The value as a part of a line: even the text of a number of thousands of digits may not be had."""
    try:
        return f"{value!r:.80}"
    except ValueError:
        return "this number"


def write_duration(value: float, unit: Unit = Unit.SECONDS) -> str:
    """The time as `read_duration` takes it, to the millisecond."""
    minutes, seconds = divmod(round(value * unit.value, 3), 60)
    hours, minutes = divmod(minutes, 60)
    parts = (hours, "h"), (minutes, "m"), (round(seconds, 3), "s")
    return "".join(f"{number:.12g}{suffix}" for number, suffix in parts if number) or "0s"
