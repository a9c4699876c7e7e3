"""Writes docs/json.md from the shapes of what verbs print: `python -m swarm.cli.json_docs > docs/json.md`."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from msgspec import Struct

from swarm.cli.shapes import ALSO, SHAPES

HEAD = """\
# What verbs print with --json

Made by `python -m swarm.cli.json_docs > docs/json.md` from the code; a test holds it current, and real output to it.

One JSON value on stdout. Numbers are numbers, and never NaN or infinite; what is not known is null, and every key is
always there. A `gain` is positive where it is better, in units of the metric; `low` and `high` are its 95% interval.
Times are unix seconds, spans are seconds. Texts marked *for people* may change; errors are one line on stderr.
"""
_COMMENT = re.compile(r"^    (\w+): [^#\n]*?(?:  # (.*))?$", re.MULTILINE)
_PLAIN = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null", Any: "anything"}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object: its type hint, and what it means."""

    hint: Any
    meaning: str


def fields_of(shape: Any) -> dict[str, Field]:
    """Every key of a shape: a TypedDict, or a record that is printed field by field."""
    found: dict[str, Field] = {}
    if shape in ALSO:
        other, only = ALSO[shape]
        found |= {name: field for name, field in fields_of(other).items() if only is None or name in only}
    meanings = dict(_COMMENT.findall(inspect.getsource(shape)))
    return found | {name: Field(hint, meanings.get(name, "")) for name, hint in typing.get_type_hints(shape).items()}


def is_object(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return True
    return dataclasses.is_dataclass(hint) or typing.is_typeddict(hint)


def faults(value: Any, hint: Any, where: str = "it") -> Iterator[str]:
    """What in a value of JSON is not as its shape says; nothing where all is."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint) or hint
    if hint is Any:
        return
    if origin in (typing.Union, types.UnionType):
        if all(any(faults(value, one)) for one in arguments):
            yield f"{where} is {value!r:.60}, not {type_text(hint)}"
    elif is_object(hint):
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        known = fields_of(hint)
        yield from (f"{where}.{name} is not documented" for name in value.keys() - known.keys())
        yield from (f"{where}.{name} is missing" for name in known.keys() - value.keys())
        for name in known.keys() & value.keys():
            yield from faults(value[name], known[name].hint, f"{where}.{name}")
    elif _is_mapping(origin):
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        for name, item in value.items():
            yield from faults(item, arguments[1] if arguments else Any, f"{where}.{name}")
    elif origin in (list, tuple):
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for place, item in enumerate(value):
            yield from faults(item, arguments[0], f"{where}[{place}]")
    elif not _is_a(value, origin):
        yield f"{where} is {value!r:.60}, not {type_text(hint)}"


def type_text(hint: Any) -> str:
    """A type as the page names it."""
    arguments, origin = typing.get_args(hint), typing.get_origin(hint) or hint
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(one) for one in arguments)
    if is_object(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if _is_mapping(origin):
        return f"object of {type_text(arguments[1])}" if arguments else "object"
    if origin in (list, tuple):
        return f"list of {type_text(arguments[0])}"
    return "text" if isinstance(origin, type) and issubclass(origin, Enum) else _PLAIN[origin]


def page() -> str:
    """docs/json.md."""
    listed = "\n".join(f"| `{verb}` | {', or '.join(map(type_text, shapes))} |" for verb, shapes in SHAPES.items())
    sections = [_section(shape) for shape in _objects(hint for shapes in SHAPES.values() for hint in shapes)]
    return "\n\n".join([HEAD.rstrip(), f"| verb | prints |\n|---|---|\n{listed}", *sections]) + "\n"


def _section(shape: Any) -> str:
    about = " ".join((inspect.getdoc(shape) or "").split("\n\n")[0].split())
    rows = "\n".join(
        f"| `{name}` | {type_text(field.hint)} | {field.meaning.replace('|', chr(92) + '|')} |"
        for name, field in fields_of(shape).items()
    )
    return f"## {shape.__name__}\n\n{about}\n\n| key | type | meaning |\n|---|---|---|\n{rows}"


def _objects(hints: Any) -> list[Any]:
    """Every object that these hold, each once, in the order in which they are met."""
    found: dict[Any, None] = {}

    def meet(hint: Any) -> None:
        if is_object(hint) and hint not in found:
            found[hint] = None
            for field in fields_of(hint).values():
                meet(field.hint)
        for one in typing.get_args(hint):
            meet(one)

    for hint in hints:
        meet(hint)
    return list(found)


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_a(value: Any, kind: Any) -> bool:
    if issubclass(kind, Enum):
        return isinstance(value, str)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


if __name__ == "__main__":
    print(page(), end="")
