"""Times as people write them, on every flag that is one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import cli
from swarm.errors import UsageError
from swarm.project.durations import Unit, read_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("8h", 28800),
        ("1d", 86400),
        ("1h30m", 5400),
        ("0.5h", 1800),
        (" 2m ", 120),
    ],
)
def test_a_time(text: str, seconds: float) -> None:
    assert read_duration(text, "--wait") == seconds
    assert read_duration(text, "--hours", Unit.HOURS) == seconds / 3600


@pytest.mark.parametrize("value", [8, 8.0, "8", "8.0", "8e0"])
def test_a_bare_number_is_in_the_unit(value: Any) -> None:
    assert read_duration(value, "--hours", Unit.HOURS) == read_duration(value, "--wait") == 8.0


@pytest.mark.parametrize(
    "value", ["", "soon", "5 m", "5min", "h", "m5", "-5m", "5m-", "1h 30m", True, None, [5], 10**400]
)
def test_what_is_no_time_is_named(value: Any) -> None:
    with pytest.raises(UsageError) as said:
        read_duration(value, "--budget")
    wanted = "--budget must be a time such as 90s, 15m or 8h, or a number of seconds, not "
    assert str(said.value) == wanted + f"{value!r:.80}"


@given(st.floats(0.001, 1e7), st.sampled_from(Unit))
def test_what_is_written_is_read_again(value: float, unit: Unit) -> None:
    written = write_duration(value, unit)
    assert math.isclose(read_duration(written, "x", unit) * unit.value, value * unit.value, abs_tol=0.0006), written


@pytest.mark.parametrize(
    ("verb", "name", "seconds"),
    [
        ("bench", "budget", 300.0),
        ("bench", "think", 300.0),
        ("simulate", "budget", 300.0),
        ("simulate", "think", 300.0),
        ("simulate", "hours", 300 / 3600),
        ("confirm champion", "wait", 300.0),
    ],
)
def test_every_flag_that_is_a_time(verb: str, name: str, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    def parsed(text: str) -> float:
        return getattr(cli.parser().parse_args([*verb.split(), f"--{name}", text]), name)

    assert (parsed("5m"), parsed("2.5")) == (seconds, 2.5)
    assert cli.main([*verb.split(), f"--{name}", "soon"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"swarm: --{name} must be a time such as 90s, 15m or 8h, or") and printed.count("\n") == 1


@pytest.mark.parametrize("name", ["hours", "budget", "think", "think-limit", "wait"])
def test_launch_names_the_flag(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert cli.main(["launch", "-C", str(tmp_path), f"--{name}", "soon"]) == 2
    assert capsys.readouterr().err.startswith(f"swarm: --{name} must be a time such as 90s, 15m or 8h, or a number of")


def test_defaults_are_times_too() -> None:
    options = vars(cli.parser().parse_args(["bench"]))
    assert (options["budget"], options["think"]) == (4.0, 0.0)
    assert cli.parser().parse_args(["confirm", "champion"]).wait == 900.0
