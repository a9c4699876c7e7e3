"""What a node of Python's syntax tree says: the value of a literal, its place in the text, its name, its words."""

from __future__ import annotations

import ast
import bisect
import operator
import re
from collections.abc import Callable, Iterator, Mapping

from swarm import foreign_python
from swarm.researchers.sweep.literals import Value

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


def parse(text: str) -> ast.Module:
    """The file's syntax tree. One of foreign_python.UNREADABLE where it has none."""
    return foreign_python.parse(text.encode("utf-8", "replace"))


def fold(node: ast.expr) -> Value | None:
    """The value of a literal or of plain arithmetic on literals (`2**19`), None for anything else."""
    try:
        return _evaluate(node)
    except (ArithmeticError, ValueError, TypeError, RecursionError):  # a sum of a thousand terms
        return None


def _evaluate(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATORS:
            base, other = _number(left), _number(right)
            if isinstance(operation, ast.Pow | ast.LShift) and abs(other) > 64:
                raise ValueError("too large to be a knob")
            return _OPERATORS[type(operation)](base, other)
    raise ValueError("not a literal")


def _number(node: ast.expr) -> float | int:
    value = _evaluate(node)
    if isinstance(value, str):
        raise TypeError("arithmetic on text")
    return value


class Positions:
    """Where a node stands in the text, in characters: a syntax tree counts lines and bytes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
        self._mark = text.startswith("\ufeff")  # a byte order mark is no part of the first line, for a parser

    def span(self, node: ast.expr) -> tuple[int, int]:
        return self._at(node.lineno, node.col_offset), self._at(node.end_lineno or 0, node.end_col_offset or 0)

    def line_of(self, position: int) -> int:
        return bisect.bisect_right(self._starts, position) - 1

    def line(self, number: int) -> str:
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self._text)
        return self._text[self._starts[number] : end].rstrip("\r\n")

    def _at(self, line: int, column: int) -> int:
        start = self._starts[line - 1]
        if line == 1 and self._mark:
            start += 1
        ahead = self._text[start : start + column]
        if ahead.isascii():
            return start + column
        return start + len(ahead.encode("utf-8", "replace")[:column].decode(errors="ignore"))

    def comment(self, start: int, end: int) -> str:
        """What is said beside a literal, and on the lines of comment just above it."""
        number = self.line_of(start)
        last = self.line_of(end)
        rest = self._text[end : self._starts[last] + len(self.line(last))]
        beside = re.match(r"[^'\"#]*#+(.*)", rest)
        said = [beside[1]] if beside else []
        while number and (above := self.line(number - 1).strip()).startswith("#"):
            said.insert(0, above.strip("# "))
            number -= 1
        return "\n".join(said)


# ---------------------------------------------------------------------------------------------------------------
# Names


def wrapped(node: ast.Call) -> ast.expr | None:
    """The literal that a call wraps or falls back on: `float(os.environ.get("LR", "0.1"))`, `Field(0.1, ge=0)`."""
    callee, arguments = last_name(node.func), node.args
    if callee in ("get", "getenv") and len(arguments) == 2 and isinstance(arguments[0], ast.Constant):
        return arguments[1]
    if callee in ("int", "float") and len(arguments) == 1:
        inner = arguments[0]
        return wrapped(inner) if isinstance(inner, ast.Call) else None
    if callee in ("field", "Field", "Option", "Argument", "Parameter"):
        given = [keyword.value for keyword in node.keywords if keyword.arg == "default"]
        return next(iter([*given, *arguments[:1]]), None)
    return None


def last_name(node: ast.AST) -> str:
    """The last name of a dotted one; the key of a table's entry."""
    while True:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return name
            case ast.Subscript(slice=ast.Constant(value=str() as key)):
                return key
            case ast.Call(func=ast.Attribute(value=value, attr="lower" | "upper" | "strip")):
                node = value
            case _:
                return ""


def dotted(node: ast.AST) -> str:
    """A dotted name, a table's entry as one of its names."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return within(dotted(value), name)
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)):
            return within(dotted(value), name)
    return ""


def root_name(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def operand(node: ast.expr) -> str:
    """The name of what a number is multiplied or compared with: a variable, a table's entry, a function's result."""
    if not isinstance(node, ast.Call):
        return last_name(node)
    if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):  # `frame["skill"].mean()`
        return operand(node.func.value)
    callee = last_name(node.func)
    return "" if callee in ("len", "sum", "int", "round", "sqrt", "time") else callee


def within(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope and name else scope or name


def words_in(node: ast.expr) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def is_enumeration(base: ast.expr) -> bool:
    """Whether a class with this base is an enumeration."""
    return last_name(base) in ("Enum", "StrEnum", "IntEnum")


def literal_words(annotation: ast.expr | None) -> tuple[str, ...]:
    """The words of `Literal["a", "b"]`."""
    if not isinstance(annotation, ast.Subscript) or last_name(annotation.value) != "Literal":
        return ()
    inside = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return tuple(word for item in inside for word in words_in(item))


def attributes_by_word(node: ast.Call) -> Iterator[str]:
    """`getattr(settings, "depth")` reads depth."""
    if last_name(node.func) in ("getattr", "itemgetter", "attrgetter"):
        yield from (word for argument in node.args for word in words_in(argument))
