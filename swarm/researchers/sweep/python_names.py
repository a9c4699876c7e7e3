"""What a Python file as a whole says of its names: who reads them, what they are compared with, how they are called."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from swarm.researchers.sweep.python_syntax import attributes_by_word, is_enumeration, last_name, words_in


class Names:
    """The names of a file. One walk over its tree tells how they are read, compared, looked up and called; who reads
    its statements adds where parameters stand and what variables are set to."""

    def __init__(self, tree: ast.Module) -> None:
        self.reads: set[str] = set()
        self.calls: dict[str, list[tuple[set[str], int, bool]]] = defaultdict(list)
        self.compared: dict[str, list[str]] = defaultdict(list)  # the words that a name is compared with
        self.tables: dict[str, list[str]] = {}  # the keys of dispatch tables
        self.looked_up: list[tuple[str, str]] = []  # (table, name of the key)
        self.named: dict[str, set[str]] = defaultdict(set)  # the keys by which a table is asked in so many words
        self.members: dict[str, list[str]] = defaultdict(list)  # of enumerations, or what is compared with them
        self._survey(tree)

    def _survey(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                    self.reads.add(name)
                case ast.Call(func=func, args=args, keywords=keywords):
                    callee = last_name(func)
                    star = any(isinstance(a, ast.Starred) for a in args) or any(k.arg is None for k in keywords)
                    self.calls[callee].append(({k.arg for k in keywords if k.arg}, len(args), star))
                    if callee == "get" and args and isinstance(func, ast.Attribute):
                        self.looked_up.append((last_name(func.value), last_name(args[0])))
                    self.reads.update(attributes_by_word(node))
                case ast.Compare(left=left, ops=ops, comparators=others):
                    self._note_comparison(left, ops, others)
                case ast.Match(subject=subject, cases=cases):
                    patterns = [p for case in cases for p in ast.walk(case.pattern) if isinstance(p, ast.MatchValue)]
                    self.compared[last_name(subject)] += [w for p in patterns for w in words_in(p.value)]
                case ast.Subscript(value=ast.Name(id=table), slice=ast.Name() | ast.Attribute() as key):
                    self.looked_up.append((table, last_name(key)))
                case ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as word)):
                    self.named[table].add(word)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict() as table):
                    self._note_table(name, table)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict() as table):
                    self._note_table(name, table)
                case ast.ClassDef(name=name, bases=bases, body=body) if any(map(is_enumeration, bases)):
                    self.members[name] += [member for member, _ in assignments(body)]

    def _note_table(self, name: str, table: ast.Dict) -> None:
        """A table's keys are alternatives where all its values are of one kind, and no plain settings."""
        self.tables[name] = [w for key in table.keys if key is not None for w in words_in(key)]
        kinds = {type(value) for value in table.values}
        if len(kinds) != 1 or kinds <= {ast.Constant, ast.UnaryOp, ast.BinOp, ast.JoinedStr}:
            self.named[name].update(("", "of several kinds"))

    def _note_comparison(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> None:
        for op, other in zip(ops, others, strict=False):
            if isinstance(op, ast.In | ast.NotIn) and isinstance(other, ast.Name):
                self.looked_up.append((other.id, last_name(left)))
            match op, other:
                case ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot(), ast.Attribute(ast.Name(kind), member):
                    if kind[:1].isupper() and member.isupper():
                        self.members[kind].append(member)
            if isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                name = last_name(left)
                inside = other.elts if isinstance(other, ast.Tuple | ast.List | ast.Set) else [other]
                self.compared[name] += [word for item in inside for word in words_in(item)]


def assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """The plain names that statements set, with what each is set to."""
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
