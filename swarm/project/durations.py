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

_SUFFIXES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"(\d+(?:\.\d+)?)([smhd])"


def read_duration(value: object, name: str, unit: Unit = Unit.SECONDS) -> float:
    """How many units `value` lasts; UsageError, which calls it `name`, for what is no time."""
    try:
        if isinstance(value, str) and re.fullmatch(f"(?:{_PART})+", value.strip()):
            return sum(float(number) * _SUFFIXES[suffix] for number, suffix in re.findall(_PART, value)) / unit.value
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    wanted = f"a time such as 90s, 15m or 8h, or a number of {unit.name.lower()}"
    raise UsageError(one_line(printable(f"{name} must be {wanted}, not {value!r:.80}")))


def write_duration(value: float, unit: Unit = Unit.SECONDS) -> str:
    """The time as `read_duration` takes it, to the millisecond."""
    minutes, seconds = divmod(round(value * unit.value, 3), 60)
    hours, minutes = divmod(minutes, 60)
    parts = (hours, "h"), (minutes, "m"), (round(seconds, 3), "s")
    return "".join(f"{number:.12g}{suffix}" for number, suffix in parts if number) or "0s"
