"""The files of pi-autoresearch: how its script is run, what its journal calls the metric, where its work is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.project.autoresearch_files import (
    CONFIG,
    JOURNAL,
    SCRIPT,
    Segment,
    candidates_in,
    script_command,
    segment_of,
    ways_to_run,
    working_folder,
)


@pytest.mark.parametrize(
    ("first", "runner"),
    [
        ("#!/bin/bash", "bash"),
        ("#!/usr/bin/env bash", "bash"),
        ("set -e", "bash"),
        ("#!/usr/bin/env python3", "{python}"),
        ("#!/usr/bin/env -S python", "{python}"),
    ],
)
def test_the_first_line_says_what_runs_it(tmp_path: Path, first: str, runner: str) -> None:
    (tmp_path / SCRIPT).write_text(f"{first}\n")
    assert script_command(tmp_path) == (runner, SCRIPT)


@pytest.mark.parametrize(
    ("notes", "ways"),
    [
        ("`./autoresearch.sh` — prints METRIC lines", [SCRIPT]),
        ("```\nbash autoresearch.sh\n```\n`./autoresearch.sh`", [SCRIPT]),
        ("```\nMODE=full ./autoresearch.sh --all\n```", [f"MODE=full {SCRIPT} --all"]),
        ("Edit autoresearch.sh at will.", []),
    ],
)
def test_the_ways_to_run_it(notes: str, ways: list[str]) -> None:
    assert ways_to_run(notes) == ways


def test_the_newest_segment_counts(tmp_path: Path) -> None:
    rows = [
        {"type": "config", "name": "speed", "metricName": "total_ms", "bestDirection": "lower"},
        {"run": 1, "metric": 3.0, "description": 'not a "config"'},
        {"type": "config", "name": "quality", "metricName": "fit", "bestDirection": "higher"},
    ]
    (tmp_path / JOURNAL).write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"type": "config", "half')
    assert segment_of(tmp_path) == Segment("fit", "higher")
    (tmp_path / JOURNAL).write_text('{"type": "config", "metricName": "fit", "bestDirection": "up"}')
    assert segment_of(tmp_path) == Segment("fit", None)


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        ({"workingDir": "packages/a"}, "packages/a"),
        ({"workingDir": "."}, None),
        ({"workingDir": "/home/someone/else"}, None),
        ({"workingDir": "../elsewhere"}, None),
        ({"workingDir": "packages/none"}, None),
        ({"workingDir": 3}, None),
        ({"maxIterations": 20}, None),
        ([], None),
    ],
)
def test_another_folder_of_the_repository(tmp_path: Path, config: object, folder: str | None) -> None:
    (tmp_path / "packages" / "a").mkdir(parents=True)
    (tmp_path / CONFIG).write_text(json.dumps(config))
    assert working_folder(tmp_path) == folder


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ('PREDICTOR_PATH="${PREDICTOR_PATH:-sub/a.py}"\nTEST_PATH="${TEST_PATH:-b.py}"\n', ["sub/a.py"]),
        ("export CANDIDATE=sub/a.py\npython b.py\n", ["sub/a.py"]),
        ("python b.py --solution sub/a.py --out c.txt\n", ["sub/a.py"]),
        ("# Files in scope: `sub/a.py`. Do not modify `b.py`.\npython b.py\n", ["sub/a.py"]),
        ("CANDIDATE=gone.py\nMY_SUBMISSION=../b.py\n", []),
        ("python b.py sub/a.py\n", []),
    ],
)
def test_what_the_script_itself_calls_the_candidate(tmp_path: Path, script: str, named: list[str]) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.py", "b.py"):
        (tmp_path / name).write_text("")
    (tmp_path / SCRIPT).write_text(script)
    assert candidates_in(tmp_path) == named


@given(st.binary(max_size=80), st.sampled_from(["", '{"type": "config", "metricName": ', '{"workingDir": "', "#!"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_can_be_read(tmp_path: Path, content: bytes, start: str) -> None:
    for name in (SCRIPT, JOURNAL, CONFIG):
        (tmp_path / name).write_bytes(start.encode() + content)
    script_command(tmp_path), segment_of(tmp_path), working_folder(tmp_path), candidates_in(tmp_path)
