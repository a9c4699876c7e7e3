"""The literals of a Python file that could be knobs, as syntax: constants, fields, arguments, defaults, tables."""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from swarm.researchers.sweep.frame import listed
from swarm.researchers.sweep.literals import Literal, Place
from swarm.researchers.sweep.python_syntax import (
    Positions,
    attributes_by_word,
    dotted,
    fold,
    is_enumeration,
    last_name,
    literal_words,
    operand,
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
        with warnings.catch_warnings(action="ignore"):  # of escapes in strings, which are none of our business
            tree = ast.parse(text.encode("utf-8", "replace"))
        return _Reader(text, device, elsewhere).read(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return PythonFile((), frozenset())


class _Reader:
    """Walks the file's statements once, with the names of what they stand in."""

    def __init__(self, text: str, device: str, elsewhere: frozenset[str]) -> None:
        self._text, self._device, self._elsewhere = text, device, elsewhere
        self._positions = Positions(text)
        self._found: list[tuple[str, Literal]] = []  # with the plain name that must be read somewhere, or ""
        self._reads: set[str] = set()
        self._class = ""
        self._calls: dict[str, list[tuple[set[str], int, bool]]] = defaultdict(list)
        self._parameters: dict[int, tuple[str, str, int]] = {}  # by start: whose parameter, which, at which position
        self._stores: dict[str, list[ast.AST | None]] = defaultdict(list)  # what a variable is set to
        self._compared: dict[str, list[str]] = defaultdict(list)  # the words that a name is compared with
        self._tables: dict[str, list[str]] = {}  # the keys of dispatch tables
        self._looked_up: list[tuple[str, str]] = []  # (table, name of the key)
        self._named: dict[str, set[str]] = defaultdict(set)  # the keys by which a table is asked in so many words
        self._members: dict[str, list[str]] = defaultdict(list)  # of enumerations, or what is compared with them

    def read(self, tree: ast.Module) -> PythonFile:
        assigned = dict(_assignments(tree.body))
        self._survey(tree)
        if isinstance(table := assigned.get(PRESETS), ast.Dict):
            for keyword in _presets(table, self._device):
                self._add(str(keyword.arg), keyword.value, Place.CONSTANT, str(keyword.arg))
        else:
            self._body(tree.body, "")
        reads = frozenset(self._reads)
        self._reads |= self._elsewhere
        return PythonFile(tuple(self._settled(reads)), reads)

    # -- what the whole file says of its names -----------------------------------------------------------------

    def _survey(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                    self._reads.add(name)
                case ast.Call(func=func, args=args, keywords=keywords):
                    callee = last_name(func)
                    star = any(isinstance(a, ast.Starred) for a in args) or any(k.arg is None for k in keywords)
                    self._calls[callee].append(({k.arg for k in keywords if k.arg}, len(args), star))
                    if callee == "get" and args and isinstance(func, ast.Attribute):
                        self._looked_up.append((last_name(func.value), last_name(args[0])))
                    self._reads.update(attributes_by_word(node))
                case ast.Compare(left=left, ops=ops, comparators=others):
                    self._note_comparison(left, ops, others)
                case ast.Match(subject=subject, cases=cases):
                    patterns = [p for case in cases for p in ast.walk(case.pattern) if isinstance(p, ast.MatchValue)]
                    self._compared[last_name(subject)] += [w for p in patterns for w in words_in(p.value)]
                case ast.Subscript(value=ast.Name(id=table), slice=ast.Name() | ast.Attribute() as key):
                    self._looked_up.append((table, last_name(key)))
                case ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as word)):
                    self._named[table].add(word)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict() as table):
                    self._note_table(name, table)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict() as table):
                    self._note_table(name, table)
                case ast.ClassDef(name=name, bases=bases, body=body) if any(map(is_enumeration, bases)):
                    self._members[name] += [member for member, _ in _assignments(body)]

    def _note_table(self, name: str, table: ast.Dict) -> None:
        """A table's keys are alternatives where all its values are of one kind, and no plain settings."""
        self._tables[name] = [w for key in table.keys if key is not None for w in words_in(key)]
        kinds = {type(value) for value in table.values}
        if len(kinds) != 1 or kinds <= {ast.Constant, ast.UnaryOp, ast.BinOp, ast.JoinedStr}:
            self._named[name].update(("", "of several kinds"))

    def _note_comparison(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> None:
        for op, other in zip(ops, others, strict=False):
            if isinstance(op, ast.In | ast.NotIn) and isinstance(other, ast.Name):
                self._looked_up.append((other.id, last_name(left)))
            match op, other:
                case ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot(), ast.Attribute(ast.Name(kind), member):
                    if kind[:1].isupper() and member.isupper():
                        self._members[kind].append(member)
            if isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                name = last_name(left)
                inside = other.elts if isinstance(other, ast.Tuple | ast.List | ast.Set) else [other]
                self._compared[name] += [word for item in inside for word in words_in(item)]

    # -- statements --------------------------------------------------------------------------------------------

    def _body(self, body: list[ast.stmt], scope: str) -> None:
        for statement in body:
            self._statement(statement, scope)
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
                self._stores[key].append(None)
                if isinstance(op, ast.Mult | ast.Div) and isinstance(fold(value), float):
                    self._add(f"{key}.factor", value, Place.DETAIL)
                self._expression(value, scope)
            case ast.If(test=test, body=body, orelse=orelse):
                if not (isinstance(test, ast.Constant) and not test.value) and last_name(test) != "TYPE_CHECKING":
                    self._expression(test, scope)
                    self._body(body, scope)
                self._body(orelse, scope)
            case ast.For(target=target, iter=source, body=body, orelse=orelse):
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        self._stores[within(scope, name.id)].append(source)
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
        if node.name.startswith("_") and not node.name.endswith("__") and node.name not in self._reads:
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
                self._parameters[self._positions.span(node)[0]] = (owner, name, position)

    def _fields(self, node: ast.ClassDef, scope: str) -> None:
        position = 0
        for statement in node.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), value=value, annotation=annotation):
                    if value is not None:
                        self._note_parameter(value, node.name, name, position)
                        self._value(f"{scope}.{name}", value, Place.SETTING, name, literal_words(annotation))
                    position += 1
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
        self._stores[key].append(value)
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
            case ast.Attribute(value=ast.Name(id=kind), attr=member) if member in self._members.get(kind, ()):
                self._word(name, node, place, read, self._members[kind], len(member))
            case ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as word)) if self._named[
                table
            ] == {word} and word in self._tables.get(table, ()):
                self._value(name, node.slice, place, read, tuple(self._tables[table]))
            case ast.Call(func=func, args=args, keywords=keywords) if last_name(func) == "dict" and not args:
                for keyword in keywords:
                    if keyword.arg:
                        self._value(f"{name}.{keyword.arg}", keyword.value, _as_setting(place))
            case ast.Call(func=func) if (default := wrapped(node)) is not None:
                if isinstance(default, ast.Constant) and isinstance(default.value, str):
                    self._quoted_number(name, default, place, read)
                    if last_name(func) in ("Option", "Field", "field"):
                        self._value(name, default, place, read, words)
                else:
                    self._value(name, default, place, read, words)
            case ast.Call() | ast.Lambda() | ast.IfExp() | ast.JoinedStr():
                self._expression(node, name.rpartition(".")[0])
            case _ if fold(node) is not None:
                self._add(name, node, place, read, words)
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
                        self._add(f"{scope}.{name}.weight", number, Place.WEIGHT)
                self._expression(left, scope)
                self._expression(right, scope)
            case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], comparators=[right]):
                if scope and (name := operand(left)):
                    self._add(f"{scope}.{name}.threshold", right, Place.BAR)
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
                    self._add(f"{callee}[{index}]", argument, place)
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

    # -- what is found -----------------------------------------------------------------------------------------

    def _add(self, name: str, node: ast.expr, place: Place, read: str = "", words: tuple[str, ...] = ()) -> None:
        value = fold(node)
        if value is None:
            return
        start, end = self._positions.span(node)
        if isinstance(value, str):
            said = re.fullmatch(r"(['\"])([^'\"\\\n\r]{1,40})\1", self._text[start:end])
            if not said or said[2] != value:
                return
        comment = self._positions.comment(start, end)
        self._found.append((read, Literal(name, start, end, value, place, comment, words)))

    def _word(self, name: str, node: ast.expr, place: Place, read: str, words: list[str], size: int) -> None:
        """The last `size` characters of an expression: a member of an enumeration, which may be any of `words`."""
        start, end = self._positions.span(node)
        choices = tuple(dict.fromkeys(words))
        if len(choices) > 1:
            comment = self._positions.comment(start, end)
            value = self._text[end - size : end]
            self._found.append((read, Literal(name, end - size, end, value, place, comment, choices)))

    def _quoted_number(self, name: str, node: ast.Constant, place: Place, read: str) -> None:
        """A number in quotes, as the default of a variable of the environment."""
        start, end = self._positions.span(node)
        inside = self._text[start + 1 : end - 1]
        if inside == node.value and re.fullmatch(r"-?\d+|-?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?", inside):
            value = int(inside) if re.fullmatch(r"-?\d+", inside) else float(inside)
            comment = self._positions.comment(start, end)
            self._found.append((read, Literal(name, start + 1, end - 1, value, place, comment)))

    def _settled(self, own: frozenset[str]) -> Iterator[Literal]:
        """What is found, without what has no effect: unread names, counters, defaults that every call replaces.

        A file that reads none of its `own` constants is settings for others, whom nobody may know: all of them count.
        """
        for table, name in self._looked_up:
            self._compared[name] += self._tables.get(table, [])
        constants = {literal.name: literal.start for _, literal in self._found if literal.place is Place.CONSTANT}
        # A file of nothing but settings may be read by a file that is not seen here.
        heard = any(read in own for read, literal in self._found if literal.place is Place.CONSTANT)
        done: set[int] = set()
        for read, literal in self._found:
            start = literal.start
            if start in done:
                continue
            done.add(start)
            if literal.place is Place.CONSTANT:
                if constants[literal.name] != start or (heard and read not in self._reads):
                    continue
            elif literal.place in (Place.DETAIL, Place.DEFAULT) and read and read not in self._reads:
                continue
            if self._is_replaced(start) or self._is_counter(literal):
                continue
            words = dict.fromkeys([*literal.choices, *self._compared.get(_key(literal.name), ())])
            if isinstance(literal.value, str) and self._text[start - 1 : start] != ".":
                literal = replace(literal, choices=(*{**words, literal.value: None},) if len(words) > 1 else ())
            yield literal

    def _is_replaced(self, start: int) -> bool:
        """Whether every call in this file gives the parameter another value than its default."""
        owner, name, place = self._parameters.get(start, ("", "", -1))
        calls = self._calls.get(owner, [])
        return (
            bool(calls)
            and all(name in given or 0 <= place < many for given, many, star in calls if not star)
            and (not any(star for _, _, star in calls))
        )

    def _is_counter(self, literal: Literal) -> bool:
        """Whether a variable is only begun here, and set to something else later."""
        if literal.place is Place.CONSTANT:
            return False
        stores = self._stores.get(literal.name.partition("[")[0], [])
        if len(stores) < 2:
            return False
        if any(node is not None and (not isinstance(node, ast.expr) or fold(node) is None) for node in stores):
            return True
        return literal.value in (0, 1, -1) or isinstance(literal.value, int | str)


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _presets(table: ast.Dict, device: str) -> Iterator[ast.keyword]:
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == device and isinstance(value, ast.Call):
            yield from (keyword for keyword in value.keywords if keyword.arg is not None)


def _key(name: str) -> str:
    return re.sub(r"\[\d+\]$", "", name).rpartition(".")[2].lstrip("-").replace("-", "_")


def _as_setting(place: Place) -> Place:
    return Place.SETTING if place in (Place.CONSTANT, Place.DEFAULT) else place
