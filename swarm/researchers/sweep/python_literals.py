"""The literals of a Python file that could be knobs, as syntax: constants, fields, arguments, defaults, tables."""

from __future__ import annotations

import ast
import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from swarm.foreign_python import UNREADABLE
from swarm.researchers.sweep.frame import listed
from swarm.researchers.sweep.literals import Literal, Place
from swarm.researchers.sweep.python_findings import Findings
from swarm.researchers.sweep.python_names import Names, assignments
from swarm.researchers.sweep.python_syntax import (
    dotted,
    fold,
    is_enumeration,
    last_name,
    literal_words,
    operand,
    parse,
    root_name,
    within,
    words_in,
    wrapped,
)

PRESETS = "PRESETS"  # the table of presets by device
LONGEST = 16  # a longer list of numbers is data


# Calls whose arguments say how something is shown, stored, timed or split: never how well it does.
_SILENT = listed(
    """
    print open range len round sleep input format isinstance getattr hasattr enumerate exit savefig plot
    subplots figure imshow hist legend xlabel ylabel title dump dumps load loads read_csv to_csv read_parquet
    to_parquet mkdir set_printoptions basicConfig getLogger run Popen check_call check_output join split rsplit
    replace strip timedelta date datetime strftime manual_seed seed default_rng Random RandomState
    train_test_split KFold StratifiedKFold GroupKFold TimeSeriesSplit RepeatedKFold StratifiedGroupKFold
    cross_val_score cross_validate ArgumentParser Path StringIO ThreadPoolExecutor ProcessPoolExecutor Pool info
    debug warning error exception critical tqdm tree_map head tail sample_submission islice assert_allclose
    allclose isclose request urlopen
    """
)
_SILENT_MODULES = listed("plt ax axes fig logging logger log warnings os sys subprocess time shutil json re")
_WRAPPERS = {"int", "float", "bool", "str", "tuple", "list", "field", "Field", "Option", "Argument", "Parameter"}


@dataclass(frozen=True, slots=True)
class PythonFile:
    """What could be a knob in a Python file, and every name that it reads somewhere."""

    literals: tuple[Literal, ...]
    reads: frozenset[str]


@functools.lru_cache(maxsize=64)
def read_python(text: str, device: str, elsewhere: frozenset[str] = frozenset()) -> PythonFile:
    """The literals of the file for `device`; none where it does not parse. `elsewhere` are names that others read.

    A file with presets by device has its knobs there, and nowhere else.
    """
    try:
        return _Reader(text, device, parse(text)).read(elsewhere)
    except UNREADABLE:
        return PythonFile((), frozenset())


class _Reader:
    """Walks the file's statements once, with the names of what they stand in."""

    def __init__(self, text: str, device: str, tree: ast.Module) -> None:
        self._device, self._tree = device, tree
        self._names = Names(tree)
        self._found = Findings(text, self._names)
        self._class = ""

    def read(self, elsewhere: frozenset[str]) -> PythonFile:
        if isinstance(table := dict(assignments(self._tree.body)).get(PRESETS), ast.Dict):
            for keyword in _presets(table, self._device):
                self._found.add(str(keyword.arg), keyword.value, Place.CONSTANT, str(keyword.arg))
        else:
            self._body(self._tree.body, "")
        return PythonFile(tuple(self._found.settled(elsewhere)), frozenset(self._names.reads))

    # -- statements --------------------------------------------------------------------------------------------

    def _body(self, body: list[ast.stmt], scope: str) -> None:
        outer = self._class
        for statement in body:
            try:
                self._statement(statement, scope)
            except RecursionError:  # what is too deep is no knob, and what stands below it may be one
                self._class = outer
            if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
                return  # what follows is never reached

    def _statement(self, node: ast.stmt, scope: str) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, scope)
            case ast.ClassDef(name=name, body=body):
                outer, self._class = self._class, within(scope, name)
                if not any(map(is_enumeration, node.bases)):  # its values are names, and nothing moves with them
                    self._fields(node, self._class)
                self._body([s for s in body if not isinstance(s, ast.Assign | ast.AnnAssign)], self._class)
                self._class = outer
            case ast.Assign(targets=[target, *_], value=value):
                self._assignment(target, value, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value, annotation=annotation):
                self._assignment(target, value, scope, literal_words(annotation))
            case ast.AugAssign(target=target, op=op, value=value):
                changed = dotted(target)
                own = changed.startswith("self.")
                key = within(self._class, changed.removeprefix("self.")) if own else within(scope, changed)
                self._found.stores[key].append(None)
                if isinstance(op, ast.Mult | ast.Div) and isinstance(fold(value), float):
                    self._found.add(f"{key}.factor", value, Place.DETAIL)
                self._expression(value, scope)
            case ast.If(test=test, body=body, orelse=orelse):
                if not (isinstance(test, ast.Constant) and not test.value) and last_name(test) != "TYPE_CHECKING":
                    self._expression(test, scope)
                    self._body(body, scope)
                self._body(orelse, scope)
            case ast.For(target=target, iter=source, body=body, orelse=orelse):
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        self._found.stores[within(scope, name.id)].append(source)
                self._expression(source, scope)
                self._body([*body, *orelse], scope)
            case ast.While(test=test, body=body, orelse=orelse):
                self._expression(test, scope)
                self._body([*body, *orelse], scope)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    self._expression(item.context_expr, scope)
                self._body(body, scope)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
                for part in (body, *(handler.body for handler in handlers), orelse, finalbody):
                    self._body(part, scope)
            case ast.Match(subject=subject, cases=cases):
                self._expression(subject, scope)
                for case in cases:
                    self._body(case.body, scope)
            case ast.Assert() | ast.Raise():
                pass
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._expression(child, scope)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: str) -> None:
        if node.name.startswith("_") and not node.name.endswith("__") and node.name not in self._names.reads:
            return  # nobody calls it
        for decorator in node.decorator_list:
            self._expression(decorator, scope)
        label = scope if node.name == "__init__" else within(scope, node.name)
        owner = scope.rpartition(".")[2] if node.name == "__init__" else node.name
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        first = len(positional) - len(arguments.defaults)
        pairs = list(enumerate(zip(positional[first:], arguments.defaults, strict=True), first))
        pairs += [(-1, pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]  # type: ignore[list-item]
        skipped = 1 if positional and positional[0].arg in ("self", "cls") else 0
        for place, (argument, default) in pairs:
            if default is not None:
                self._note_parameter(default, owner, argument.arg, place - skipped)
                name = f"{label}.{argument.arg}" if label else argument.arg
                words = literal_words(argument.annotation)
                self._value(name, default, Place.DEFAULT, argument.arg, words)
        self._body(node.body, label)

    def _note_parameter(self, default: ast.expr, owner: str, name: str, position: int) -> None:
        for node in ast.walk(default):
            if isinstance(node, ast.expr):
                self._found.parameters[self._found.positions.span(node)[0]] = (owner, name, position)

    def _fields(self, node: ast.ClassDef, scope: str) -> None:
        position = 0
        for statement in node.body:
            with contextlib.suppress(RecursionError):  # as in _body
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=name), value=value, annotation=annotation):
                        position += 1
                        if value is not None:
                            self._note_parameter(value, node.name, name, position - 1)
                            self._value(f"{scope}.{name}", value, Place.SETTING, name, literal_words(annotation))
                    case ast.Assign(targets=[ast.Name(id=name)], value=value):
                        self._value(f"{scope}.{name}", value, Place.SETTING, name)

    def _assignment(self, target: ast.expr, value: ast.expr, scope: str, words: tuple[str, ...] = ()) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                self._assignment(one, other, scope)
            return
        name, key = last_name(target), dotted(target)
        if not name or not key:
            self._expression(value, scope)
            return
        plain = isinstance(target, ast.Name)
        place = Place.SETTING
        if plain:
            key = within(scope, name)
            place = Place.DETAIL if scope else Place.CONSTANT if name.isupper() else Place.SETTING
        elif key.startswith("self."):
            key = within(self._class, key.removeprefix("self."))
        self._found.stores[key].append(value)
        self._value(key, value, place, "" if isinstance(target, ast.Subscript) else name, words)

    # -- expressions -------------------------------------------------------------------------------------------

    def _value(self, name: str, node: ast.expr, place: Place, read: str = "", words: tuple[str, ...] = ()) -> None:
        """What stands in the place of one name: a literal, a list or table of them, or a call that wraps one."""
        match node:
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                nested = any(isinstance(element, ast.Tuple | ast.List) for element in elements)
                if len(elements) <= LONGEST and not nested:  # a table of numbers is data
                    for index, element in enumerate(elements):
                        self._value(f"{name}[{index}]", element, place, read)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        self._value(f"{name}.{key.value}", value, _as_setting(place))
                    else:
                        self._expression(value, name)
            case ast.Attribute(value=ast.Name(id=kind), attr=member) if member in self._names.members.get(kind, ()):
                self._found.word(name, node, place, read, self._names.members[kind], len(member))
            case ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as word)) if self._names.named[
                table
            ] == {word} and word in self._names.tables.get(table, ()):
                self._value(name, node.slice, place, read, tuple(self._names.tables[table]))
            case ast.Call(func=func, args=args, keywords=keywords) if last_name(func) == "dict" and not args:
                for keyword in keywords:
                    if keyword.arg:
                        self._value(f"{name}.{keyword.arg}", keyword.value, _as_setting(place))
            case ast.Call(func=func) if (default := wrapped(node)) is not None:
                if isinstance(default, ast.Constant) and isinstance(default.value, str):
                    self._found.quoted_number(name, default, place, read)
                    if last_name(func) in ("Option", "Field", "field"):
                        self._value(name, default, place, read, words)
                else:
                    self._value(name, default, place, read, words)
            case ast.Call() | ast.Lambda() | ast.IfExp() | ast.JoinedStr():
                self._expression(node, name.rpartition(".")[0])
            case _ if fold(node) is not None:
                self._found.add(name, node, place, read, words)
            case _:
                self._expression(node, name.rpartition(".")[0])

    def _expression(self, node: ast.expr, scope: str) -> None:
        """The literals inside of an expression that has no name of its own."""
        match node:
            case ast.JoinedStr() | ast.Constant():
                return
            case ast.Call():
                self._call(node, scope)
            case ast.Dict():
                self._value(scope, node, Place.DETAIL)
            case ast.BinOp(left=left, op=ast.Mult(), right=right) if scope:
                for number, other in ((left, right), (right, left)):
                    if name := operand(other):
                        self._found.add(f"{scope}.{name}.weight", number, Place.WEIGHT)
                self._expression(left, scope)
                self._expression(right, scope)
            case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], comparators=[right]):
                if scope and (name := operand(left)):
                    self._found.add(f"{scope}.{name}.threshold", right, Place.BAR)
                self._expression(left, scope)
                self._expression(right, scope)
            case _:
                for child in ast.iter_child_nodes(node):
                    inside = child.iter if isinstance(child, ast.comprehension) else child
                    if isinstance(inside, ast.expr):
                        self._expression(inside, scope)

    def _call(self, node: ast.Call, scope: str) -> None:
        callee = last_name(node.func.value if isinstance(node.func, ast.Subscript) else node.func)
        if callee in _SILENT or root_name(node.func) in _SILENT_MODULES or callee.startswith("suggest_"):
            return
        if callee in ("add_argument", "option"):
            self._flag(node)
            return
        if callee == "partial" and node.args:
            callee = last_name(node.args[0])
        if callee in ("update", "dict"):
            callee = last_name(node.func.value) if isinstance(node.func, ast.Attribute) else scope
        if (default := wrapped(node)) is not None:
            key = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
            if isinstance(key, str) and key:
                self._value(within(dotted(node.func).rpartition(".")[0], key), default, Place.SETTING)
        elif callee not in _WRAPPERS:
            made = callee[:1].isupper()
            place = Place.ARGUMENT if made else Place.DETAIL
            for keyword in node.keywords:
                name = f"{callee}.{keyword.arg}" if keyword.arg else callee
                self._value(name, keyword.value, place)
            for index, argument in enumerate(node.args):
                value = fold(argument)
                if made and isinstance(value, float):
                    self._found.add(f"{callee}[{index}]", argument, place)
        for argument in node.args:
            if isinstance(argument, ast.Dict):
                self._value(callee, argument, Place.DETAIL)
            else:
                self._expression(argument, scope)
        self._expression(node.func, scope)

    def _flag(self, node: ast.Call) -> None:
        """A flag of argparse or click: its default, with its choices."""
        flags = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if not flags or "default" not in given or "action" in given:
            return
        kinds = [given["choices"]] if "choices" in given else []
        if isinstance(kind := given.get("type"), ast.Call) and last_name(kind.func) == "Choice":
            kinds = kind.args[:1]
        listed = [kind.elts for kind in kinds if isinstance(kind, ast.List | ast.Tuple | ast.Set)]
        words = tuple(word for items in listed for item in items for word in words_in(item))
        self._value(max(flags, key=len), given["default"], Place.SETTING, "", words)


def _presets(table: ast.Dict, device: str) -> Iterator[ast.keyword]:
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == device and isinstance(value, ast.Call):
            yield from (keyword for keyword in value.keywords if keyword.arg is not None)


def _as_setting(place: Place) -> Place:
    return Place.SETTING if place in (Place.CONSTANT, Place.DEFAULT) else place
