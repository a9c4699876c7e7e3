"""Changes of a Python file as syntax, never as text: what a structural patch asks for (patches.py)."""

from __future__ import annotations

import functools

import libcst as cst

UNCHANGEABLE = (cst.ParserSyntaxError, RecursionError)  # raised for what Python parses and this does not, or too deep


@functools.lru_cache(maxsize=8)
def parsed_module(text: str) -> cst.Module:
    """The syntax tree of `text`, remembered: trees are never changed, and one text is asked about again and again."""
    return cst.parse_module(text)


def exchanged(module: cst.Module, old: str, new: str, within: str) -> cst.Module | None:
    """The module with every expression or simple statement that reads `old` as `new`, in the top-level `within` if it
    is named; None where there is none."""
    exchanger = _Exchanger(old, new)
    body = [statement.visit(exchanger) if within in ("", _name(statement)) else statement for statement in module.body]
    return module.with_changes(body=body) if exchanger.found else None


def inserted(module: cst.Module, before: str, code: str) -> cst.Module | None:
    """The module with the statements of `code` before the top-level class or function `before`; None without that."""
    for place, statement in enumerate(module.body):
        if _name(statement) == before:
            # The blank lines above a statement belong to it, and the new ones want as many.
            above = [line for line in statement.leading_lines if line.comment is None]
            new = [line.with_changes(leading_lines=above) for line in cst.parse_module(code).body]
            return module.with_changes(body=[*module.body[:place], *new, *module.body[place:]])
    return None


def _name(statement: cst.CSTNode) -> str | None:
    return statement.name.value if isinstance(statement, cst.ClassDef | cst.FunctionDef) else None


class _Exchanger(cst.CSTTransformer):
    """Replaces every expression or simple statement that reads as `old`."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__()
        parsed = _parsed(old)
        self._kind, self._old, self._new = type(parsed), _reading(parsed), _parsed(new)
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
