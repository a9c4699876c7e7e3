"""Structural patches: changes of expressions in a training file, as syntax. One that finds no place is not offered."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import libcst as cst


@dataclass(frozen=True, slots=True)
class Exchange:
    """Every expression (or simple statement) that reads `old` becomes `new`; only in the top-level `within`, if named.

    Layout does not matter when `old` is looked for; `new` brings its own parentheses where its place needs them.
    """

    old: str
    new: str
    within: str = ""


@dataclass(frozen=True, slots=True)
class Insertion:
    """`code`, whole statements, goes before the top-level class or function `before`."""

    before: str
    code: str


Change = Exchange | Insertion


@dataclass(frozen=True, slots=True)
class Patch:
    """One structural idea. `ways` says how, for files that are shaped differently: the first that fits is taken.

    `weight` is how often such a change is drawn, where a good knob has 1.
    """

    title: str
    category: str
    rationale: str
    ways: tuple[tuple[Change, ...], ...]
    weight: float = 0.5

    def apply(self, text: str) -> str | None:
        """`text` with all changes of the first way that finds all its places; None where no way does."""
        return _applied(self, text)


@functools.lru_cache(maxsize=8)
def _parsed_module(text: str) -> cst.Module:
    """The syntax tree of `text`, remembered: trees are never changed, and one text is asked about again and again."""
    return cst.parse_module(text)


@functools.lru_cache(maxsize=64)  # one parent is asked for every patch, at every proposal
def _applied(patch: Patch, text: str) -> str | None:
    reading = "".join(text.split())
    for way in patch.ways:
        # Walking a syntax tree takes a tenth of a second; most patches are seen not to fit without it.
        fits = all("".join(change.old.split()) in reading for change in way if isinstance(change, Exchange))
        changed = _parsed_module(text) if fits else None
        for change in way:
            changed = _changed(changed, change) if changed else None
        if changed:
            return changed.code
    return None


def _changed(module: cst.Module, change: Change) -> cst.Module | None:
    return _inserted(module, change) if isinstance(change, Insertion) else _exchanged(module, change)


def _exchanged(module: cst.Module, exchange: Exchange) -> cst.Module | None:
    exchanger = _Exchanger(exchange)
    body = [
        statement.visit(exchanger) if exchange.within in ("", _name(statement)) else statement
        for statement in module.body
    ]
    return module.with_changes(body=body) if exchanger.found else None


def _inserted(module: cst.Module, insertion: Insertion) -> cst.Module | None:
    for place, statement in enumerate(module.body):
        if _name(statement) == insertion.before:
            # The blank lines above a statement belong to it, and the new ones want as many.
            above = [line for line in statement.leading_lines if line.comment is None]
            new = [line.with_changes(leading_lines=above) for line in cst.parse_module(insertion.code).body]
            return module.with_changes(body=[*module.body[:place], *new, *module.body[place:]])
    return None


def _name(statement: cst.CSTNode) -> str | None:
    return statement.name.value if isinstance(statement, cst.ClassDef | cst.FunctionDef) else None


class _Exchanger(cst.CSTTransformer):
    """Replaces every expression or simple statement that reads as the exchange's `old`."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        old = _parsed(exchange.old)
        self._kind, self._old, self._new = type(old), _reading(old), _parsed(exchange.new)
        self.found = False

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        if type(original_node) is self._kind and _reading(original_node) == self._old:
            self.found = True
            return self._new
        return updated_node


def _parsed(code: str) -> cst.CSTNode:
    line = cst.ensure_type(cst.parse_statement(code), cst.SimpleStatementLine).body[0]
    return line.value if isinstance(line, cst.Expr) else line


def _reading(node: cst.CSTNode) -> str:
    """The node's code without white space."""
    return "".join(cst.Module([]).code_for_node(node).split())
