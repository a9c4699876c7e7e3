"""A literal of a file that could be a knob, and how a new value is spelt in its place, in the style of the old one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

Value = float | int | str  # a switch is True or False, which Python counts as whole numbers


class Place(StrEnum):
    """Where a literal stands: the more it looks like a setting, the more unfamiliar its name may be."""

    CONSTANT = "constant"  # of a module, by its spelling
    SETTING = "setting"  # a key, a field, a flag, a variable of a module
    ARGUMENT = "argument"  # of a constructor
    DEFAULT = "default"  # of a parameter
    DETAIL = "detail"  # inside of a function: a variable, or an argument of a function
    WEIGHT = "weight"  # a factor inside of an expression
    BAR = "bar"  # what something is compared with
    OPERAND = "operand"  # of an instruction: an address, a distance or a value, of any sign


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, switch or word of a text, at characters `start` to `end`. `name` says what it is called in its file.

    `comment` is what stands beside it or just above it; `choices` are the words that the file knows in this place.
    """

    name: str
    start: int
    end: int
    value: Value
    place: Place
    comment: str = ""
    choices: tuple[str, ...] = ()


def is_telling(place: Place, value: Value) -> bool:
    """Whether a number of this value in such a place is a matter of choice.

    Whole factors halve, negate or change a unit; what is compared with a small whole number is counted.
    """
    if place is Place.WEIGHT:
        return isinstance(value, float) and 1e-3 <= abs(value) < 100 and value % 1 != 0
    if place is Place.BAR:
        return not isinstance(value, bool | str) and 0.01 <= abs(value) < 1000 and (value % 1 != 0 or abs(value) >= 15)
    return True


def numbered(literals: Iterable[Literal]) -> dict[str, Literal]:
    """By name, in the order of the text; the second of a name is called `name#2`, and so on."""
    found: dict[str, Literal] = {}
    seen: dict[str, int] = {}
    for literal in sorted(literals, key=lambda literal: literal.start):
        seen[literal.name] = count = seen.get(literal.name, 0) + 1
        found[literal.name if count == 1 else f"{literal.name}#{count}"] = literal
    return found


def spliced(text: str, changes: Mapping[Literal, Value]) -> str:
    """`text` with new values in the place of these literals, and nothing else touched."""
    parts, position = [], 0
    for literal, value in sorted(changes.items(), key=lambda change: change[0].start):
        parts += [text[position : literal.start], spelt(text[literal.start : literal.end], value)]
        position = literal.end
    return "".join([*parts, text[position:]])


# ---------------------------------------------------------------------------------------------------------------
# Spelling


_NUMBER = re.compile(
    r"(?P<sign>[-+]?)\s*(?P<body>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9._']*[0-9.](?:[eE][-+]?[0-9_]*[0-9])?)"
    r"(?P<suffix>_?[a-zA-Z][a-zA-Z0-9]*)?"
)
_POWER = re.compile(r"2(?P<gap> ?)\*\*(?P=gap)\d+")
_SHIFT = re.compile(r"1(?P<gap> ?)<<(?P=gap)\d+")


def spelt(old: str, value: Value) -> str:
    """`value` as a file writes it that wrote `old` there: quotes, capitals, digits and suffixes of the old one."""
    if isinstance(value, str):
        quote = old[:1] if old[:1] in ("'", '"', "`") else '"' if old[:1] in ("", "2") else ""
        return f"{quote}{value}{quote}"
    if isinstance(value, bool):
        said = str(value) if old[:1].isupper() else str(value).lower()
        return said.upper() if old.isupper() else said
    for power, form in ((_POWER, "2{0}**{0}{1}"), (_SHIFT, "1{0}<<{0}{1}")):
        if (match := power.fullmatch(old)) and _is_power_of_two(value):
            return form.format(match["gap"], int(value).bit_length() - 1)
    match = _NUMBER.fullmatch(old)
    if match is None:  # arithmetic, of which the new value is the result
        return repr(value)
    body = match["body"]
    new = _whole(abs(value), body) if isinstance(value, int) else _fraction(abs(value), body)
    return f"{'-' if value < 0 else ''}{new}{match['suffix'] or ''}"


def _is_power_of_two(value: float) -> bool:
    return isinstance(value, int) and value > 1 and value & (value - 1) == 0


def _whole(value: int, old: str) -> str:
    base = old[:2].lower()
    if base in ("0x", "0b", "0o"):
        digits = format(value, {"0x": "x", "0b": "b", "0o": "o"}[base])
        return old[:2] + (digits.upper() if any(c.isupper() for c in old[2:]) else digits)
    return _grouped(str(value), old)


def _fraction(value: float, old: str) -> str:
    exponent = re.search(r"[eE]([-+]?)(\d+)$", old)
    if exponent is None:
        written = repr(value)
        if old.startswith(".") and written.startswith("0."):
            return written[1:]
        return written if "e" in written else _grouped(written, old)
    digits = Decimal(repr(value)).normalize()
    mantissa = f"{digits:e}".lower().partition("e")[0]
    power = digits.adjusted() if value else 0
    if "." in old and "." not in mantissa:
        mantissa += ".0"
    sign = "-" if power < 0 else exponent[1].replace("-", "") if power else exponent[1]
    return f"{mantissa}{exponent[0][0]}{sign}{str(abs(power)).zfill(len(exponent[2]))}"


def _grouped(digits: str, old: str) -> str:
    """Thousands set apart, where the old number sets them apart."""
    mark = next((mark for mark in ("_", "'") if mark in old), "")
    whole, dot, rest = digits.partition(".")
    return f"{int(whole):,}".replace(",", mark) + dot + rest if mark else digits
