"""What the untouched code took on a slot: of its starts the median counts, of all else the most."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from swarm.execution.known_times import REMEMBERED, KnownTimes
from swarm.execution.slot import END, READING, START, TOOK
from swarm.execution.spec import RESULT, Result, Spec, Step, StepResult, write_whole

READ = {
    "reader_load": 0.1, "reader_first": 0.4, "reader_calls": 1.2, "reader_usual": 1.2, "readers": "sealed",
    "seconds_within": 20.0, "loaded_tokens": 400_000,
}  # fmt: skip


def ran(folder: Path, start: float, end: float = 0.2) -> Path:
    """A guard's folder after a run of the untouched code on a CPU."""
    folder.mkdir(exist_ok=True)
    Spec("t.1", 1, [Step("trainer", ["x"], "/", {}, "/log", wall=60.0, cpu=60.0)], "/", "/").write(folder)
    took: dict[str, Any] = {"start": start, "start_cpu": start, "last": start + 2.0, "last_cpu": start + 2.0}
    step = StepResult("trainer", "x", 0.0, 30.0 + start, exit=0, cpu_seconds=start + 2.0 + end, **took)
    write_whole(folder / RESULT, asdict(Result("t.1", 1, (step,))))
    return folder


def test_one_slow_start_buys_nobody_time(tmp_path: Path) -> None:
    own = tmp_path / "gpu0"
    own.mkdir()
    times = KnownTimes(own)
    assert times.overhead() is None
    for start, end in ((2.0, 0.2), (2.2, 0.5), (9.0, 0.1)):
        times.note(ran(tmp_path / "guard", start, end))
    found = times.overhead()
    assert found and found.start == pytest.approx(2.2) and found.end == pytest.approx(0.5)
    assert times.known(TOOK) == pytest.approx(39.0), "a limit is as far as the longest run"
    for _ in range(3 * REMEMBERED):
        times.note(ran(tmp_path / "guard", 3.0))
    assert times.known(START) == pytest.approx(3.0) and times.known(TOOK) == pytest.approx(33.0)


def test_a_slot_without_runs_of_its_own_takes_what_others_took(tmp_path: Path) -> None:
    for name, start in (("gpu0", 2.0), ("gpu1", 2.4), ("gpu2", 7.0)):
        (tmp_path / name).mkdir()
        KnownTimes(tmp_path / name).note(ran(tmp_path / "guard", start))
    (tmp_path / "gpu3").mkdir()
    assert KnownTimes(tmp_path / "gpu3").known(START) == pytest.approx(2.4)
    assert KnownTimes(tmp_path / "gpu2").known(START) == pytest.approx(7.0)


@pytest.mark.parametrize(("content", "seconds"), [("2.5", 2.5), ("[2.5, 3.5]", 3.0), ("[NaN, 4]", 4.0), ("x", None)])
def test_whatever_stands_there_is_read_or_left(tmp_path: Path, content: str, seconds: float | None) -> None:
    (tmp_path / "gpu0").mkdir()
    (tmp_path / "gpu0" / START).write_text(content)
    assert KnownTimes(tmp_path / "gpu0").known(START) == seconds
    assert KnownTimes(tmp_path / "gpu0").known(END) is None


def test_what_one_took_in_the_referee_is_kept_if_it_is_more(tmp_path: Path) -> None:
    times = KnownTimes(tmp_path)
    for calls, known in ((1.2, 1.2), (1.0, 1.2), (1.5, 1.5)):
        times.note_reading({**READ, "reader_calls": calls})
        reading = times.reading()
        assert reading and reading.calls == known
    times.note_reading({})
    (tmp_path / READING).write_text("[" * 1000)
    assert times.reading() is None
