"""The options of a single researcher: what its class declares, and how their texts are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from swarm.errors import UsageError
from swarm.project.durations import read_duration

T = TypeVar("T", str, int, float)


@dataclass(frozen=True)
class Option(Generic[T]):
    """One option (`--option name=value`). Its default says its type. A number is above 0, or 0 where `zero` may be; a
    `time` may have a unit, as 90s or 15m."""

    name: str
    default: T
    help: str
    zero: bool = False
    time: bool = False

    def read(self, options: Mapping[str, str]) -> T:
        """The value that was given, or the default; UsageError where it makes no sense."""
        text = options.get(self.name)
        if not text or isinstance(self.default, str):
            return type(self.default)(text or self.default)
        try:
            value = read_duration(text, f"the option {self.name}") if self.time else float(text)
        except ValueError:
            value = math.nan
        if not (0 < value < math.inf or (self.zero and value == 0)):
            least = "0 or more" if self.zero else "above 0"
            raise UsageError(f"the option {self.name}={text!r} must be a number {least}: {self.help}")
        return type(self.default)(value)


MAX_USD = Option("max_usd", 20.0, "money limit of a researcher on its own")
