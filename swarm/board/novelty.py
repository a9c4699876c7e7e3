"""Is this the same idea, is this the same code? Pure functions; the board keeps what they give under unique keys.

Two gates so far: the intent of an idea (its knobs and values, or its words without filler), at claim; and the
normalised syntax tree of the edited files, before the run. Whole files are never compared by likeness: any two one-line
edits of train.py look 99.9999% alike.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re

from swarm.records import Idea, Source

FILLER = frozenset(
    ("a", "an", "the", "to", "of", "in", "on", "for", "with", "and", "or", "by", "use", "using", "try", "set", "into")
)
POWER = re.compile(r"(\d+)(?:\*\*|\^)(\d+)")
LARGEST = 1e30  # arithmetic beyond it is left as it is written


def intent(idea: Idea) -> str:
    """The idea without its wording: equal for two ideas that would do the same thing.

    The order of words counts: GELU in place of SiLU is not SiLU in place of GELU. What this gate lets through twice,
    the fingerprint of the code still catches; what it refuses is refused for ever.
    """
    if idea.knobs:
        return " ".join(f"{name.lower()}={_number(value)}" for name, value in sorted(idea.knobs.items()))
    words = re.findall(r"[\w.^*+-]+", idea.title.lower().replace("->", " "))
    return " ".join(_number(word.rstrip(".")) for word in words if word not in FILLER) or idea.title


def fingerprint(source: Source) -> str:
    """A hash of what the code means: comments, layout, docstrings and the spelling of constants do not count.

    A file that is not Python, or does not parse, counts as it stands.
    """
    digest = hashlib.sha256()
    for path, content in sorted(source.files.items()):
        meaning = _meaning(path, content)
        digest.update(f"{path}\0{len(meaning)}\0".encode() + meaning)
    return digest.hexdigest()


def size(source: Source) -> int:
    """How much code there is: nodes of the syntax trees, without docstrings; bytes for other files."""
    return sum(_size(path, content) for path, content in source.files.items())


@functools.lru_cache(maxsize=16)
def _size(path: str, content: bytes) -> int:
    tree = _tree(path, content)
    return sum(1 for _ in ast.walk(tree)) if tree else len(content)


def _meaning(path: str, content: bytes) -> bytes:
    tree = _tree(path, content)
    try:
        return ast.dump(tree).encode() if tree else content
    except (ValueError, RecursionError):  # a number of thousands of digits, an expression that never ends
        return content


@functools.lru_cache(maxsize=16)  # a draft is asked for its fingerprint and its size, and its parent for its size
def _tree(path: str, content: bytes) -> ast.Module | None:
    if not path.endswith(".py"):
        return None
    try:
        return _Normal().visit(ast.parse(content))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Normal(ast.NodeTransformer):
    """Drops docstrings and other bare constants, folds arithmetic of number literals: `2**18` is `262144`."""

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
        return ast.Constant(-value) if isinstance(node.op, ast.USub) and value is not None else node

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


def _number(value: object) -> str:
    """One spelling per number: 0.040 and 4e-2 are the same, 2**18 and 262144, 1 and 1.0."""
    power = POWER.fullmatch(str(value))
    try:
        number = float(power[1]) ** float(power[2]) if power else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return str(value)
    return f"{number:.12g}"
