"""What code shows without being run: the names of the numbers that it prints, and its budget."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm import foreign
from swarm.foreign_python import tree_of, unparsed, written
from swarm.project.found import Found
from swarm.project.reading import text_of

BUDGETS = ("TIME_BUDGET", "TIME_BUDGET_SECONDS")

_NAME = r"[A-Za-z_][\w./@-]*"
_NUMBER, _ANY = "\0", "\1"  # stand in a printed text for a value that is a number, and for any other
_PRINTED = re.compile(rf"(?:^|\n)[ \t>]*(METRIC[ \t]+)?({_NAME})[ \t]*[:=]=?[ \t]*([{_NUMBER}{_ANY}]|(?=[\d+-]))")
_WITHIN = re.compile(rf"(?<![\w.])({_NAME})[*`'\"]*[ \t]*[:=|][*]*[ \t]*[{_NUMBER}{_ANY}]")  # anywhere in a line
_METRIC = re.compile(rf"\bMETRIC[ \t]+({_NAME})[ \t]*=")
_ELSEWHERE = re.compile(  # in other languages: echo "x: $x", console.log(`x: ${x}`), println!("x: {}"), printf("x=%f")
    r"""(?:\becho|\bprintf?|\bprintln!?|\bputs|console\.log|Printf|Println|<<|\bformat!?|@printf)\s*\(?\s*(?:-e\s+)?"""
    rf"""(?:f|r|b)?["'`](?:\\n)*(METRIC[ \t]+)?({_NAME})[ ]*[:=][ ]*(?=[$%{{"'`]|\\t)"""
)
_NO_METRIC = {
    *("error", "err", "warning", "warn", "fatal", "usage", "info", "note", "debug", "failed", "exception", "pass"),
    *("saved", "loaded", "wrote", "found", "passed", "solved", "resolved", "device", "path", "file", "output"),
}
_DEEPEST = 100  # levels of one printed text, or of one number, that are looked into
_PRINTERS = {"print", "write", "info", "echo", "secho", "log"}


@dataclass(frozen=True, slots=True)
class Printed:
    """The name of a printed value; `marked` where it is said to be a metric: `METRIC name=value`."""

    name: str
    marked: bool = False


def printed(path: Path) -> list[Printed]:
    """What a file prints as `name: value`, what its summary block prints first; where it has `METRIC` lines, those."""
    text = text_of(path)
    if path.suffix == ".py":
        found = list(_printed_by_python(text))
    else:
        found = [Printed(name, bool(mark)) for mark, name in _ELSEWHERE.findall(text) if name.lower() not in _NO_METRIC]
        found += [Printed(name, marked=True) for name in _METRIC.findall(text)]
    return list(dict.fromkeys([item for item in found if item.marked] or found))


def printed_within(path: Path) -> list[Printed]:
    """What a Python file prints in the middle of a line, in a table or as a key of JSON: a name and its value."""
    texts = [_said(call) for call in _prints(tree_of(text_of(path) if path.suffix == ".py" else ""))]
    names = [name for text in texts for name in _WITHIN.findall(text) if name.lower() not in _NO_METRIC]
    return [Printed(name) for name in dict.fromkeys(names)]


def _printed_by_python(text: str) -> Iterator[Printed]:
    calls = sorted(_prints(tree_of(text)), key=lambda call: (call.lineno, call.col_offset))
    texts = [_said(call) for call in calls]
    block = next((place for place, text in enumerate(texts) if text.strip().startswith("---")), 0)
    for said in (*texts[block:], *texts[:block]):
        for mark, name, value in _PRINTED.findall(said):
            mark = mark or name == "METRIC"
            if mark or (name.lower() not in _NO_METRIC and (value != _ANY or not name[0].isupper())):
                yield Printed(name, bool(mark))


def _prints(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that print, but for those of an error's handler and to stderr: what they say is no result."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ExceptHandler):
            continue
        if isinstance(node, ast.Call) and node.args and _is_printer(node):
            yield node
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _is_printer(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="print"):
            return not any(word.arg == "file" and "stderr" in unparsed(word.value) for word in call.keywords)
        case ast.Attribute(attr=name, value=value) if name in _PRINTERS:
            return "stderr" not in unparsed(value)
    return False


def _said(call: ast.Call) -> str:
    """What a call prints, with a mark for each value in it."""
    return " ".join(_literal(argument) for argument in call.args)


def _literal(node: ast.expr, levels: int = _DEEPEST) -> str:
    match node:
        case _ if not levels:
            return _ANY
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=value):
            return written(value)
        case ast.JoinedStr(values=parts):
            return "".join(_literal(part, levels - 1) for part in parts)
        case ast.FormattedValue(format_spec=spec, value=value):
            return _NUMBER if (spec and re.search(r"[\d.,][feg%d]?'?$", unparsed(spec))) or _rounds(value) else _ANY
        case ast.Call(func=ast.Attribute(attr="dumps"), args=[ast.Dict() as row, *_]) | (ast.Dict() as row):
            keys = [_literal(key, levels - 1) for key in row.keys if key]
            return "{" + ", ".join(f'"{key}": {_ANY}' for key in keys) + "}"
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mod()):
            return re.sub(r"%[-+ #0-9.]*([a-zA-Z])", lambda hole: _ANY if hole[1] in "sr" else _NUMBER, text)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _literal(left, levels - 1) + _literal(right, levels - 1)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            return re.sub(r"\{([^{}]*)\}", lambda hole: _NUMBER if ":" in hole[1] else _ANY, text)
    return _NUMBER if _rounds(node) else _ANY


def _rounds(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("round", "float", "len")


# -- the budget ----------------------------------------------------------------------------------------------------


def budget_in(root: Path, paths: Iterable[str]) -> Found | None:
    """The seconds of training that one of the Python files is written for."""
    for path in paths:
        for name, value in assigned_budgets(text_of(root / path) if path.endswith(".py") else ""):
            if number := _number(value):
                return Found(number, f"{name} in {path}")
    return None


def assigned_budgets(text: str) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of the assignments at the top of a Python file that say how long a training takes."""
    for node in tree_of(text).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in BUDGETS:
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name in BUDGETS:
                yield name, value


def _number(node: ast.expr, levels: int = _DEEPEST) -> float | None:
    """The value of `300`, of `5 * 60`, and of the default in `float(os.environ.get("TIME_BUDGET", 300))`."""
    match node:
        case _ if not levels:
            return None
        case ast.Constant(value=int() | float() as value):
            return foreign.finite(value)
        case ast.Constant(value=str() as text) if re.fullmatch(r"\d+(\.\d+)?", text):
            return foreign.finite(float(text))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            one, other = _number(left, levels - 1), _number(right, levels - 1)
            return foreign.finite(one * other) if one and other else None
        case ast.Call(args=[*_, last]) | ast.BoolOp(values=[*_, last]):
            return _number(last, levels - 1)
    return None
