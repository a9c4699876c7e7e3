"""Numbers, text and JSON that others wrote, above all edited code: read so that nothing in them raises anywhere.

A run may leave NaN, numbers of 400 digits, `true` for a count, a hundred thousand brackets, or bytes that are no text.
What comes out of here can be reckoned with: added, squared, stored, printed. Stdlib only, for the guard.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence

LARGEST = 1e60  # a number beyond it is infinite: the fourth power of what is below it still is a number
SMALLEST = 1e-60  # and what is nearer to 0, and not 0, has squares that cannot be told from 0
MOST = 2**53  # of a count: beyond it, a float is no whole number any more
TEXT = 2000  # characters of a text that are kept
_DIGITS = 18  # of a whole number that is read as one; longer ones are floats


class Unreadable(ValueError):
    """The text is no JSON that could be believed; the message says why."""


def parse(content: bytes | str) -> object:
    """The value of a JSON text; NaN and infinities are read. Unreadable for anything else, and for an object that has a
    key twice, as nobody knows which of them is meant."""
    try:
        return json.loads(content, parse_int=_whole, object_pairs_hook=_once)
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(str(error)[:120] or type(error).__name__) from error


def parse_object(content: bytes | str) -> Mapping[str, object]:
    """The same of an object; {} where it is none."""
    try:
        value = parse(content)
    except Unreadable:
        return {}
    return value if isinstance(value, dict) else {}


def number(value: object) -> float | None:
    """The number, NaN and infinities among them; None where it is none, as no boolean is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:  # hundreds of digits
        return math.inf if value > 0 else -math.inf
    return math.copysign(math.inf, found) if abs(found) > LARGEST else found


def finite(value: object, least: float = -LARGEST, most: float = LARGEST) -> float | None:
    """The number where it lies between these; None for all else."""
    found = number(value)
    return found if found is not None and least <= found <= most else None


def count(value: object) -> int | None:
    """How many: a whole number from 0 on; the part behind a point is left out. None for all else."""
    found = finite(value, 0, MOST)
    return None if found is None else int(found)


def text(value: object, longest: int = TEXT) -> str:
    """The text, cut; numbers and booleans as they are written in JSON. "" for all else."""
    match value:
        case str():
            return value[:longest]
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{number(value):g}"
    return ""


def plain(value: object) -> float | int | str | None:
    """The value as a record holds it: a number that can be reckoned with, or text; None for all else."""
    if isinstance(value, (str, bool)):
        return text(value)
    if isinstance(value, int) and abs(value) < MOST:
        return value
    return finite(value)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise Unreadable(f"an object in it has {twice[:40]!r} twice")
    return found
