"""Is this the same code, or the same change? Pure functions; the board keeps what they give.

Three looks at an edit, each on normalised syntax (normal_form.py): the fingerprint of the whole code; the change
against its parent, which is the same on whatever parent it is made; and the likeness of two changes (likeness.py).
Whole files are never compared by likeness: any two one-line edits of train.py look 99.9999% alike.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import accumulate

from swarm.foreign_python import UNREADABLE
from swarm.novelty.normal_form import meaning, parsed, tree_of
from swarm.records import Code, Source
from swarm.text import read_text

STEPS = 2_000_000  # of a comparison of two files, a second or two
DIFF = 4_000  # characters of a change that are kept for people, researchers and the look at likeness


def fingerprint(source: Source) -> str:
    """A hash of what the code means: comments, layout, docstrings and the spelling of constants do not count.

    A file that is not Python, or does not parse, counts as it stands.
    """
    digest = hashlib.sha256()
    for path, content in sorted(source.files.items()):
        said = meaning(path, content)
        digest.update(f"{path}\0{len(said)}\0".encode() + said)
    return digest.hexdigest()


def size(source: Source) -> int:
    """How much code there is: nodes of the syntax trees, without docstrings; bytes for other files."""
    return sum(_size(path, content) for path, content in source.files.items())


@functools.lru_cache(maxsize=256)
def _size(path: str, content: bytes) -> int:
    tree = tree_of(path, content) or parsed(path, content)  # too deep to be compared is no reason for another unit
    return sum(1 for _ in ast.walk(tree)) if tree else len(content)


def code_of(parent: Source, source: Source) -> Code:
    """The edit that made `source` of `parent`, as the board judges its novelty."""
    edited = [path for path in sorted(source.files) if source.files[path] != parent.files.get(path)]
    hunks = [hunk for path in edited for hunk in _hunks(path, parent, source)]
    changes = ("\n\0".join(hunk.identities[side] for hunk in hunks) for side in (0, 1))
    known = tuple(dict.fromkeys(hashlib.sha256(change.encode()).hexdigest() for change in changes))
    text = "\n".join(hunk.text for hunk in hunks)
    shown = text if len(text) <= DIFF else text[: DIFF - 4] + "\n..."
    return Code(source, fingerprint(source), size(source) - size(parent), known, shown)


def constants(source: Source, device: str) -> dict[str, float | int | str]:
    """The named constants of the code with their values, as far as they are literals; in lower case, without the path.

    Where a table has an entry for the device (`PRESETS["cpu"]`), that one counts; a name that still has several values
    has none.
    """
    slots = [line for path in sorted(source.files) for line in _lines(path, source.files[path]) if line.slot]
    here = [line for line in slots if f"[{device!r}]" in line.place]
    elsewhere = [line for line in slots if "['" not in line.place]
    found: dict[str, set[str]] = {}
    for line in [*elsewhere, *here]:
        found.setdefault(line.place.rpartition(".")[2].lower(), set()).add(line.text)
    single = {name: _read(texts.pop()) for name, texts in found.items() if len(texts) == 1}
    return {name: value for name, value in single.items() if value is not None}


def _read(text: str) -> float | int | str | None:
    try:
        value = ast.literal_eval(text)
    except (*UNREADABLE, TypeError):  # the last of a set of lists
        return None
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None


# ---------------------------------------------------------------------------------------------------------------
# Lines of meaning, and the hunks in which two files differ


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of normalised code and the place where it stands. A slot is the value of one name, as of a knob."""

    place: str
    text: str
    slot: bool = False


Lines = Sequence[Line]


@dataclass(frozen=True, slots=True)
class Hunk:
    """What differs in one place. An identity says where and what: by what stands before it, and by what follows."""

    identities: tuple[str, str]
    text: str


def _hunks(path: str, parent: Source, source: Source) -> Iterator[Hunk]:
    old = _lines(path, parent.files.get(path, b""))
    new = _lines(path, source.files[path])
    for start, end, first, last in _differences(old, new):
        yield from _hunk(path, old[:start], old[start:end], new[first:last], old[end:])


def _differences(old: Lines, new: Lines) -> list[tuple[int, int, int, int]]:
    """Where they differ: from which line to which of each. Where finding that takes too many steps, it is one place:
    all between their equal beginnings and ends."""
    try:
        codes = _Matcher(old, new).get_opcodes()
        found = [(start, end, first, last) for word, start, end, first, last in codes if word != "equal"]
        if len(found) * len(old) <= STEPS:  # each is told by what stands around it
            return found
    except _TooManySteps:
        pass
    least = min(len(old), len(new))
    head = next((n for n in range(least) if old[n] != new[n]), least)
    tail = next((n for n in range(least - head) if old[-1 - n] != new[-1 - n]), least - head)
    return [(head, len(old) - tail, head, len(new) - tail)]


class _TooManySteps(Exception):
    """Two files are so long, and differ so, that matching their lines would take minutes."""


class _Matcher(SequenceMatcher[Line]):
    """A SequenceMatcher that counts its steps: a line of the one, and a line of the other that is equal to it."""

    def __init__(self, old: Lines, new: Lines):
        super().__init__(None, old, new, autojunk=False)
        counts, self._left = Counter(new), STEPS
        self._steps = list(accumulate((1 + counts[line] for line in old), initial=0))  # up to each line

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        self._left -= self._steps[len(self._steps) - 1 if ahi is None else ahi] - self._steps[alo]
        if self._left < 0:
            raise _TooManySteps
        return super().find_longest_match(alo, ahi, blo, bhi)


def _hunk(path: str, head: Lines, gone: Lines, come: Lines, tail: Lines) -> Iterator[Hunk]:
    """The values of names first, which need nothing but their name to be found again; then plain code."""
    values = {line.place: line for line in come if line.slot}
    for line in values.values():
        before = [f"- {line.place} = {was.text}" for was in gone if was.slot and was.place == line.place]
        shown = "\n".join([*before, f"+ {line.place} = {line.text}"])
        said = f"{path}: {line.place} = {line.text}"
        yield Hunk((said, said), shown)
    gone = [line for line in gone if not (line.slot and line.place in values)]
    come = [line for line in come if not line.slot]
    if gone or come:
        places = "\n".join(dict.fromkeys(f"@ {line.place}" for line in [*gone, *come] if line.place))
        body = [f"- {line.text}" for line in gone] + [f"+ {line.text}" for line in come]
        shown = "\n".join([places, *body] if places else body)
        above, below = _anchor([*head, *gone[:1]]), _anchor([*tail[::-1], *gone[-1:]])
        yield Hunk((f"{path}: below {above}\n{shown}", f"{path}: above {below}\n{shown}"), shown)


def _anchor(lines: Lines) -> str:
    """The last of these lines, and how often it occurs before: code may stand in its scope several times."""
    return f"{lines[-1]} {lines[:-1].count(lines[-1])}" if lines else "nothing"


@functools.lru_cache(maxsize=64)  # of one parent there are many edits
def _lines(path: str, content: bytes) -> tuple[Line, ...]:
    tree = tree_of(path, content)
    try:
        return tuple(_body(tree.body, "")) if tree else _plain(content)
    except (ValueError, RecursionError):
        return _plain(content)


def _plain(content: bytes) -> tuple[Line, ...]:
    return tuple(Line("", line) for line in read_text(content).text.splitlines())


def _body(body: list[ast.stmt], scope: str) -> Iterator[Line]:
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield from _values(value, f"{scope}{name}")
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield Line(f"{scope}{name}", f": {ast.unparse(statement.annotation)}")
                yield from _values(value, f"{scope}{name}")
            case ast.ClassDef(name=name):
                head = copy.copy(statement)
                head.body = []
                yield Line(f"{scope}{name}", ast.unparse(head))
                yield from _body(statement.body, f"{scope}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from (Line(f"{scope}{name}", line) for line in _unparsed(statement))
            case _:
                yield from (Line(scope, line) for line in _unparsed(statement))


def _values(value: ast.expr, place: str) -> Iterator[Line]:
    """A value by its parts: entries of tables, keywords of calls, elements of tuples each have a place of their own."""
    match value:
        case ast.Dict(keys=keys, values=values) if all(isinstance(key, ast.Constant) for key in keys):
            yield Line(place, "{}")
            for key, part in zip(keys, values, strict=True):
                yield from _values(part, f"{place}[{ast.unparse(key)}]" if key else place)
        case ast.Call(func=function, args=arguments, keywords=keywords) if keywords and all(k.arg for k in keywords):
            yield Line(place, f"{ast.unparse(function)}({', '.join(map(ast.unparse, arguments))})")
            for keyword in keywords:
                yield from _values(keyword.value, f"{place}.{keyword.arg}")
        case ast.Tuple(elts=elements) if elements and not any(isinstance(e, ast.Starred) for e in elements):
            yield Line(place, "()")
            for index, element in enumerate(elements):
                yield from _values(element, f"{place}[{index}]")
        case _:
            yield Line(place, "\\n".join(_unparsed(value)), slot=True)


def _unparsed(node: ast.AST) -> list[str]:
    return ast.unparse(node).splitlines() or [""]
