"""Follows the nesting of JSON objects and dicts in the output of a program: which keys lead to a place.

An object stands on one line, or begins on one and goes on in lines that are indented or close it. What surrounds it,
and whether it is complete, does not count. Time grows with the text alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LARGEST = 256 * 1024  # characters of an object whose nesting is followed
_DEEPEST = 32
_LONGEST = 1000  # last characters of a path that are kept: a long key over many others would fill the memory
_TOKEN = re.compile(
    r'\\.|"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"([ \t]*+:)?' + r"|'([^'\\\n]*+(?:\\.[^'\\\n]*+)*+)'([ \t]*+:)?|[{}\[\]\n]"
)
_GOES_ON = (" ", "\t", "}", "]", ")")  # first characters of a line that belongs to the object above


class Objects:
    """The objects in a text, each looked at once as long as they are asked for in order, from either end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start, self._end = 0, 0
        self._keys: Mapping[int, str] = {}

    def keys_around(self, place: int) -> Mapping[int, str]:
        """The dotted path of each key in the object around the place, by where the key begins; {} where none is."""
        if not self._start <= place < self._end:
            start = self._beginning(place)
            if start is None:
                self._start, self._end, self._keys = place - LARGEST, place + 1, {}
            else:
                self._start, (self._end, self._keys) = start, self._follow(start, place)
        return self._keys

    def _beginning(self, place: int) -> int | None:
        """Where the first line of the object begins; None where that is too far away."""
        lowest, start = max(0, place - LARGEST), place
        while (newline := self._text.rfind("\n", lowest, start)) >= 0:
            if not self._text.startswith(_GOES_ON, newline + 1):
                return newline + 1
            start = newline
        return 0 if lowest == 0 else None

    def _follow(self, start: int, place: int) -> tuple[int, Mapping[int, str]]:
        """Where the last line of the object ends whose first line begins at `start`, and its keys."""
        first = self._text.find("{", start, place)
        if first < 0:
            return place + 1, {}
        keys: dict[int, str] = {}
        parents: list[str] = []  # the path of each object and list that is open, from the outside in
        key = ""
        for token in _TOKEN.finditer(self._text, first, place + LARGEST):
            word = token[0]
            if word == "\n":
                goes_on = parents and self._text.startswith(_GOES_ON, token.end())
                if token.end() > place and not goes_on:
                    return token.end(), keys
            elif word in "{[":
                above = parents[-1] if parents else ""
                parents.append(_below(above, key) if key and len(parents) < _DEEPEST else above)
                key = ""
            elif word in "}]":
                key = ""
                del parents[-1:]
            elif (token[2] or token[4]) and 0 < len(parents) <= _DEEPEST:
                key = token[1] if token[2] else token[3]
                keys[token.start() + 1] = _below(parents[-1], key)
        return place + LARGEST, keys


def _below(path: str, key: str) -> str:
    """The path of a key below another path."""
    return f"{path}.{key[-_LONGEST:]}"[-_LONGEST:] if path else key[-_LONGEST:]
