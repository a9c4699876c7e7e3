"""The knobs of a training file: its tunable literals, read and written as syntax, so that comments and layout survive.

In this project's own train.py they are the keywords of `PRESETS[device]`; in a file shaped like autoresearch's they
are the module's UPPER_CASE constants (`ADAM_BETAS = (0.8, 0.95)` gives the knobs `ADAM_BETAS[0]` and `ADAM_BETAS[1]`).
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Iterator, Mapping

import libcst as cst

Value = float | int | str

PRESETS = "PRESETS"  # the table of presets by device

# Constants with one of these words are facts, measures or the experiment's frame, never something to tune.
_FRAME = {"BUDGET", "CACHE", "DIR", "EVAL", "FLOPS", "INTERVAL", "PATH", "PEAK", "SECONDS", "SEED", "TIMEOUT", "VOCAB"}

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


def read_knobs(text: str, device: str) -> dict[str, Value]:
    """The knobs of the Python file `text` for `device`, in file order; none where it does not parse."""
    try:
        return {name: value for name, _, value in _knobs(text, device)}
    except cst.ParserSyntaxError:
        return {}


def write_knobs(text: str, device: str, changes: Mapping[str, Value]) -> str:
    """`text` with the knobs in `changes` set to new values and nothing else touched; KeyError for an unknown knob."""
    module = parse(text)
    places = {name: node for name, node, _ in _knobs(text, device)}
    replacements = {id(places[name]): _literal(places[name], value) for name, value in changes.items()}
    # Knobs are top-level assignments: to visit only those is ten times faster than to visit every function as well.
    body = [
        _replaced(line, replacements) if isinstance(line, cst.SimpleStatementLine) else line for line in module.body
    ]
    return module.with_changes(body=body).code


@functools.lru_cache(maxsize=8)
def parse(text: str) -> cst.Module:
    """The syntax tree of `text`, remembered: trees are never changed, and one text is asked about again and again."""
    return cst.parse_module(text)


def show(value: Value) -> str:
    """A knob's value as people read it, which is also valid Python for a number."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ---------------------------------------------------------------------------------------------------------------
# Finding them


@functools.lru_cache(maxsize=8)
def _knobs(text: str, device: str) -> tuple[tuple[str, cst.BaseExpression, Value], ...]:
    """(name, literal's node, value) of every knob that the file really uses."""
    assigned = dict(_assignments(parse(text)))
    table = assigned.get(PRESETS)
    places = _keywords(table, device) if isinstance(table, cst.Dict) else _constants(assigned)
    used = _used_names(text)
    folded = [(name, node, _fold(node)) for name, node in places if name.partition("[")[0] in used]
    return tuple((name, node, value) for name, node, value in folded if value is not None)


def _assignments(module: cst.Module) -> Iterator[tuple[str, cst.BaseExpression]]:
    """(name, value) of the module's top-level assignments to one plain name."""
    for line in module.body:
        for statement in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            match statement:
                case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value):
                    yield name, value
                case cst.AnnAssign(target=cst.Name(value=name), value=cst.BaseExpression() as value):
                    yield name, value


def _keywords(table: cst.Dict, device: str) -> Iterator[tuple[str, cst.BaseExpression]]:
    for element in table.elements:
        match element:
            case cst.DictElement(key=cst.SimpleString() as key, value=cst.Call(args=arguments)):
                if key.evaluated_value == device:
                    yield from ((a.keyword.value, a.value) for a in arguments if a.keyword is not None)


def _constants(assigned: Mapping[str, cst.BaseExpression]) -> Iterator[tuple[str, cst.BaseExpression]]:
    for name, value in assigned.items():
        if not name.isupper() or _FRAME.intersection(name.split("_")):
            continue
        if isinstance(value, cst.Tuple):
            yield from ((f"{name}[{index}]", element.value) for index, element in enumerate(value.elements))
        else:
            yield name, value


def _used_names(code: str) -> set[str]:
    """Every name and attribute that is read somewhere: a constant that nothing reads is no knob."""
    nodes = [
        n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name | ast.Attribute) and isinstance(n.ctx, ast.Load)
    ]
    return {node.id if isinstance(node, ast.Name) else node.attr for node in nodes}


def _fold(node: cst.BaseExpression) -> Value | None:
    """The value of a literal or of plain arithmetic on literals (`2**19`), None for anything else."""
    try:
        return _evaluate(ast.parse(cst.Module([]).code_for_node(node), mode="eval").body)
    except (SyntaxError, ArithmeticError, ValueError, TypeError):
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


# ---------------------------------------------------------------------------------------------------------------
# Writing them


def _literal(old: cst.BaseExpression, value: Value) -> cst.BaseExpression:
    """`value` written as the file writes it: text in quotes, a power of two as 2**k where the old one was."""
    if isinstance(value, str):
        return cst.SimpleString(f'"{value}"')
    powered = isinstance(old, cst.BinaryOperation) and isinstance(old.operator, cst.Power)
    if powered and isinstance(value, int) and value > 1 and value & (value - 1) == 0:
        return cst.parse_expression(f"2**{value.bit_length() - 1}")
    return cst.parse_expression(repr(value))


def _replaced(line: cst.SimpleStatementLine, replacements: Mapping[int, cst.BaseExpression]) -> cst.CSTNode:
    return cst.ensure_type(line.visit(_Replace(replacements)), cst.SimpleStatementLine)


class _Replace(cst.CSTTransformer):
    """Puts new expressions in the place of known nodes."""

    def __init__(self, replacements: Mapping[int, cst.BaseExpression]) -> None:
        super().__init__()
        self._replacements = replacements

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        return self._replacements.get(id(original_node)) or super().on_leave(original_node, updated_node)  # type: ignore[return-value]
