"""Records as JSON text: in the ledger, and on the way between processes."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import math
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from swarm import records

RECORDS: Mapping[str, type] = {
    name: kind for name, kind in vars(records).items() if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}


def encode(value: object) -> str:
    """A record as JSON text; `decode` gives it back, equal but for numbers that are none: they become None."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def decode(text: str) -> Any:
    """The value that `encode` wrote. Only records are ever built: nothing else can be named."""
    return _rich(json.loads(text))


def _plain(value: object) -> object:
    kind = type(value)
    if kind is str or kind is int:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if names := _fields(kind):
        return {"record": kind.__name__} | {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"map": {str(k): _plain(v) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_rich(v) for v in value)
    if not isinstance(value, dict):
        return value
    if "bytes" in value:
        return base64.b64decode(value["bytes"])
    if "map" in value:
        return {k: _rich(v) for k, v in value["map"].items()}
    cls = RECORDS[value.pop("record")]
    plain = {k: _rich(v) for k, v in value.items()}
    for name, words in _enums(cls):
        if isinstance(plain.get(name), str):
            plain[name] = words(plain[name])
    return cls(**plain)


@functools.cache
def _fields(kind: type) -> tuple[str, ...]:
    """The names of a record's fields; none for what is no record."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


@functools.cache
def _enums(cls: type) -> tuple[tuple[str, type[StrEnum]], ...]:
    """The fields that are a StrEnum, which come back from JSON as words."""
    hints = typing.get_type_hints(cls).items()
    options = [(name, part) for name, hint in hints for part in (typing.get_args(hint) or (hint,))]
    return tuple((name, part) for name, part in options if isinstance(part, type) and issubclass(part, StrEnum))
