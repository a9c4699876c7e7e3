"""The literals that could be knobs in any other text: scripts, queries, assembly, settings that no parser here knows.

Read line by line, without comments and quoted text. A number counts where the line says what it is: `name = 0.5` and
its like in other languages, `--name 0.5`, `${NAME:-0.5}`, `name > 0.5`, `0.5 * name`, or an instruction's operand.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from swarm.researchers.sweep.frame import listed
from swarm.researchers.sweep.literals import Literal, Place, Value

LONGEST_LINE = 2000  # characters: a longer line is data
MOST = 400  # numbers in one file: more of them are data

# How a comment begins, by what the file's name ends with.
_MARKS = {
    suffix: marks
    for suffixes, marks in (
        ("red rc redcode asm s nasm lisp el scm rkt clj ss", (";",)),
        ("sql psql ddl lua hs elm vhd vhdl adb ads", ("--",)),
        ("m tex erl pro", ("%",)),
        ("f f77 f90 f95 f03 f08 for", ("!",)),
        ("v sv zig dart d proto groovy gradle glsl wgsl frag vert", ("//",)),
        ("sh bash zsh fish ksh r pl pm rb tcl nim ex exs mk cmake conf env gd cr awk sed gp tf hcl nix ps1", ("#",)),
        ("php", ("//", "#")),
        ("properties", ("#", "!")),
    )
    for suffix in suffixes.split()
}
_GUESSED = ("#", "//", ";", "--", "%")  # where the name does not tell; `#` and `//` if no line begins with one
_BLOCKS = re.compile(r"/\*.*?\*/|--\[\[.*?\]\]|--\[=\[.*?\]=\]", re.DOTALL)
PROSE = listed("md markdown rst txt text adoc org tex html htm prompt")
_DATA = listed("csv tsv jsonl ndjson svg xml ipynb lock log patch diff pgn fen")
_SHELLS = listed("sh bash zsh fish ksh mk env") | {""}
_MACHINES = listed("red rc redcode asm s nasm")

_NUMBER = r"[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d[\d_]*(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][-+]?\d+)?)"
_END = r"(?=(?:[fFLl])?(?:\s*(?:$|[;,)}\]|&])|\s+[^\s\w.*/%+<>=-]|\s*\\$))"  # a value that is only a number ends there
_TRUTH = r"true|false|TRUE|FALSE|True|False"
_NAME = r"[@$%]?[A-Za-z_][\w.-]*"
# `name = 0.5`, `name: 0.5`, `name <- 0.5`, `:name 0.5`, `name equ 5`, `(define name 0.5)`
_ASSIGNED = re.compile(
    rf"(?<![\w.$-])(?P<name>{_NAME})(?:\s*(?:<-|:=|=(?![=>~])|=>|:(?=\s))\s*|\s+(?P<equ>[eE][qQ][uU])\s+)"
    rf"(?P<value>{_NUMBER}|{_TRUTH}){_END}"
)
_HEADED = re.compile(rf"^\s*(?P<name>{_NAME}):(?P<value>{_NUMBER}|{_TRUTH})\s*$")
_SPOKEN = re.compile(
    rf"(?:\((?:define|def|defparameter|defvar|defconstant|setq|setf|set!)|^\s*set|^\s*\.(?:equ|set)|#\s*define)\s+"
    rf"(?P<name>{_NAME}),?\s+(?P<value>{_NUMBER}){_END}"
)
_FLAG = re.compile(rf"(?<![\w-])--(?P<name>[A-Za-z][\w-]*)(?:=|\s+)[\"']?(?P<value>{_NUMBER})(?=[\"'\s;|&)\\]|$)")
_FALLBACK = re.compile(rf"\$\{{(?P<name>\w+):?[-=](?P<value>{_NUMBER})\}}")
_BAR = re.compile(rf"(?<![\w.])(?P<name>[A-Za-z_][\w.]*)\s*(?:[<>]=?|\bBETWEEN\b)\s*(?P<value>{_NUMBER})(?![\w.])")
_WEIGHT = re.compile(
    r"(?<![\w.])(?P<value>(?:\d+\.\d*|\.\d+))\s*\*\s*(?P<name>[A-Za-z_][\w.]*)"
    r"|(?<![\w.])(?P<name2>[A-Za-z_][\w.]*)\s*\*\s*(?P<value2>(?:\d+\.\d*|\.\d+))(?![\w.])"
)
_WORD = re.compile(
    rf"(?<![\w.$-])(?P<name>{_NAME})\s*(?:<-|:=|=(?![=>~])|:(?![:/\\]))\s*"
    rf"(?P<value>\"[A-Za-z][\w.+-]{{0,29}}\"|'[A-Za-z][\w.+-]{{0,29}}'|[A-Za-z][\w+-]{{0,29}})"
    r"(?=\s*(?:$|[;,)}\]]))"
)
_SET = re.compile(rf"(?<![\w.$-])({_NAME})\s*([-+*/.|]?=(?![=>~])|<-|:=)\s*({_NUMBER}{_END})?", re.MULTILINE)
_EQUAL = re.compile(r"(\w+)[\"'}]*\s*(?:==|=|-eq|eq|~=)\s*([\"'])([\w.+-]{1,30})\2")
_INSTRUCTION = re.compile(
    r"^\s*(?:(?P<label>[A-Za-z_]\w*)(?::|\s)\s*)?(?P<code>[A-Za-z]{2,5})(?:\.[A-Za-z]{1,2})?\s+(?P<rest>[^\s].*)$"
)
_OPERAND = re.compile(r"(?<![\w.])(?P<value>[-+]?\d+)(?![\w.])")
# Words of an assembler that are no instructions: where code and data stand, and what is counted.
_DIRECTIVES = listed("org end pin equ assert db dw dd dq byte word long align section global extern times resb resw")


@functools.lru_cache(maxsize=64)
def read_text_literals(text: str, suffix: str) -> tuple[Literal, ...]:
    """The literals of a text by what its name ends with; none where it is data."""
    if suffix in _DATA or "\0" in text:
        return ()
    found = tuple(_Reader(text, suffix).read())
    return found if len(found) <= MOST else ()


@dataclass
class _Reader:
    """One pass over the lines; `said` are the comments that stand just above."""

    text: str
    suffix: str
    said: list[str] = field(default_factory=list)

    def read(self) -> Iterator[Literal]:
        blank = _BLOCKS.sub(lambda match: re.sub(r"[^\r\n]", " ", match[0]), self.text)
        marks = _marks(blank, self.suffix)
        lines = [(start, line, *_parted(line, marks)) for start, line in _lines(blank)]
        code = "\n".join(code for _, _, code, _ in lines)
        counters = _counters(code)
        compared = _compared(code)
        for start, line, plain, comment in lines:
            if not plain.strip():
                self.said = [*self.said, comment] if comment else []
                continue
            if len(line) <= LONGEST_LINE:
                remark = "\n".join(filter(None, [*self.said, comment]))
                for literal in self._line(start, plain, remark, compared):
                    if literal.place is not Place.SETTING or literal.name not in counters:
                        yield literal
            self.said = []

    def _line(self, start: int, plain: str, remark: str, compared: dict[str, list[str]]) -> Iterator[Literal]:
        hidden = _unquoted(plain, numbers=self.suffix in _SHELLS)
        patterns = [(_ASSIGNED, Place.SETTING), (_HEADED, Place.SETTING), (_SPOKEN, Place.SETTING)]
        if self.suffix not in PROSE:
            patterns += [(_BAR, Place.BAR), (_WEIGHT, Place.WEIGHT)]
        taken: set[int] = set()
        for pattern, place in patterns:
            for match in pattern.finditer(hidden):
                group = "2" if "name2" in match.groupdict() and match["name"] is None else ""
                own = Place.OPERAND if self.suffix in _MACHINES and place is Place.SETTING else place
                yield from self._literal(match, group, start, own, remark, taken)
        if self.suffix in _SHELLS:
            for pattern in (_FLAG, _FALLBACK):
                for match in pattern.finditer(plain):
                    yield from self._literal(match, "", start, Place.SETTING, remark, taken)
        if self.suffix in _MACHINES and not taken:
            yield from _operands(start, hidden, remark)
        if self.suffix not in PROSE:
            yield from self._words(start, plain, remark, compared)

    def _literal(
        self, match: re.Match[str], group: str, start: int, place: Place, remark: str, taken: set[int]
    ) -> Iterator[Literal]:
        begin, written = match.start(f"value{group}"), match[f"value{group}"]
        value = _value(written)
        if value is None or begin in taken:
            return
        taken.add(begin)
        name = match[f"name{group}"].lstrip("@$%")
        said = {Place.BAR: f"{name}.threshold", Place.WEIGHT: f"{name}.weight"}.get(place, name)
        yield Literal(said, start + begin, start + begin + len(written), value, place, remark)

    def _words(self, start: int, plain: str, remark: str, compared: dict[str, list[str]]) -> Iterator[Literal]:
        """Words, where a comment or a comparison shows what else could stand there."""
        for match in _WORD.finditer(plain):
            name, written = match["name"].lstrip("@$%"), match["value"]
            if written.lower() in ("true", "false") or (
                written[0] not in "\"'" and not remark and name not in compared
            ):
                continue
            word, begin = written.strip("\"'"), start + match.start("value")
            choices = tuple(dict.fromkeys([*compared.get(name, []), word]))
            yield Literal(
                name, begin, begin + len(written), word, Place.SETTING, remark, choices if len(choices) > 1 else ()
            )


def _operands(start: int, line: str, remark: str) -> Iterator[Literal]:
    """The whole numbers of an instruction: `mov.i #1, 2` has mov[0] and mov[1], below its label if it has one."""
    match = _INSTRUCTION.match(line)
    if match is None or match["code"].lower() in _DIRECTIVES or (match["label"] or "").lower() in _DIRECTIVES:
        return
    owner = ".".join(filter(None, [match["label"], match["code"].lower()]))
    for index, part in enumerate(re.finditer(r"[^,]+", match["rest"])):
        for operand in _OPERAND.finditer(part[0]):
            begin = start + match.start("rest") + part.start() + operand.start()
            written = operand["value"]
            name = f"{owner}[{index}]"
            yield Literal(name, begin, begin + len(written), int(written), Place.OPERAND, remark)


def _marks(text: str, suffix: str) -> tuple[str, ...]:
    """How comments begin in this file: by its name, else as its own lines do."""
    if suffix in _MARKS:
        return _MARKS[suffix]
    begins = Counter(mark for mark in _GUESSED for line in text.splitlines() if line.lstrip().startswith(mark))
    best = max(_GUESSED, key=lambda mark: begins[mark])
    return (best,) if begins[best] else ("#", "//")


def _parted(line: str, marks: tuple[str, ...]) -> tuple[str, str]:
    """A line's code and its comment. A mark in quotes begins none; `#` and `%` inside of a word neither."""
    quote = ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote and line[place - 1] != "\\" else quote
            continue
        if any(line.startswith(mark, place) for mark in marks):
            mark = next(mark for mark in marks if line.startswith(mark, place))
            if mark in (";", "--", "//") or place == 0 or line[place - 1] in " \t;":
                return line[:place], line[place:].strip(" \t#/;%!-*")
        if character in "\"'" and character in line[place + 1 :]:
            quote = character
    return line, ""


def _unquoted(line: str, *, numbers: bool) -> str:
    """The line with blanks in the place of what it quotes, and of the quotes alone where a quoted number is one."""

    def blank(match: re.Match[str]) -> str:
        inside = match[0][1:-1]
        return f" {inside} " if numbers and re.fullmatch(_NUMBER, inside) else " " * len(match[0])

    return re.sub(r"([\"'])(?:(?!\1)[^\\]|\\.)*\1", blank, line)


def _counters(code: str) -> frozenset[str]:
    """Names that are only begun with a number: something else is put into them later."""
    stores: dict[str, list[str]] = defaultdict(list)
    for match in _SET.finditer(code):
        name, sign, value = match.groups(default="")
        if code[max(0, match.start() - 200) : match.start()].rstrip()[-1:] in ("(", ",", "{"):
            continue  # an argument or an entry of a table
        stores[name.lstrip("@$%")].append(value if sign[0] not in "-+*/.|" or sign == "=" else "")
    return frozenset(
        name
        for name, values in stores.items()
        if len(values) > 1 and ("" in values or {value.strip() for value in values} & {"0", "1", "-1"})
    )


def _compared(code: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, _, word in _EQUAL.findall(code):
        found[name].append(word)
    return {name: words for name, words in found.items() if len(set(words)) > 1}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    position = 1 if text.startswith("\ufeff") else 0
    for line in re.split(r"(\r\n|\r|\n)", text[position:]):
        if line not in ("\r\n", "\r", "\n"):
            yield position, line
        position += len(line)


def _value(written: str) -> Value | None:
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    plain = written.replace("_", "").lstrip("+")
    if re.fullmatch(r"-?0[xX][0-9a-fA-F]+", plain):
        return int(plain, 16)
    if re.fullmatch(r"-?\d+", plain):  # 007 is a code, no number
        return int(plain) if plain.lstrip("-") == "0" or plain.lstrip("-")[0] != "0" else None
    try:
        return float(plain)
    except ValueError:
        return None
