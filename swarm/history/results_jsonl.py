"""Reads autoresearch.jsonl files: lines that say which metric is measured and which way is better, and a line for each
experiment. Nothing here raises for what the file holds. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from swarm.history.earlier import Aside, Doubt, Row, column, described, number_of, status_of
from swarm.project.directions import read_direction

_METRIC = ("metricName", "metric_name", "metric")  # of a configuration
_VALUE = ("metric", "metric_value", "value", "score")  # of an experiment
_DESCRIPTION = ("description", "change", "idea", "hypothesis", "title", "name", "notes")
_COMMIT = ("commit", "commit_after", "sha", "run_id", "run", "iter", "id")
_OTHERS = ("event", "hook", "note")  # types of lines about something else

Line = Mapping[str, Any]


def read_lines(text: str, metric: str) -> tuple[tuple[Row, ...], tuple[Aside, ...]]:
    """The experiments that are certain, and the lines that are not; lines about something else are neither."""
    rows: list[Row] = []
    aside: list[Aside] = []
    seen: dict[tuple[object, ...], int] = {}
    ideas: dict[str, str] = {}  # of experiments whose outcome follows in a line of its own
    measured, block = "", 0
    for number, raw in _lines(text):
        try:
            line = _parsed(raw)
            if (config := _config(line)) is not None:
                measured, block = _first(config, _METRIC), block + 1
                continue
            if line.get("kind") == "run":
                ideas[str(line.get("id"))] = _first(line, _DESCRIPTION)
            if line.get("type") in _OTHERS or line.get("kind") == "run":
                continue
            row = _row(number, line, measured, metric, ideas, block)
            same = seen.setdefault((row.commit, row.value, row.status, row.description), number)
            if same != number:
                raise Doubt(f"the same as line {same}")
            rows.append(row)
        except Doubt as doubt:
            aside.append(Aside(number, raw[:200], str(doubt)))
    return tuple(rows), tuple(aside)


def metrics_of_lines(text: str) -> dict[str, str]:
    """The metrics that the file measures, each with its direction: "lower", "higher" or "" where it is not said."""
    found: dict[str, str] = {}
    for line in _readable(text):
        config = _config(line)
        if config is not None and (name := _first(config, _METRIC)):
            found[name] = read_direction(_first(config, ("bestDirection", "direction"))) or ""
        elif config is None:
            inner = line.get("metrics")
            own = {name: value for name, value in line.items() if not found and name not in (*_VALUE, *_COMMIT)}
            for name, value in {**own, **(inner if isinstance(inner, dict) else {})}.items():
                if number_of(value) is not None:
                    found.setdefault(str(name), "")
    return found


def goals_of_lines(text: str) -> tuple[str, ...]:
    """The metrics that lines of configuration say are optimised, of those with an experiment below: beside such a one
    the others are only told."""
    goals, configured = dict[str, None](), ""
    for line in _readable(text):
        config = _config(line)
        if config is not None:
            configured = _first(config, _METRIC)
        elif configured:
            goals[configured] = None
    return tuple(goals)


def _readable(text: str) -> Iterator[Line]:
    """The lines that can be read, without those that cannot."""
    for _, raw in _lines(text):
        with suppress(Doubt):
            yield _parsed(raw)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _parsed(raw: str) -> Line:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Doubt("not a line of JSON") from error
    if not isinstance(line, dict):
        raise Doubt("not an object")
    return line


def _config(line: Line) -> Line | None:
    """What a line of configuration says; None where it is no such line."""
    inner = line.get("config")
    if isinstance(inner, dict):
        return inner
    return line if line.get("type") == "config" or "metricName" in line else None


def _row(number: int, line: Line, measured: str, metric: str, ideas: Mapping[str, str], block: int) -> Row:
    said = next((line[key] for key in ("status", "keep", "kept", "decision", "outcome") if key in line), None)
    if said is None:
        raise Doubt("no status: not an experiment")
    if measured and column(metric) != column(measured) and column(metric) not in _named(line):
        raise Doubt(f"it measures {measured}, not {metric}")
    status = ("keep" if said else "discard") if isinstance(said, bool) else status_of(str(said))
    description = described(_first(line, _DESCRIPTION) or ideas.get(str(line.get("run_id")), ""))
    value = None if status == "crash" else _value(line, measured, metric)
    return Row(number, _first(line, _COMMIT)[:40], value, _memory(line), status, description, block)


def _value(line: Line, measured: str, metric: str) -> float:
    named = _named(line)
    if column(metric) == column(measured):
        given = next((line[key] for key in _VALUE if key in line), named.get(column(metric)))
    elif column(metric) in named:
        given = named[column(metric)]
    else:
        raise Doubt(f"no {metric}")
    value = number_of(given)
    if value is None:
        raise Doubt(f"without a number: {str(given)[:40]!r}")
    return value


def _named(line: Line) -> dict[str, object]:
    """The values of a line by the names that they have there, and not by those that every such file has."""
    inner = line.get("metrics")
    both = {**line, **(inner if isinstance(inner, dict) else {})}
    return {column(str(name)): value for name, value in both.items() if name not in _VALUE or name == "score"}


def _memory(line: Line) -> float | None:
    inner = line.get("metrics")
    memory = number_of(inner.get("peak_vram_mb")) if isinstance(inner, dict) else None
    return memory if memory and memory > 0 else None


def _first(line: Line, keys: tuple[str, ...]) -> str:
    """The first of these keys that holds something, as text; ""."""
    return next(
        (str(line[key]) for key in keys if line.get(key) not in (None, "") and not isinstance(line[key], (dict, list))),
        "",
    )
