"""Switches, words and members of enumerations in a language of braces, where the file shows what else may stand there.

What else: the words that the same name is compared with, the cases of a switch over it, its type in TypeScript, or the
members of the enumeration. What a comment lists (`// adam | sgd`) is for whoever asks for the rule of a literal.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from swarm.researchers.sweep.literals import Literal, Place

_QUOTES = ('"', "'", "`")
_WORD = r"(?:\"[\w.+-]{1,30}\"|'[\w.+-]{1,30}')"
_NAMED = r"(?<![\w$.])(?P<name>[A-Za-z_$][\w$]*)"
_TYPE = r"(?:\s*:(?P<type>(?:[^=;,:{}()\n]|::){0,200}?))?"  # `: "a" | "b"`, `: Mode`, `: &str`
_DONE = r"(?=\s*(?:[;,)}\n]|$))"
_SWITCH = re.compile(rf"{_NAMED}{_TYPE}\s*(?P<sign>[:=])\s*(?P<value>true|false){_DONE}")
_SET = re.compile(rf"{_NAMED}{_TYPE}\s*(?P<sign>[:=])\s*(?P<value>{_WORD})(?:\s*\.\s*\w+\(\))?{_DONE}")
_STORE = re.compile(r"(?<![\w$.])([A-Za-z_$][\w$]*)\s*=(?![=>])")
_COMPARED = re.compile(rf"([A-Za-z_$][\w$]*)(?:\(\))?\s*(?:[=!]==?|\.equals\()\s*({_WORD})")
_CHOSEN = re.compile(r"\b(?:switch|match|when)\s*\(?\s*[\w$.]*?([A-Za-z_$][\w$]*)(?:\.as_str\(\)|\(\))?\s*\)?\s*\{")
_CASE = re.compile(rf"(?:\bcase\s+|[{{,\n]\s*)({_WORD})\s*(?::|=>|->)")
_ALIAS = re.compile(rf"\btype\s+(\w+)\s*=((?:\s*\|?\s*{_WORD})+)")
_ENUM = re.compile(r"\benum\s+(?:class\s+|struct\s+)?([A-Za-z_]\w*)[^{};()]*\{([^{}()]*)\}")


def read_words(
    text: str, code: str, hidden: re.Pattern[str], remark: Callable[[int], str], declared: frozenset[str]
) -> Iterator[Literal]:
    """`code` is `text` without comments and strings, `hidden` finds those; `remark` tells what is said beside a place,
    and `declared` are the words that begin a declaration that stays."""
    matches = list(hidden.finditer(text))
    quoted = {match.start() for match in matches if match[0][:1] in _QUOTES}
    visible = _without_comments(text, matches)
    stores = Counter(_STORE.findall(code))
    for match in _SWITCH.finditer(code):
        if stores[match["name"]] <= 1:
            yield _literal(match, match["value"] == "true", _place(match, code, declared), remark)
    shown = _shown(visible)
    unions = {name: _words(said) for name, said in _ALIAS.findall(visible)}
    for match in _SET.finditer(visible):
        name, kind = match["name"], (match["type"] or "").strip()
        if match.start("value") not in quoted or stores[name] > 1:
            continue
        own = match["value"][1:-1]
        known = [*shown.get(name, ()), *unions.get(kind, ()), *(_words(kind) if "|" in kind else ())]
        choices = tuple(dict.fromkeys([*known, own]))
        yield _literal(match, own, Place.SETTING, remark, choices if len(choices) > 1 else ())
    yield from _members(code, stores, remark)


def _members(code: str, stores: Counter[str], remark: Callable[[int], str]) -> Iterator[Literal]:
    """`mode = Mode::Fast`, with the other members of an enumeration that stands in this file."""
    for kind, body in _ENUM.findall(code):
        plain = re.sub(r"\bcase\b|#\[[^\]]*\]", " ", body.partition(";")[0])
        members = tuple(dict.fromkeys(re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)\s*(?==[^,]*|,|$)", plain)))
        if len(members) < 2:
            continue
        used = re.compile(rf"{_NAMED}{_TYPE}\s*(?P<sign>[:=])\s*{kind}(?:::|\.)(?P<value>{'|'.join(members)}){_DONE}")
        for match in used.finditer(code):
            if stores[match["name"]] <= 1:
                yield _literal(match, match["value"], Place.SETTING, remark, members)


def _shown(visible: str) -> dict[str, list[str]]:
    """The words that each name is compared with, if there are several."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, word in _COMPARED.findall(visible):
        found[name].append(word[1:-1])
    for match in _CHOSEN.finditer(visible):
        block = _block(visible, match.end())
        found[match[1]] += [word[1:-1] for word in _CASE.findall("\n" + block)]
    return {name: words for name, words in found.items() if len(set(words)) > 1}


def _block(code: str, start: int) -> str:
    """What stands between the brace that ends before `start` and its own."""
    depth = 1
    for match in re.finditer(r"[{}]", code[start:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return code[start : start + match.start()]
    return ""


def _words(said: str) -> list[str]:
    return [word[1:-1] for word in re.findall(_WORD, said)]


def _place(match: re.Match[str], code: str, declared: frozenset[str]) -> Place:
    """A constant, or an entry of a table, is a setting; a variable in the middle of a function is none."""
    line = code[code.rfind("\n", 0, match.start()) + 1 : match.start()]
    outside = not line[:1].isspace() and bool(declared.intersection(line.split()))
    if match["name"].isupper() or match["sign"] == ":" or outside:
        return Place.SETTING
    return Place.DETAIL


def _literal(
    match: re.Match[str], value: bool | str, place: Place, remark: Callable[[int], str], choices: tuple[str, ...] = ()
) -> Literal:
    start, end = match.span("value")
    return Literal(match["name"], start, end, value, place, remark(end), choices)


def _without_comments(text: str, matches: list[re.Match[str]]) -> str:
    parts, position = [], 0
    for match in matches:
        kept = match[0] if match[0][:1] in _QUOTES else re.sub(r"[^\r\n]", " ", match[0])
        parts += [text[position : match.start()], kept]
        position = match.end()
    return "".join([*parts, text[position:]])
