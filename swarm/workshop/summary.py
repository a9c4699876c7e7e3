"""The summary block that a training program prints when it is done."""

from __future__ import annotations

import re

Value = float | int | str | None

_KEY_VALUE = re.compile(r"\s*([A-Za-z_][\w./-]*)\s*:(?:\s+(.*?))?\s*$")
_METRIC = re.compile(r"\s*METRIC\s+([A-Za-z_][\w./-]*)\s*=\s*(\S.*?)\s*$")


def parse_summary(text: str, metric: str) -> dict[str, Value]:
    """The `key: value` lines after the last line that is `---`; {} where there are none.

    Numbers come as int or float ("nan" and "inf" are floats), `n/a` as None, everything else as text. Without a
    block, `METRIC name=number` lines count, and so does the last `metric: value` or `metric=value` line.
    """
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    marks = [number for number, line in enumerate(lines) if line.strip() == "---"]
    if marks:
        return _pairs(lines[marks[-1] + 1 :], _KEY_VALUE)
    lonely = re.compile(rf"\s*({re.escape(metric)})\s*[:=]\s*(\S+)\s*$")
    return {**_pairs(lines, lonely), **_pairs(lines, _METRIC)}


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
