"""Parses the summary block that a training program prints when it is done, in all the forms that are in use."""

from __future__ import annotations

import re

from swarm.execution.logs import clean

Value = float | int | str | None

_KEY_VALUE = re.compile(r"\s*([A-Za-z_][\w./-]*)\s*:(?:\s+(.*?))?\s*$")
_METRIC = re.compile(r"\s*METRIC\s+([A-Za-z_][\w./-]*)\s*=\s*(\S.*?)\s*$")
_WITH_UNIT = re.compile(r"([+-]?(?:\d+(?:[_,]\d{3})+|\d+)?\.?\d*(?:[eE][+-]?\d+)?)\s*(?:%|[A-Za-z(/].*)?")


def parse_summary(text: str, metric: str) -> dict[str, Value]:
    """The values that were printed at the end, by name; {} where there are none.

    That is the `key: value` lines after the last line that is `---`, and the `METRIC name=number` lines. Where the
    metric is not among them, the last `metric: number` or `metric=number` anywhere counts, also inside a line. Numbers
    come as int or float ("nan" and "inf" are floats), `n/a` as None, everything else as text; the metric is also read
    where a unit follows it.
    """
    lines = clean(text).split("\n")
    marks = [number for number, line in enumerate(lines) if line.strip() == "---"]
    values = {**_pairs(lines[marks[-1] + 1 :] if marks else [], _KEY_VALUE), **_pairs(lines, _METRIC)}
    if isinstance(values.get(metric, ""), str):
        inside = re.compile(rf"(?<![\w./-]){re.escape(metric)}\s*[:=]\s*(\S+(?:\s*%)?)")
        named = [match[1] for line in lines for match in inside.finditer(line)]
        candidates = [values[metric]] if metric in values else []
        numbers = [number for text in (*named, *candidates) if (number := number_of(text)) is not None]
        if numbers:
            values[metric] = numbers[-1]
    return values


def number_of(value: Value) -> float | int | None:
    """A number with or without a unit (`45060.2 MB`, `88.1%`, `1,234`); None for what is none."""
    if value is None or isinstance(value, int | float):
        return value
    plain = value.strip().rstrip(",;|")
    match = _WITH_UNIT.fullmatch(plain)
    for text in (plain, re.sub(r"[,_]", "", match[1]) if match else ""):
        if isinstance(number := _value(text), int | float):
            return number
    return None


def _pairs(lines: list[str], pattern: re.Pattern[str]) -> dict[str, Value]:
    matches = (pattern.match(line) for line in lines)
    return {match[1]: _value(match[2] or "") for match in matches if match}


def _value(text: str) -> Value:
    if text.lower() == "n/a":
        return None
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
