"""Markdown building blocks; text written by agents is escaped, so it makes no tag, image, table cell or heading."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from swarm.wording.formatting import UNKNOWN, clean, clean_block

_SPECIAL = re.compile(r"([\\`*{}\[\]<|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")  # val_bpb needs no escape


def escape(text: str) -> str:
    """`text` on one line, to be read as it is."""
    return _SPECIAL.sub(r"\\\1", clean(text))


def code(text: str) -> str:
    """`text` on one line as code; backticks cannot be escaped there and become quotes."""
    return "`" + clean(text).replace("`", "'") + "`"


def fenced(text: str, language: str, most_lines: int = 200) -> str:
    """`text` as a code block that it cannot end, cut after `most_lines` lines."""
    lines = clean_block(text).strip("\n").split("\n")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    cut = [f"... {len(lines) - most_lines} more lines"] if len(lines) > most_lines else []
    return "\n".join([fence + language, *lines[:most_lines], *cut, fence])


def table(rows: Sequence[Mapping[Any, object]]) -> str:
    """Rows of cells by heading, all with the same headings, as a table; "" where there is none. Columns of numbers
    stand right. Cells are Markdown already; what is not known is "–"."""
    if not rows:
        return ""
    headings = list(rows[0])
    right = [all(isinstance(row[heading], (int, float)) for row in rows) for heading in headings]
    marks = ["--:" if number else ":--" for number in right]
    lines = [headings, marks, *([row[heading] for heading in headings] for row in rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return UNKNOWN if value is None or value != value else str(value)  # NaN is not itself
