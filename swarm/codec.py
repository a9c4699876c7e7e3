"""Records as JSON text: in the ledger, and on the way between processes.

A record is an object of its fields, begun by its name: `{"kind":"Rest","reason":"nothing to run","seconds":1.0}`.
Everything within it is read as its type hints say. Ledgers of versions before msgspec hold an older shape, which names
every record within (`"record"`) and wraps mappings (`"map"`) and bytes (`"bytes"`); it is still read.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from swarm import records

RECORDS: Mapping[str, type] = {
    name: kind
    for name, kind in vars(records).items()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
}
_HEAD = '{"kind":"'


def encode(value: object) -> str:
    """A record as JSON text; `decode` gives it back, equal but for NaN and infinities, which become None."""
    name = type(value).__name__
    text = _json(value)
    return f'{_HEAD}{name}",{text[1:]}' if RECORDS.get(name) is type(value) else text


def decode(text: str) -> Any:
    """The value that `encode` wrote. Only records are ever built: KeyError for any other name."""
    if text.startswith(_HEAD):
        return _decoder(text[len(_HEAD) : text.index('"', len(_HEAD))]).decode(text)
    plain = json.loads(text)
    if isinstance(plain, dict):
        return msgspec.convert(_unwrapped(plain), RECORDS[plain["record"]])
    return _unwrapped(plain)


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half a character, as programs print it
        whole = json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode(errors="replace")
        return msgspec.json.encode(json.loads(whole)).decode()


@functools.cache
def _decoder(name: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(RECORDS[name])


def _unwrapped(value: Any) -> Any:
    """A value of the older shape without its wrappers."""
    match value:
        case list():
            return tuple(_unwrapped(part) for part in value)
        case {"bytes": str() as base64} if len(value) == 1:
            return base64
        case {"map": dict() as inner} if len(value) == 1:
            return {key: _unwrapped(part) for key, part in inner.items()}
        case dict():
            return {key: _unwrapped(part) for key, part in value.items()}
    return value
