"""Values from flags, variables and TOML, turned into the type that a field's hint asks for."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from swarm.errors import UsageError
from swarm.project.durations import Unit, read_duration, shown
from swarm.text import one_line, printable

_SWITCHES = {"yes": True, "no": False, "on": True, "off": False}
_LARGEST = 2**63  # what a ledger can hold


def read_value(value: Any, hint: Any, name: str, *, from_text: bool = False) -> Any:
    """`value` as `hint` asks for it; UsageError, which calls it `name`, where it is something else.

    With `from_text` a text may stand for a number or a switch, and a number for a text, as in a variable.
    """
    kind = plain(hint)
    if unit := unit_of(hint):
        return read_duration(value, name, unit)
    if typing.get_origin(kind) is Mapping and isinstance(value, dict):
        inner = typing.get_args(kind)[1]
        return {key: read_value(item, inner, f"{name}.{key}") for key, item in value.items()}
    if from_text:
        value = _relaxed(value, kind)
    try:
        converted = msgspec.convert(value, kind, strict=not from_text)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError):
        converted = None
    if converted is None or (isinstance(converted, int) and abs(converted) >= _LARGEST):
        raise UsageError(one_line(printable(f"{name} must be {_wanted(kind)}, not {shown(value)}")))
    return converted


def plain(hint: Any) -> Any:
    """The type in `hint` that is not None: nobody can write None, it is what is not said."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint


def unit_of(hint: Any) -> Unit | None:
    """What a time is kept in; None for what is no time."""
    return next((part for part in getattr(plain(hint), "__metadata__", ()) if isinstance(part, Unit)), None)


def _relaxed(value: Any, kind: Any) -> Any:
    if kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)  # gpus = 8
    if isinstance(value, str) and kind is not str:
        return _SWITCHES.get(value.strip().lower(), value.strip()) if kind is bool else value.strip()
    return value


def _wanted(kind: Any) -> str:
    if typing.get_origin(kind) is Mapping:
        return "a table of texts" if typing.get_args(kind)[1] is str else "a table of numbers"
    names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
    return names.get(kind, "a list of texts")


def pattern_fault(pattern: str) -> str:
    """Why a regular expression cannot find a number in a log, or ""."""
    try:
        groups = re.compile(pattern, re.MULTILINE).groups
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    return "" if groups == 1 else f"must have one group, (...), around the number; it has {groups}"
