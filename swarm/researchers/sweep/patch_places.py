"""Whether a file has the places that a structural patch changes, by Python's own parser: nothing is rewritten, which
would take a hundred times as long for each patch."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Hashable, Mapping

from swarm.foreign_python import UNREADABLE
from swarm.researchers.sweep.python_syntax import parse

_UNREAD = {"ctx", "kind", "type_comment"}  # fields in which code that reads alike may differ

EVERYWHERE = ""


def has_code(text: str, code: str, within: str) -> bool:
    """Whether an expression or simple statement like `code` stands in the text; in the top-level class or function
    `within`, if it is named. Spelling of numbers and strings, layout and parentheses do not count."""
    return _shape_of(code) in _shapes(text).get(within, frozenset())


def has_name(text: str, name: str) -> bool:
    """Whether the file has a top-level class or function of that name."""
    return name in _shapes(text)


@functools.lru_cache(maxsize=8)
def _shapes(text: str) -> Mapping[str, frozenset[Hashable]]:
    """The shapes of all expressions and statements, everywhere and by the top-level class or function they stand in;
    nothing where the text is no Python, or too deep to be walked."""
    found: defaultdict[str, set[Hashable]] = defaultdict(set)
    try:
        for node in parse(text).body:
            name = getattr(node, "name", EVERYWHERE)
            _shape(node, found[name])
            found[EVERYWHERE] |= found[name]
    except UNREADABLE:
        return {}
    return {name: frozenset(shapes) for name, shapes in found.items()}


@functools.lru_cache(maxsize=256)
def _shape_of(code: str) -> Hashable:
    [node] = parse(code).body
    return _shape(node.value if isinstance(node, ast.Expr) else node, set())


def _shape(value: object, found: set[Hashable]) -> Hashable:
    """The value as nested tuples; those of expressions and statements in it go into `found`."""
    if isinstance(value, list):
        return tuple(_shape(item, found) for item in value)
    if not isinstance(value, ast.AST):
        return type(value), value
    fields = (_shape(field, found) for name, field in ast.iter_fields(value) if name not in _UNREAD)
    shape = type(value), *fields
    if isinstance(value, ast.expr | ast.stmt):
        found.add(shape)
    return shape
