"""Reading a researcher's options, which are texts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from swarm.errors import UsageError


def positive(options: Mapping[str, str], name: str, default: float) -> float:
    """The option as a number above 0; UsageError where it is none."""
    try:
        value = float(options.get(name) or default)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UsageError(f"the option {name}={options[name]!r} must be a number above 0")
    return value
