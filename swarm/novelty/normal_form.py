"""Python as it is compared: without comments, layout, docstrings and the spelling of constants."""

from __future__ import annotations

import ast
import functools

from swarm.foreign_python import UNREADABLE, is_deep, parse

LARGEST = 1e30  # arithmetic beyond it is left as it is written


@functools.lru_cache(maxsize=64)  # an edit leaves most files as they are
def meaning(path: str, content: bytes) -> bytes:
    """What a file means, as bytes that are equal for two spellings of one code; what is no Python, as it stands."""
    tree = tree_of(path, content)
    try:
        return ast.dump(tree).encode() if tree else content
    except (ValueError, RecursionError):  # a number of thousands of digits, an expression that never ends
        return content


@functools.lru_cache(maxsize=16)  # of a large file it takes megabytes
def tree_of(path: str, content: bytes) -> ast.Module | None:
    """The normalised syntax of a Python file; None where it is none, does not parse, or is too deep to be walked by
    what compares code: that must not depend on who asks. Nobody may change it."""
    tree = parsed(path, content)
    try:
        return None if tree is None or is_deep(tree) else _Normal().visit(tree)
    except RecursionError:
        return None


def parsed(path: str, content: bytes) -> ast.Module | None:
    """The syntax of a Python file as it is written; None where it is none, or does not parse."""
    try:
        return parse(content) if path.endswith(".py") else None
    except UNREADABLE:
        return None


class _Normal(ast.NodeTransformer):
    """Drops docstrings, other bare constants and `pass`, folds arithmetic of number literals: `2**18` is `262144`."""

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        left, right = _literal(node.left), _literal(node.right)
        value = None if left is None or right is None else _fold(node.op, left, right)
        return node if value is None else ast.Constant(value)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        value = _literal(node.operand)
        if value is None or not isinstance(node.op, ast.USub | ast.UAdd):
            return node
        return ast.Constant(-value if isinstance(node.op, ast.USub) else value)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(node.value)  # `kind` (the u of u"") means nothing


def _fold(op: ast.operator, a: float, b: float) -> float | None:
    """The value of simple arithmetic; None for what is not simple, or would be a number nobody writes."""
    try:
        match op:
            case ast.Add():
                value = a + b
            case ast.Sub():
                value = a - b
            case ast.Mult():
                value = a * b
            case ast.Div():
                value = a / b
            case ast.FloorDiv():
                value = a // b
            case ast.LShift() if isinstance(a, int) and isinstance(b, int) and 0 <= b <= 64:
                value = a << b
            case ast.Pow() if abs(b) <= 64 and abs(a) <= 1024:
                value = a**b
            case _:
                return None
    except (ZeroDivisionError, OverflowError):
        return None
    return value if isinstance(value, (int, float)) and abs(value) < LARGEST else None


def _literal(node: ast.expr) -> float | None:
    """The number that the node is; None for everything else, True and False among it."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
