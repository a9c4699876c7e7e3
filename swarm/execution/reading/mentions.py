"""Finds where the output of a program says what a quantity is: the newest mention of a name, in whatever form.

A mention is a name with what is said of it behind (printed_value.py), or a row below it in a table (printed_table.py).
Letter case does not count, nor whether blanks, dashes or underscores stand between a name's words. A word beside the
name that makes another quantity of it (`best acc`, `train/acc`) does. Pure functions, in time that grows as the text
does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from swarm.execution.reading.printed_object import Objects
from swarm.execution.reading.printed_table import BEHIND, newest_cell
from swarm.execution.reading.printed_value import QUALIFIERS, Said, said_at
from swarm.text import lazy_pattern

_BETWEEN = r"[ \t_-]{1,3}"
_QUOTES = ("'", '"')
_KEY = r"""(?=["'][ \t]*:)"""
_KEY_END = lazy_pattern(_KEY)
_MOST = 10_000  # places without a value after which no further one is looked at
_SHOWN = 200  # characters of a line that people are shown
_ENDS = r"(?![\w@])(?![./-]\w)"
_PART_OF_NAME = lazy_pattern(r"[\w./@-]")
_WORD_BEFORE = lazy_pattern(
    r"""(?<![\w./@-])(?P<word>[A-Za-z]{1,20}+)(?P<mark>["'`*)\]]{0,2}:?)[ \t\xa0]{1,4}["'`*(\[]{0,3}$"""
)
_SUPPOSED = frozenset(("if", "when", "whenever", "unless", "suppose", "assuming"))  # it is not said to be so
_VALUE = lazy_pattern(r"\W{0,8}[\d.]\S*")  # behind a name in a sentence
_WORD = lazy_pattern(r"[^\W\d_]{2,}")
_PAIRS = lazy_pattern(r"[:=|\[\]{}\t]")  # what is between names and values, and in no sentence
_BEFORE = 48  # characters before a name in which that word is looked for
NEUTRAL = frozenset(  # words that may stand before a name in prose and leave it what it is
    re.findall(
        r"\w+",
        """a achieved achieves an and at average avg computed current debug done end ended epoch final finally finished
        for gave get gets gives got has have in info is its last mean measured metric metrics model new now obtained of
        on or our overall reached reaches reported reports result results root saved score summary the this to warning
        was with yields""",
    )
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A place at which a quantity is given a value, and what that is."""

    place: int
    said: Said


class Output:
    """The output of a program, in which mentions are looked for. `text` has one kind of line end and no escapes."""

    def __init__(self, text: str) -> None:
        self.text = text
        lower = text.lower()
        self._lower = lower if len(lower) == len(text) else "".join(c.lower() if c.isascii() else c for c in text)
        self._objects = Objects(text)
        self._asked: tuple[Mapping[int, str], str] = {}, ""  # the object and the name that were asked for last,
        self._meant: Mapping[int, str] = {}  # and its keys that are meant by it

    def newest(self, name: str) -> Mention | None:
        """The last place that says what `name` is; None where none does."""
        if not name.strip():
            return None
        cell = newest_cell(self.text, self._places(_spelled(name) + BEHIND))
        spans = self._places(*_patterns(name))
        for start, end in reversed(spans[-_MOST:]):
            if cell and start < cell.place:
                break
            if cell and self._is_in_sentence(start, end):
                continue  # what is said about a table does not replace it
            if said := self._said(start, end, name):
                return Mention(start, said)
        if len(spans) > _MOST and not cell:
            return Mention(spans[-1][0], Said("", f"it stands there {len(spans)} times without a value"))
        return Mention(cell.place, cell.said) if cell else None

    def line(self, place: int) -> str:
        """The line around a place, at most as much of it as people read."""
        start = max(self.text.rfind("\n", 0, place) + 1, place - _BEFORE)
        end = self.text.find("\n", place, start + _SHOWN)
        return self.text[start : end if end >= 0 else start + _SHOWN].strip()

    def _places(self, *patterns: str) -> list[tuple[int, int]]:
        found = [match.span() for pattern in patterns for match in re.finditer(pattern, self._lower)]
        return sorted(found) if len(patterns) > 1 else found

    def _said(self, start: int, end: int, name: str) -> Said | None:
        """What is said at this place of the name; None where it is said of another, or nothing is."""
        before, written = self.text[start - 1 : start], self.text[start:end]
        if _PART_OF_NAME.match(before):
            return None
        if before in _QUOTES and _KEY_END.match(self.text, end) and before == self.text[end]:
            keys = self._objects.keys_around(start)
            if start in keys:
                return self._said_of_key(start, end, name, keys)
        if normal(written) != normal(name) or self._is_part_of_phrase(start, written):
            return None
        return said_at(self.text, end)

    def _said_of_key(self, start: int, end: int, name: str, keys: Mapping[int, str]) -> Said | None:
        meant = self._keys_meant(keys, name)
        if start not in meant:
            return None
        if len(meant) > 1:
            which = ", ".join(dict.fromkeys(meant.values()))
            return Said("", f"it stands {len(meant)} times in one object ({which[:_SHOWN]})")
        return said_at(self.text, end)

    def _keys_meant(self, keys: Mapping[int, str], name: str) -> Mapping[int, str]:
        """The keys of an object that are the name, or those alone that are exactly it where there are some. An object
        of 250 KB may hold it ten thousand times, and is asked at each of them: they are looked for once."""
        asked, last = self._asked
        if asked is not keys or last != name:
            ends = {path for path in set(keys.values()) if is_path_of(path, name)}
            wanted = {path for path in ends if normal(path) == normal(name)} or ends
            self._asked = keys, name
            self._meant = {place: path for place, path in keys.items() if path in wanted}
        return self._meant

    def _is_in_sentence(self, start: int, end: int) -> bool:
        """Whether words of prose stand on both sides of the name and its value: `both of them have x = 1, no more`."""
        first = self.text.rfind("\n", max(0, start - _SHOWN), start) + 1
        last = self.text.find("\n", end, end + _SHOWN)
        before, after = self.text[first:start], self.text[end : last if last >= 0 else end + _SHOWN]
        value = _VALUE.match(after)
        if value is None or _PAIRS.search(before) or _PAIRS.search(after, value.end()):
            return False
        return len(_WORD.findall(before)) >= 3 and len(_WORD.findall(after, value.end())) >= 2

    def _is_part_of_phrase(self, start: int, written: str) -> bool:
        """Whether the word before makes another quantity of the name: `best acc`, and `policy loss` for `loss`."""
        left = self.text[max(0, start - _BEFORE) : start]
        word = _WORD_BEFORE.search(left[left.rfind("\n") + 1 :])
        if word is None:
            return False
        said = word["word"].lower()
        if said in _SUPPOSED:
            return True
        plain = not re.search(r"[\d_/.@-]", written) and not word["mark"]
        return said in QUALIFIERS or (plain and said not in NEUTRAL)


def normal(name: str) -> str:
    """A name without what does not count: `Val Loss`, `val-loss` and `val_loss` are one."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _patterns(name: str) -> list[str]:
    """What a name looks like, and the last part of a dotted one, as a key."""
    patterns = [_spelled(name) + _ENDS]
    return [*patterns, _spelled(name.rpartition(".")[2]) + _KEY] if "." in name.strip(".") else patterns


def _spelled(name: str) -> str:
    """A pattern for all spellings of a name, in lower case."""
    return _BETWEEN.join(re.escape(word) for word in re.split(r"[\s_-]+", name.strip().lower()) if word)


def is_path_of(path: str, name: str) -> bool:
    """Whether a key of that path is the name: all of it, or its end where no part before makes another one of it."""
    whole, wanted = normal(path), normal(name)
    return whole == wanted or (
        whole.endswith(f".{wanted}") and not QUALIFIERS & set(re.split(r"[^a-z]+", whole[: -len(wanted)]))
    )
