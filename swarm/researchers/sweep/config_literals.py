"""The literals of a file of settings that could be knobs: YAML, JSON, TOML and INI, by the path of their keys.

None of these formats has a parser here that tells where a value stands, so each is read by its own grammar, line by
line or token by token. What the standard library can parse is compared with what it says.
"""

from __future__ import annotations

import configparser
import functools
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from swarm.researchers.sweep.literals import Literal, Place, Value
from swarm.text import lazy_pattern

LONGEST = 16  # a longer list is data
DEEPEST = 40  # levels of nesting; deeper is no file of settings

_NUMBER = lazy_pattern(r"[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][-+]?\d+)?")
_WHOLE = lazy_pattern(r"[-+]?\d[\d_]*")
_SWITCH = {"true": True, "false": False}
_PLAIN = lazy_pattern(r"[A-Za-z_][\w.+-]{0,39}")


@functools.lru_cache(maxsize=64)
def read_config(text: str, suffix: str) -> tuple[Literal, ...]:
    """The numbers, switches and words of a file of settings; none where it is not what its suffix says."""
    try:
        return tuple(CONFIGS[suffix](text))
    except (ValueError, RecursionError, configparser.Error):
        return ()


def _value(written: str) -> Value | None:
    """What a bare scalar means: a number, a switch, else a plain word; None for anything else."""
    if _WHOLE.fullmatch(written):
        return int(written) if written.lstrip("+-")[:1] != "0" or written.lstrip("+-") == "0" else None
    if _NUMBER.fullmatch(written):
        return float(written)
    if written.lower() in _SWITCH:
        return _SWITCH[written.lower()]
    return written if _PLAIN.fullmatch(written) else None


def _literal(path: tuple[str, ...], start: int, written: str, comment: str, *, words: bool = True) -> Iterator[Literal]:
    """A scalar as a literal. Quotes count as its part, so that a new word is written in the same ones."""
    quoted = len(written) > 1 and written[0] == written[-1] and written[0] in "'\""
    value: Value | None = written[1:-1] if quoted else _value(written)
    if quoted and not _PLAIN.fullmatch(written[1:-1]):
        return
    if value is not None and (words or not isinstance(value, str)):
        yield Literal(_dotted(path), start, start + len(written), value, Place.SETTING, comment)


def _dotted(path: tuple[str, ...]) -> str:
    return "".join(part if part.startswith("[") else f".{part}" for part in path).lstrip(".")


# ---------------------------------------------------------------------------------------------------------------
# JSON, with the comments and trailing commas that people write


_JSON = lazy_pattern(
    r'(?P<space>\s+)|(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<scalar>-?\d[\d.eE+-]*|true|false|null)|(?P<mark>[{}\[\],:])",
    re.DOTALL,
)


def _json(text: str) -> Iterator[Literal]:
    tokens, position = [], 1 if text.startswith("\ufeff") else 0
    while position < len(text):
        match = _JSON.match(text, position)
        if match is None:
            raise ValueError("not JSON")
        if match.lastgroup not in ("space", "comment"):
            tokens.append(match)
        position = match.end()
    found, end = _json_value(tokens, 0, (), 0)
    if end != len(tokens):
        raise ValueError("not one JSON value")
    yield from found


def _json_value(tokens: list[re.Match[str]], at: int, path: tuple[str, ...], depth: int) -> tuple[list[Literal], int]:
    if at >= len(tokens) or depth > DEEPEST:
        raise ValueError("not JSON")
    token = tokens[at]
    if token.lastgroup in ("string", "scalar"):
        return list(_literal(path, token.start(), token[0], "")), at + 1
    close = {"{": "}", "[": "]"}.get(token[0])
    if close is None:
        raise ValueError("not JSON")
    found: list[Literal] = []
    at, index = at + 1, 0
    while at < len(tokens) and tokens[at][0] != close:
        own = f"[{index}]"
        if close == "}":
            if tokens[at].lastgroup != "string" or at + 1 >= len(tokens) or tokens[at + 1][0] != ":":
                raise ValueError("not JSON")
            own, at = tokens[at][0][1:-1], at + 2
        inside, at = _json_value(tokens, at, (*path, own), depth + 1)
        found += inside
        index += 1
        if at < len(tokens) and tokens[at][0] == ",":
            at += 1
        elif at < len(tokens) and tokens[at][0] != close:
            raise ValueError("not JSON")
    if at >= len(tokens):
        raise ValueError("not JSON")
    return found if close == "}" or index <= LONGEST else [], at + 1


# ---------------------------------------------------------------------------------------------------------------
# YAML: block mappings and lists by indentation, flow ones in a line


_YAML_LINE = lazy_pattern(r" *(?P<dashes>(?:- +)*)(?:(?P<key>[\w.$/-]+|\"[^\"]*\"|'[^']*') *:(?= |$))?(?P<rest>.*)")


def _yaml(text: str) -> Iterator[Literal]:
    stack: list[tuple[int, str]] = []  # (indent, key)
    counts: dict[tuple[str, ...], int] = {}
    above: list[str] = []
    block: int | None = None  # the indent of a key whose text follows in lines of its own
    for start, line in _lines(text):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip(" "))
        if block is not None and (not stripped or indent > block):
            continue
        block = None
        if not stripped or stripped.startswith(("#", "---", "...", "%")):
            above = [*above, stripped.strip("# ")] if stripped.startswith("#") else []
            continue
        if line.lstrip(" ").startswith("\t"):
            raise ValueError("YAML has no tabs")
        match = _YAML_LINE.fullmatch(line)
        if match is None:
            continue
        for dash in re.finditer("-", match["dashes"] or ""):
            at = indent + dash.start()
            while stack and stack[-1][0] >= at and not (stack[-1][0] == at and not stack[-1][1].startswith("[")):
                stack.pop()
            parent = tuple(key for _, key in stack)
            counts[parent] = number = counts.get(parent, -1) + 1
            stack.append((at, f"[{number}]"))
        place = indent + len(match["dashes"] or "")
        key = match["key"]
        if key is not None:
            while stack and stack[-1][0] >= place:
                stack.pop()
            stack.append((place, key.strip("'\"")))
        rest, comment = _uncommented(match["rest"])
        said = "\n".join([*above, comment])
        above = []
        if rest.strip()[:1] in ("|", ">"):
            block = place
            continue
        if key is None and not match["dashes"]:
            continue
        path = tuple(own for _, own in stack)
        yield from _flow(path, start + match.start("rest"), rest, said)


def _flow(path: tuple[str, ...], start: int, written: str, comment: str, depth: int = 0) -> Iterator[Literal]:
    """A scalar, or a list or mapping in one line, as YAML, TOML and INI have them."""
    start += len(written) - len(written.lstrip())
    written = written.strip()
    if depth > DEEPEST or not written or written[0] in "&*!|>":
        return
    if written[0] in "[{" and written[-1] == {"[": "]", "{": "}"}[written[0]]:
        parts = list(_split(written[1:-1]))
        if written[0] == "[" and len(parts) > LONGEST:
            return
        for index, (offset, part) in enumerate(parts):
            own, inside = f"[{index}]", part
            if written[0] == "{":
                pair = re.match(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([\w.-]+))\s*[:=]", part)
                if pair is None:
                    continue
                own, inside = next(filter(None, pair.groups()), ""), part[pair.end() :]
                offset += pair.end()
            yield from _flow((*path, own), start + 1 + offset, inside, comment, depth + 1)
        return
    yield from _literal(path, start, written, comment)


def _split(inside: str) -> Iterator[tuple[int, str]]:
    """The parts of a list between its own commas, each with its place."""
    depth, quote, begin = 0, "", 0
    for place, character in enumerate(inside):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 0:
            yield begin, inside[begin:place]
            begin = place + 1
    if inside[begin:].strip():
        yield begin, inside[begin:]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    position = 1 if text.startswith("\ufeff") else 0
    for line in re.split(r"(\r\n|\r|\n)", text[position:]):
        if line not in ("\r\n", "\r", "\n"):
            yield position, line
        position += len(line)


def _uncommented(rest: str, marks: str = "#") -> tuple[str, str]:
    """A line without its comment, and the comment. A mark counts at the start or after a blank, outside of quotes."""
    quote = ""
    for place, character in enumerate(rest):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and not rest[:place].strip(" [{,:=").isalnum():
            quote = character
        elif character in marks and (place == 0 or rest[place - 1] in " \t"):
            return rest[:place], rest[place + 1 :].strip()
    return rest, ""


# ---------------------------------------------------------------------------------------------------------------
# TOML and INI


_TABLE = lazy_pattern(r"\s*(?P<open>\[\[?)\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_PAIR = lazy_pattern(r"\s*(?P<key>[\w.-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[\w-]+)*\s*=(?P<rest>.*)")


def _toml(text: str) -> Iterator[Literal]:
    parsed = tomllib.loads(text.removeprefix("\ufeff"))
    section: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    above: list[str] = []
    quotes = ""
    for start, line in _lines(text):
        if quotes:  # inside of a text of several lines
            quotes = "" if quotes in line else quotes
            continue
        quotes = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
        if table := _TABLE.fullmatch(line):
            name = table["name"]
            section = tuple(part.strip(" '\"") for part in name.split("."))
            if table["open"] == "[[":
                counts[name] = counts.get(name, -1) + 1
                section = (*section, f"[{counts[name]}]")
        elif line.lstrip().startswith("#"):
            above.append(line.strip("# \t"))
            continue
        elif not quotes and (pair := _PAIR.fullmatch(line)):
            rest, comment = _uncommented(pair["rest"])
            path = (*section, *(part.strip(" '\"") for part in pair["key"].split(".")))
            for literal in _flow(path, start + pair.start("rest"), rest, "\n".join([*above, comment])):
                if _same(_looked_up(parsed, literal.name), literal.value):
                    yield literal
        above = []


def _looked_up(parsed: Any, name: str) -> Any:
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", name):
        try:
            parsed = parsed[int(index)] if index else parsed[key]
        except (KeyError, IndexError, TypeError):
            return None
    return parsed


def _same(parsed: Any, value: Value) -> bool:
    return type(parsed) is type(value) and parsed == value


def _ini(text: str) -> Iterator[Literal]:
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=("#", ";"), allow_no_value=True)
    parser.read_string(text.removeprefix("\ufeff"))
    section = ""
    for start, line in _lines(text):
        if table := re.fullmatch(r"\[([^\]]+)\].*", line):
            section = table[1].strip()
        elif pair := re.fullmatch(r"(?P<key>[^\s#;\[=:][^=:]*?)\s*[=:](?P<rest>.*)", line):
            rest, comment = _uncommented(pair["rest"], "#;")
            written = rest.strip()
            if parser.get(section, pair["key"], fallback=None) == written and not written.startswith(("'", '"')):
                begin = start + pair.start("rest") + len(rest) - len(rest.lstrip())
                yield from _literal((section, pair["key"]), begin, written, comment)


CONFIGS: dict[str, Callable[[str], Iterator[Literal]]] = {
    "json": _json, "jsonc": _json, "json5": _json, "yaml": _yaml, "yml": _yaml, "toml": _toml, "ini": _ini, "cfg": _ini,
}  # fmt: skip
