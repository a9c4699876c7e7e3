"""The arguments of a tool's call: read as what they should be, or refused with the reason for whoever made the call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A call that cannot be done, with the reason and the remedy for whoever made it."""


def string(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise Refused(f"{name} must be given, as a text")
    return value.encode("utf-8", "replace").decode()  # lone surrogates would break what writes it down


def whole(arguments: Mapping[str, Any], name: str, default: int) -> int:
    value = arguments.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{name} must be a whole number")
    return value


def knobs(arguments: Mapping[str, Any]) -> dict[str, float | int | str]:
    knobs = arguments.get("knobs") or {}
    if not isinstance(knobs, Mapping) or len(knobs) > 32:
        raise Refused("knobs must be an object of names and new values")
    for name, value in knobs.items():
        plain = isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))
        if not plain or len(f"{name}{value}") > 200:
            raise Refused(f"the knob {str(name)[:80]} must be a finite number, true or false, or a short text")
    return {str(name): value for name, value in knobs.items()}
