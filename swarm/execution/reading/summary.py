"""Reads what a training program printed: the wanted quantities from all of it, and every other name with its newest
value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from swarm.execution.reading.logs import without_escapes
from swarm.execution.reading.mentions import NEUTRAL, Output, normal
from swarm.execution.reading.printed_value import QUALIFIERS, VALUES, Value, said_at
from swarm.text import lazy_pattern

NAMES = 200  # other names that are kept at most: the newest
_LINES, _KINDS = 1000, 2000  # last lines that are looked at for names, and kinds of lines above them
_LONGEST = 2000  # characters of a line that are looked at for names
_WORD = r"[^\W\d]\w*+(?:[./@-]\w++)*+"
_PHRASE = lazy_pattern(rf"(?<![\w./@-])(?P<name>{_WORD}(?: {_WORD}){{0,3}}+)")
_SIGN = lazy_pattern(r"[\"'`*)\]]{0,3}[ \t]*[:=]")
_JOINING = frozenset(
    re.findall(
        r"\w+",
        """a about above after all an and are as at be below but by each for from has have if in into is it its of on
        one or over per than that the then there this to under up was were when with""",
    )
)
_TEXT = lazy_pattern(r"[ \t]*([A-Za-z_][\w./-]*)[ \t]*:(?:[ \t]+(.*))?")
_DIGITS = str.maketrans("123456789", "000000000")


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program printed. `values` are the newest by name, in order of appearance; the newest mention of a wanted
    name that could not be read is in `faults`, with its line, and never replaced by an older one."""

    values: Mapping[str, Value] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)


def read_printed(text: str, wanted: Iterable[str]) -> Printed:
    """What was printed of the wanted names, wherever and in whatever form; and of all others, as far as it is clear.

    Numbers come as int or float ("nan" and "inf" are floats), `n/a` as None. Text is a value only in the lines
    `name: text` below the last line that is `---`.
    """
    text = without_escapes(text)
    output = Output(text)
    values, faults = _others(text), {}
    for name in wanted:
        mention = output.newest(name)
        for other in [other for other in values if normal(other) == normal(name)]:
            del values[other]
        if mention:
            values[name] = mention.said.value
        if mention and mention.said.fault:
            faults[name] = f"{mention.said.fault}, in the newest line that names it: {output.line(mention.place)}"
    return Printed(values, faults)


def likest(name: str, names: Collection[str]) -> list[str]:
    """Those of the names that a person may have meant, the likest first."""
    bare = {other: re.sub(r"[\W_]+", "", other.lower()) for other in names}
    meant = re.sub(r"[\W_]+", "", name.lower())
    parts = [other for other, letters in bare.items() if meant in letters or (len(letters) > 2 and letters in meant)]
    close = difflib.get_close_matches(meant, bare.values(), n=5, cutoff=0.6)
    return list(dict.fromkeys([*parts, *(other for one in close for other, letters in bare.items() if letters == one)]))


def _others(text: str) -> dict[str, Value]:
    """All names with their newest value, in order of appearance."""
    lines = text.split("\n")
    kinds = dict(zip(text.translate(_DIGITS).split("\n"), range(len(lines)), strict=True))
    older = [number for number in kinds.values() if number < len(lines) - _LINES][-_KINDS:]
    mark = kinds.get("---", len(lines))
    found: dict[str, Value] = {}
    for number in [*sorted(older), *range(max(0, len(lines) - _LINES), len(lines))]:
        line = lines[number][:_LONGEST]
        words = _TEXT.fullmatch(line) if number > mark else None
        for name, value in _named(line):
            found[name] = value
        if words and words[1] not in found:
            found[words[1]] = (words[2] or "").strip()[:_LONGEST]
    return dict(list(found.items())[-NAMES:])


def _named(line: str) -> Iterator[tuple[str, Value]]:
    """The names in a line that are given a number, or `n/a`."""
    for match in _PHRASE.finditer(line):
        said = said_at(line, match.end())
        if said and (not said.fault or said.value is None) and _may_be_name(match["name"], line[match.end() :]):
            yield _name(match["name"]), said.value


def _may_be_name(phrase: str, after: str) -> bool:
    """Whether the words before a number can name it: not where the last one is itself a value, as in `loss: none 3`,
    nor where it joins words and no colon follows it."""
    last = phrase.rpartition(" ")[2].lower()
    return last not in VALUES and (last not in _JOINING or bool(_SIGN.match(after)))


def _name(phrase: str) -> str:
    """The name at the end of some words: what says nothing of a quantity is left out."""
    words = phrase.split(" ")
    while len(words) > 1 and words[0].lower() in NEUTRAL:
        del words[0]
    if re.search(r"[\d_/.@-]", words[-1]) and not {word.lower() for word in words[:-1]} & QUALIFIERS:
        return words[-1]
    return " ".join(words)
