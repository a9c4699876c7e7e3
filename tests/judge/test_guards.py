"""Guards: what they may say, and what breaks them."""

from __future__ import annotations

import math

import pytest

from swarm.judge.guards import Guard, breach, memory_name

BEFORE = [{"memory": 100.0, "steps": 40}, {"memory": 110.0, "steps": 60}]


@pytest.mark.parametrize(
    ("text", "kept", "broken"),
    [
        ("+10%", 115.5, 115.6),
        ("-10%", 94.5, 94.4),
        ("<= 60", 60, 60.1),
        (">=1e2", 100, 99.9),
        (" +0% ", 105, 105.1),
    ],
)
def test_bounds(text: str, kept: float, broken: float) -> None:
    assert breach({"memory": text}, [{"memory": kept}], BEFORE) == ""
    told = breach({"memory": text}, [{"memory": broken}], BEFORE)
    assert told.startswith(f"guard: memory is {broken:.6g}, and must be within {text.strip()}")


@pytest.mark.parametrize(
    ("before", "text", "kept", "broken"),
    [
        (-10.0, "+10%", -9.0, -8.9),
        (-10.0, "-5%", -10.5, -10.6),
        (0.0, "+10%", 0.0, 0.001),
        (0.0, "-10%", 0.0, -0.001),
    ],
)
def test_a_share_of_what_is_negative_or_zero(before: float, text: str, kept: float, broken: float) -> None:
    untouched = [{"drawdown": before}]
    assert breach({"drawdown": text}, untouched, untouched) == "", "the untouched code is within its own bounds"
    assert breach({"drawdown": text}, [{"drawdown": kept}], untouched) == ""
    assert breach({"drawdown": text}, [{"drawdown": broken}], untouched)


def test_the_mean_of_the_runs_counts() -> None:
    guards = {"memory": "<= 10"}
    assert breach(guards, [{"memory": 8}, {"memory": 12}], []) == ""
    assert breach(guards, [{"memory": 8}, {"memory": 13}], [])


@pytest.mark.parametrize("value", [None, "big", math.nan])
def test_a_number_that_is_missing(value: object) -> None:
    assert "no number for correct" in breach({"correct": ">= 1"}, [{"correct": value}], [])
    assert "no number for correct" in breach({"correct": "+5%"}, [{}], [{"correct": 1}])
    assert breach({"correct": "+5%"}, [{"correct": value}], [{}]) == ""  # nobody ever measured it


def test_the_first_of_several_is_told() -> None:
    guards = {"steps": "-50%", "memory": "+10%"}
    assert breach(guards, [{"steps": 40, "memory": 100}], BEFORE) == ""
    assert "memory" in breach(guards, [{"steps": 40, "memory": 200}], BEFORE)


@pytest.mark.parametrize("text", ["", "10%", "+10", "< 5", "<= five", "+-3%", "<= 1 or so"])
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(ValueError, match='is no bound: write "<= 60"'):
        Guard.parse("memory", text)


@pytest.mark.parametrize(
    "name, what",
    [
        ("peak_vram_mb", ("vram", "mb")),
        ("memory_gb", ("memory", "gb")),
        ("peak_rss_MB", ("rss", "mb")),
        ("max_gpu_memory_used_gib", ("memory", "gib")),
        ("eval_seconds", ("", "")),
        ("memory_tokens", ("", "")),
        ("vram_mbps", ("", "")),
    ],
)
def test_peaks_of_memory_are_known_by_name_and_unit(name: str, what: tuple[str, str]) -> None:
    assert memory_name(name) == what


def test_a_peak_that_was_only_printed_is_called_that() -> None:
    line = breach({"memory_gb": "<= 1"}, [{"memory_gb": 2.0}], [])
    assert line == "guard: memory_gb is 2, and must be within <= 1 (as the run printed it: nothing measured it here)"
    assert breach({"memory_gb": "<= 1"}, [{"memory_gb": 2.0}], [], ["memory_gb"]).endswith("<= 1")
