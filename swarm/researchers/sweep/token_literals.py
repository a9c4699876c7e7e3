"""The literals of a file in a language of braces (and of Julia) that could be knobs, found by token.

Comments and strings are blanked out, what is left is read once, with the names of what each brace belongs to. Found are
constants and variables (`const X = 3`, `static const float x = 0.5f`, `#define X 3`), the entries of tables
(`{ alpha: 0.1 }`, `.alpha = 0.1`), defaults of parameters, and switches and words with alternatives (token_words.py).
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator

from swarm.researchers.sweep.literals import Literal, Place, Value
from swarm.researchers.sweep.token_words import read_words
from swarm.text import lazy_pattern

_SLASHES = r"//[^\n]*|/\*.*?\*/"
_STRINGS = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)'"
_OF_SCRIPT = rf"{_SLASHES}|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`"
_OF_RUST = rf"{_SLASHES}|r(#*)\".*?\"\1|{_STRINGS}"
_OF_GO = rf"{_SLASHES}|`[^`]*`|{_STRINGS}"
_OF_C = rf"{_SLASHES}|R\"\((?:.*?)\)\"|{_STRINGS}"
_OF_JULIA = r"#=.*?=#|#[^\n]*|\"\"\".*?\"\"\"|\"(?:[^\"\\\n]|\\.)*\""
_HIDDEN = {
    **dict.fromkeys(("js", "mjs", "cjs", "ts", "tsx", "jsx", "mts", "cts"), _OF_SCRIPT),
    **dict.fromkeys(("c", "h", "cc", "cpp", "cxx", "hpp", "hh", "hxx", "cu", "cuh", "cl", "metal"), _OF_C),
    **dict.fromkeys(("java", "kt", "cs", "swift", "scala"), _OF_C),
    "rs": _OF_RUST,
    "go": _OF_GO,
    "jl": _OF_JULIA,
}
LANGUAGES = frozenset(_HIDDEN)

_NUMBER = (
    r"-?(?:0[xX][0-9a-fA-F_']+|0[bB][01_']+|(?:\d[\d_']*(?:\.(?!\.)[\d_']*)?|\.\d[\d_]*)(?:[eE][-+]?\d+)?)"
    r"(?:_?(?:[fiu](?:8|16|32|64|128|size)|f16|bf16)|[fFlLuUdDn]{1,3})?"
)
_TOKEN = lazy_pattern(
    rf"(?P<define>#[ \t]*define[ \t]+)|(?P<directive>#[ \t]*\w+[^\n]*)|(?P<name>[A-Za-z_$][\w$]*)"
    rf"|(?P<number>(?<![\w.)\]])-?{_NUMBER[2:]})|(?P<mark>=>|->|::|:=|[-+*/%&|^<>=!]=|<<|>>|&&|\|\||\+\+|--|.)",
    re.DOTALL,
)
_DECLARED = frozenset(("const", "let", "var", "val", "static", "final", "constexpr", "constinit", "readonly"))
_CALLED = frozenset(("if", "for", "while", "switch", "match", "catch", "return", "else", "do", "loop", "try", "sizeof"))
_TYPES = frozenset(("fn", "func", "function", "class", "struct", "impl", "trait", "enum", "interface", "namespace"))
_NAMED = lazy_pattern(r"[A-Za-z_$][\w$]*")
_DEFINED = lazy_pattern(rf"(\w+)[ \t]+(\(?)({_NUMBER})(\)?)[ \t]*(?=\r?\n|$)")
_ENDS = frozenset(";,)}\n")


@functools.lru_cache(maxsize=64)
def read_tokens(text: str, suffix: str) -> tuple[Literal, ...]:
    """The literals of a file by the suffix of its language; none where its braces do not match."""
    hidden = re.compile(_HIDDEN[suffix], re.DOTALL)
    code = hidden.sub(lambda match: re.sub(r"[^\r\n]", " ", match[0]), text)
    reader = _Reader(text, code, suffix)
    numbers = tuple(reader.read())
    return (*numbers, *read_words(text, code, hidden, reader.comment, _DECLARED))


class _Reader:
    """One pass over the tokens. `code` is `text` without its comments and strings, at the same places."""

    def __init__(self, text: str, code: str, suffix: str) -> None:
        self._text, self._code, self._julia, self._go = text, code, suffix == "jl", suffix == "go"
        self._tokens = [m for m in _TOKEN.finditer(code) if not m[0].isspace() or m[0] == "\n"]
        # What is set again later is a counter, no setting.
        self._set = Counter(re.findall(r"([A-Za-z_$][\w$]*)\s*(?:[-+*/|&^%]|<<|>>)?=(?![=>])", code))
        self._counted = set(re.findall(r"([A-Za-z_$][\w$]*)\s*(?:\+\+|--)", code)) | set(
            re.findall(r"(?:\+\+|--)\s*([A-Za-z_$][\w$]*)", code)
        )

    def read(self) -> Iterator[Literal]:
        owners: list[tuple[str, str]] = []  # (the bracket, what it belongs to)
        declared = False  # since the statement's start, a word said that this is a declaration
        for at, token in enumerate(self._tokens):
            kind, word = token.lastgroup, token[0]
            if kind == "mark" and word in "([{":
                owners.append((word, self._owner(at) if word != "(" else ""))
            elif kind == "mark" and word in ")]}":
                if not owners:
                    return
                owners.pop()
            if kind == "name" and word in _DECLARED:
                declared = True
            elif word in ";{}" or (word == "\n" and not self._continues(at)):
                declared = False
            if kind == "define":
                yield from self._define(at, owners)
            elif kind == "number":
                yield from self._number(at, owners, declared)

    def _continues(self, at: int) -> bool:
        return self._tokens[at - 1][0] in ("=", ",", "(") if at else False

    def _define(self, at: int, owners: list[tuple[str, str]]) -> Iterator[Literal]:
        match = _DEFINED.match(self._code, self._tokens[at].end())
        if match and bool(match[2]) == bool(match[4]):
            yield from self._literal((), match[1], match.start(3), match[3], Place.SETTING)

    def _number(self, at: int, owners: list[tuple[str, str]], declared: bool) -> Iterator[Literal]:
        number = self._tokens[at]
        after = self._tokens[at + 1][0] if at + 1 < len(self._tokens) else "\n"
        if after not in _ENDS:
            return
        before = self._tokens[at - 1][0] if at else ""
        names = tuple(owner for _, owner in owners if owner)
        inside = owners[-1][0] if owners else ""
        if before in ("=", ":="):
            name = self._assigned(at - 1)
            top = not owners
            field = at > 2 and name and (self._is_field(at - 1) or self._tokens[at - 2][0] == "}")
            julia = self._julia and top and name
            group = self._go and inside == "(" and self._grouped(at)
            default = inside == "(" and after in (",", ")") and name
            if name and (declared or field or julia or group or default or before == ":="):
                if (self._set[name] > 1 and not declared and not field) or name in self._counted:
                    return
                place = Place.SETTING if top or field or inside == "(" or name.isupper() else Place.DETAIL
                yield from self._literal(names, name, number.start(), number[0], place)
        elif before == ":" and inside == "{" and names:
            key = self._tokens[at - 2]
            if key.lastgroup == "name" and at > 2 and self._tokens[at - 3][0] in ("{", ",", "\n"):
                yield from self._literal(names, key[0], number.start(), number[0], Place.SETTING)

    def _assigned(self, at: int) -> str:
        """The name left of the `=` at `at`: before its type, if that stands between (`x: f64 = 0.1`)."""
        at -= 1
        first = at
        while at >= 0 and first - at < 12 and self._tokens[at][0] not in (";", "{", "}", "\n", "(", ",", "="):
            if (
                (self._tokens[at][0] == ":" or (self._julia and self._tokens[at][0] == "::"))
                and at
                and self._tokens[at - 1].lastgroup == "name"
            ):
                return self._tokens[at - 1][0]
            at -= 1
        if self._tokens[first][0] == "}":  # C#: `int Depth { get; set; } = 4`
            opened = next((p for p in range(first, max(0, first - 8), -1) if self._tokens[p][0] == "{"), 0)
            inside = {self._tokens[p][0] for p in range(opened + 1, first)}
            got = opened and inside <= {"get", "set", "init", "private", ";"} and "get" in inside
            return self._tokens[opened - 1][0] if got and self._tokens[opened - 1].lastgroup == "name" else ""
        if (
            self._go
            and first
            and self._tokens[first - 1].lastgroup == "name"
            and self._tokens[first - 1][0] not in (*_DECLARED, "type")
        ):
            return self._tokens[first - 1][0]
        return self._tokens[first][0] if self._tokens[first].lastgroup == "name" else ""

    def _is_field(self, at: int) -> bool:
        """Whether `.name = ` stands there, as in C's initializers."""
        return at > 2 and self._tokens[at - 2][0] == "." and self._tokens[at - 3][0] in ("{", ",", "\n")

    def _grouped(self, at: int) -> bool:
        """Whether Go's `const (` or `var (` is what is open."""
        depth = 0
        for token in reversed(self._tokens[:at]):
            depth += {")": 1, "(": -1}.get(token[0], 0)
            if depth < 0:
                begin = self._code.rfind("\n", 0, token.start()) + 1
                return bool(re.fullmatch(r"\s*(?:const|var)\s*", self._code[begin : token.start()]))
        return False

    def _owner(self, at: int) -> str:
        """The name of what the brace at `at` belongs to: a function, a type, or a variable."""
        at -= 1
        if at >= 0 and self._tokens[at][0] == "\n":
            at -= 1
        if at < 0:
            return ""
        if self._tokens[at][0] in ("=", ":"):
            name = self._assigned(at) if self._tokens[at][0] == "=" else self._tokens[at - 1][0]
            return name if re.fullmatch(r"[\w$]+", name) else ""
        if self._tokens[at].lastgroup == "name" and self._tokens[at][0] not in _CALLED:
            head = self._head(at)
            return head or self._tokens[at][0]
        return self._head(at)

    def _head(self, at: int) -> str:
        """The function's or type's name in the line that leads to a brace: `fn evaluate(board: &Board) -> i32 {`."""
        depth, line = 0, []
        for token in reversed(self._tokens[max(0, at - 60) : at + 1]):
            depth += {")": 1, "(": -1}.get(token[0], 0)
            if token[0] in (";", "{", "}") or (token[0] == "\n" and depth == 0):
                break
            line.append(token[0])
        words = [word for word in reversed(line) if word != "\n"]
        for place, word in enumerate(words[:-1]):
            if word in _TYPES:
                named = [w for w in words[place + 1 :] if _NAMED.fullmatch(w)]
                return (named[-1] if "for" in words and word == "impl" else named[0]) if named else ""
        called = next((p for p, word in enumerate(words) if word == "(" and p), None)
        named = words[called - 1] if called is not None else ""
        return named if _NAMED.fullmatch(named) and not _CALLED.intersection(words) else ""

    def _literal(self, owners: tuple[str, ...], name: str, start: int, written: str, place: Place) -> Iterator[Literal]:
        value = _value(written)
        if value is not None:
            full = ".".join([*owners, name])
            yield Literal(full, start, start + len(written), value, place, self.comment(start + len(written)))

    def comment(self, end: int) -> str:
        """What the file says beside a literal, or on the lines of comment just above it."""
        stop = self._text.find("\n", end)
        beside = self._text[end : stop if stop >= 0 else len(self._text)]
        mark = re.search(r"(?://|#|/\*)(.*)", beside)
        said = [mark[1].strip(" */\r")] if mark else []
        begin = self._text.rfind("\n", 0, end)
        while begin > 0:
            previous = self._text.rfind("\n", 0, begin)
            line = self._text[previous + 1 : begin].strip()
            if not line.startswith(("//", "#=", "# ", "/*", "*")):
                break
            said.insert(0, line.strip("/*#= "))
            begin = previous
        return "\n".join(said)


def _value(written: str) -> Value | None:
    plain = written.replace("_", "").replace("'", "")
    if re.match(r"-?0[xXbB]", plain):
        digits = re.match(r"-?0(?:[xX][0-9a-fA-F]+|[bB][01]+)", re.sub(r"[iu](?:\d+|size)$|[uUlL]+$", "", plain))
        return int(digits[0], 0) if digits else None
    body = re.sub(r"(?:[fiu](?:8|16|32|64|128|size)|bf16|[fFlLuUdDn]{1,3})$", "", plain)
    try:
        if re.fullmatch(r"-?\d+", body):
            fractional = re.search(r"(?:f16|f32|f64|bf16|[fFdD])$", plain)
            return float(body) if fractional else int(body)
        return float(body)
    except ValueError:
        return None
