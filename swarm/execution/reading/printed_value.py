"""Reads the value that a name is given in the output of a program: what is certain becomes a number, the rest a fault.

A name followed by `:` or `=` says a value, whatever follows. Without these (a blank, an arrow, the next cell of a
table) only what looks like a value counts: a name in prose is none. Pure functions that look at one place each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swarm import foreign
from swarm.text import lazy_pattern

Value = float | int | str | None

WINDOW = 240  # characters after a name in which its value is looked for
CELL = "|│┃║¦"
QUALIFIERS = frozenset(  # words that make another quantity of the name beside them
    re.findall(
        r"\w+",
        """best worst max maximum min minimum highest lowest peak train training val valid validation eval evaluation
        dev test holdout ema smoothed running baseline base previous prev old original initial init start target goal
        required threshold expected reference ref random std stddev stdev stderr se var variance delta diff change
        improvement gain relative normalized micro macro weighted""",
    )
)

VALUES = frozenset(("none", "null", "nil", "n/a", "nan", "inf", "infinity", "true", "false"))  # words that name nothing

_NUMBER = (
    r"[+\-−]?(?:[0-9]++(?:[,_'’][0-9]++)*+(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+\-−]?[0-9]++)?+"
    r"|[+\-−]?(?:nan|inf(?:inity)?)(?!\w)"
)
_UNIT = (
    r"(?:%|‰|°[CF]?|[mnuµ]?s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|[kKMGT]i?[Bb](?:/s|ps)?|bytes?|bits?|bp[bcd]"
    r"|nats?|dB|ppl|px|pts?|pp|x|[kMG]?Hz|fps|it/s|s/it|tok(?:en)?s?/s(?:ec)?|ops(?:/s)?|[kMGTP]?FLOPS?|[mk]?W"
    r"|/(?:s|sec|min|h|it|step|epoch|byte))(?!\w)"
)
_QUOTES = r"""(?:\\?["'`]|\*{1,2})"""
_ASIDE = r"\((?P<{0}>[^()\n]{{1,40}})\)|\[(?P<{1}>[^][\n]{{1,40}})\]"
_STRONG = lazy_pattern(
    rf"(?:{_QUOTES}|[\])]){{0,3}}[ \t\xa0]*(?:{_ASIDE.format('round', 'square')})?"
    rf"{_QUOTES}{{0,2}}[ \t\xa0]*(?::=|[:=：](?![:=>~])){_QUOTES}{{0,2}}[ \t\xa0]*"
)
_WEAK = lazy_pattern(
    rf"(?:{_QUOTES}|[\])]){{0,3}}[ \t\xa0]*(?:(?P<cell>(?:[{CELL}][ \t\xa0]*[↑↓]?[ \t\xa0]*){{1,3}})"
    r"|(?:->|-->|=>|→|⇒|\.{2,}+|-{3,}+|(?:is|of|now)[ \t]+|(?<=[\"']),)[ \t\xa0]*|(?P<blank>(?<=[ \t\xa0]))"
    r"|(?=[(\[]))"
)
_OPENING = lazy_pattern(
    rf"{_QUOTES}{{0,3}}[$€£]?(?P<bracket>(?:(?:\w{{1,20}}\.){{0,3}}"
    r"(?:[Tt]ensor|[Aa]rray|DeviceArray|b?float\d*|double|u?int\d*|Decimal|Some|Ok|scalar)\(|[(\[])[(\[]*"
    r"|<tf\.Tensor:[^<>\n]{0,80}numpy=)?[\"']?"
)
_SHOWN = 60  # characters of a value that is no number
_TOKEN = lazy_pattern(rf"(?P<number>{_NUMBER})", re.IGNORECASE)
_MISSING = lazy_pattern(r"(?:n/?a|none|null|nil)(?!\w)", re.IGNORECASE)
_FAILED = lazy_pattern(r"(?:n/?a|none|null|nil|fail(?:ed)?|error|crash(?:ed)?|oom)(?!\w)|(?:-{1,3}|—)(?!\w)", re.I)
_NO_VALUE_WORD = lazy_pattern(r"n/a(?!\w)", re.IGNORECASE)
_UNIT_HERE = lazy_pattern(_UNIT)
_ATTACHED = lazy_pattern(  # what may stand directly behind a number, beside a unit
    r"""(?:$|[ \t\xa0]|±|\+/?-|[)\]}}|"'`;!(>]|\*(?!\d)|[.,](?!\w)|:(?![^\s])|</?[a-z]|\\[nrt"'])"""
    r"|[^\x00-\x7f\w]"
)
_SECOND = lazy_pattern(  # a second number, of which the first is only a part
    r"[ \t\xa0]*(?:(?:->|→|=>|to|vs\.?|versus|or|out of|of|[/–—×x*])[ \t\xa0]+)?[+\-−]?\.?[0-9]"
    r"|[ \t\xa0]*(?:h|hrs?|hours?|min|mins|minutes?)[ \t,]*[0-9]|[ \t]*(?:->|→|=>)"
)
_MULTIPLIER = lazy_pattern(r"[ \t\xa0]?(?:[kKMBGTm](?!\w)|(?:thousand|million|billion)s?(?!\w))")
_INSIDE = lazy_pattern(rf"[\"']?[ \t]*(?:{_UNIT})?[ \t]*(?:[)\]}}>]|±|\+/?-|,[ \t]*[A-Za-z_]\w*[ \t]*=)")
_COUNTED = lazy_pattern(  # what follows a whole number that is a value, where only a blank leads to it
    rf"(?:{_UNIT})?[ \t]*(?:$|[,;)\]}}(\[±*\"'`{CELL}]|[^\w\s]|{_UNIT}|[A-Za-z_][\w./-]*[ \t]*[:=]?[ \t]*[+-]?\.?[0-9])"
)
_GROUPED = lazy_pattern(r"[+\-−]?(?:[1-9][0-9]{0,2}(?P<mark>[,_'’])[0-9]{3}(?:(?P=mark)[0-9]{3})*+)(?P<rest>\.[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Said:
    """What a name is said to be: a number, None for `n/a`, or else its text, with the `fault` that says why."""

    value: Value
    fault: str = ""


def said_at(text: str, place: int) -> Said | None:
    """What is said of the name that ends at `place`; None where nothing is, as in prose."""
    end = text.find("\n", place, place + WINDOW)
    line = text[place:end] if end >= 0 else _cut(text, place)
    if strong := _STRONG.match(line):
        aside = strong["round"] or strong["square"] or ""
        if QUALIFIERS & set(re.findall(r"[a-z]+", aside.lower())):
            return None  # of `acc (best): 0.9` the name is another one
        rest = line[strong.end() :]
        return read_value(rest) if rest.strip() else _next_line(text, end)
    weak = _WEAK.match(line)
    if weak is None:
        return None
    rest = line[weak.end() :]
    opening = _OPENING.match(rest)
    token = _TOKEN.match(rest, opening.end() if opening else 0)
    if token is None:
        words = _FAILED if weak["cell"] else _NO_VALUE_WORD
        return Said(None, "it has no value") if words.match(rest) else None
    if weak["blank"] is not None and _is_counted(token["number"]) and not _COUNTED.match(rest, token.end()):
        return None
    if weak["cell"] and re.match(rf"[ \t]*[{CELL}][ \t]*[+-]?\.?[0-9]", rest[token.end() :]):
        return _fault(rest, "is more than one number")
    return read_value(rest)


def read_value(text: str) -> Said:
    """What stands at the start of `text` as a value: a number in one of the forms that programs print."""
    opening = _OPENING.match(text)
    start = opening.end() if opening else 0
    token = _TOKEN.match(text, start)
    if token is None:
        if _MISSING.match(text, start):
            return Said(None, "it has no value")
        return _fault(text, "is no number") if text.strip() else Said("", "nothing follows it")
    end = token.end()
    if opening and opening["bracket"] and not _INSIDE.match(text, end):
        return _fault(text, "is more than one number")
    if _MULTIPLIER.match(text, end):
        return _fault(text, "is shortened: print the whole number")
    unit = _UNIT_HERE.match(text, end)
    if unit is None and not _ATTACHED.match(text, end):
        return _fault(text, "is no number")
    if _SECOND.match(text, unit.end() if unit else end):
        return _fault(text, "is more than one number")
    number = _number(token["number"])
    return _fault(text, "may have a decimal comma: print a decimal point") if number is None else Said(number)


def _number(token: str) -> float | int | None:
    """The number; None where its commas may be decimal ones. Only `1,234.5` and `1,234,567` group thousands surely."""
    if re.search("[,_'’]", token):
        grouped = _GROUPED.fullmatch(token)
        if grouped is None or (grouped["mark"] == "," and token.count(",") == 1 and not grouped["rest"]):
            return None
        token = re.sub("[,_'’]", "", token)
    token = token.replace("−", "-")
    if re.fullmatch(r"[+-]?[0-9]{1,15}", token):
        return int(token)
    return foreign.number(float(token))


def _cut(text: str, place: int) -> str:
    """The start of a long line, so that no number at its end can be taken for a whole one."""
    line = text[place : place + WINDOW]
    return line if len(line) < WINDOW else line + "?"


def _is_counted(token: str) -> bool:
    return token.lstrip("+-").isdigit()


def _next_line(text: str, end: int) -> Said:
    """The value of a name that ends its line: a number alone on the next one."""
    if end >= 0:
        after = text.find("\n", end + 1, end + WINDOW)
        line = text[end + 1 : after if after >= 0 else end + WINDOW].strip()
        if re.fullmatch(_NUMBER, line, re.IGNORECASE):
            return read_value(line)
    return Said("", "nothing follows it")


def _fault(text: str, what: str) -> Said:
    shown = text.strip()[:_SHOWN]
    return Said(shown, f"{shown!r} {what}")
