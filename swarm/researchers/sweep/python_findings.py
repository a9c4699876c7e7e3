"""What was found in a Python file that could be a knob, and which of it has an effect."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from swarm.researchers.sweep.literals import Literal, Place
from swarm.researchers.sweep.python_names import Names
from swarm.researchers.sweep.python_syntax import Positions, fold


class Findings:
    """The literals of a file in the order in which they were found."""

    def __init__(self, text: str, names: Names) -> None:
        self._text, self._names = text, names
        self.positions = Positions(text)
        self._found: list[tuple[str, Literal]] = []  # with the plain name that must be read somewhere, or ""
        self.parameters: dict[int, tuple[str, str, int]] = {}  # by start: whose parameter, which, at which position
        self.stores: dict[str, list[ast.AST | None]] = defaultdict(list)  # what a variable is set to

    def add(self, name: str, node: ast.expr, place: Place, read: str = "", words: tuple[str, ...] = ()) -> None:
        value = fold(node)
        if value is None:
            return
        start, end = self.positions.span(node)
        if isinstance(value, str):
            said = re.fullmatch(r"(['\"])([^'\"\\\n\r]{1,40})\1", self._text[start:end])
            if not said or said[2] != value:
                return
        comment = self.positions.comment(start, end)
        self._found.append((read, Literal(name, start, end, value, place, comment, words)))

    def word(self, name: str, node: ast.expr, place: Place, read: str, words: list[str], size: int) -> None:
        """The last `size` characters of an expression: a member of an enumeration, which may be any of `words`."""
        start, end = self.positions.span(node)
        choices = tuple(dict.fromkeys(words))
        if len(choices) > 1:
            comment = self.positions.comment(start, end)
            value = self._text[end - size : end]
            self._found.append((read, Literal(name, end - size, end, value, place, comment, choices)))

    def quoted_number(self, name: str, node: ast.Constant, place: Place, read: str) -> None:
        """A number in quotes, as the default of a variable of the environment."""
        start, end = self.positions.span(node)
        inside = self._text[start + 1 : end - 1]
        if inside == node.value and re.fullmatch(r"-?\d+|-?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?", inside):
            value = int(inside) if re.fullmatch(r"-?\d+", inside) else float(inside)
            comment = self.positions.comment(start, end)
            self._found.append((read, Literal(name, start + 1, end - 1, value, place, comment)))

    def settled(self, elsewhere: frozenset[str]) -> Iterator[Literal]:
        """What is found, without what has no effect: names that neither this file nor others (`elsewhere`) read,
        counters, defaults that every call replaces.

        A file that reads none of its own constants is settings for others, whom nobody may know: all of them count.
        """
        own = self._names.reads
        read_somewhere = own | elsewhere
        for table, name in self._names.looked_up:
            self._names.compared[name] += self._names.tables.get(table, [])
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
                if constants[literal.name] != start or (heard and read not in read_somewhere):
                    continue
            elif literal.place in (Place.DETAIL, Place.DEFAULT) and read and read not in read_somewhere:
                continue
            if self._is_replaced(start) or self._is_counter(literal):
                continue
            words = dict.fromkeys([*literal.choices, *self._names.compared.get(_key(literal.name), ())])
            if isinstance(literal.value, str) and self._text[start - 1 : start] != ".":
                literal = replace(literal, choices=(*{**words, literal.value: None},) if len(words) > 1 else ())
            yield literal

    def _is_replaced(self, start: int) -> bool:
        """Whether every call in this file gives the parameter another value than its default."""
        owner, name, place = self.parameters.get(start, ("", "", -1))
        calls = self._names.calls.get(owner, [])
        return (
            bool(calls)
            and all(name in given or 0 <= place < many for given, many, star in calls if not star)
            and (not any(star for _, _, star in calls))
        )

    def _is_counter(self, literal: Literal) -> bool:
        """Whether a variable is only begun here, and set to something else later."""
        if literal.place is Place.CONSTANT:
            return False
        stores = self.stores.get(literal.name.partition("[")[0], [])
        if len(stores) < 2:
            return False
        if any(node is not None and (not isinstance(node, ast.expr) or fold(node) is None) for node in stores):
            return True
        return literal.value in (0, 1, -1) or isinstance(literal.value, int | str)


def _key(name: str) -> str:
    return re.sub(r"\[\d+\]$", "", name).rpartition(".")[2].lstrip("-").replace("-", "_")
