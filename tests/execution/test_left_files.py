"""Whatever a run leaves in any file that it may write: reading it gives a Run that ledger and judge can take."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from swarm.codec import decode, encode
from swarm.execution.outcome import read_run
from swarm.execution.reading.progress import read_progress
from swarm.execution.spec import ANSWERS, RESULT, SPEC, STATE, Result, Spec, State, Step, StepResult, UnreadableSpec
from swarm.project.project import Project
from swarm.records import Failure, Run
from tests.board.nights import Night

PRINTED = Project(command=("x",), editable=("train.py",), guards={"size": "<= 5"})
FROM_FILE = replace(PRINTED, result="r.json")
REFEREED = replace(PRINTED, referee=("x",), hidden=("x",))
LEFT = ("heartbeat.jsonl", "referee.json", "referee-test.json", "r.json", "train.log", "referee.log")
GUARDS = (RESULT, STATE, SPEC)  # out of a sandbox's reach, and in reach where there is none

NUMBERS = st.sampled_from(
    ["NaN", "Infinity", "-Infinity", "9" * 400, "-" + "9" * 400, "9" * 5000, "1e308", "-1e308", "5e-324", "-1", "-0.0",
     "true", "null", '"1"', "[1]", "{}", "1.5", "0", "[" * 2000 + "]" * 2000, '"\\ud800"', '"\\u0000"'],
)  # fmt: skip
NAMES = st.sampled_from(
    ["step", "loss", "tokens", "seconds", "untimed", "untimed_tokens", "elapsed", "ignorant", "val_bpb", "size", "laps",
     "peak_vram_mb", "training_seconds", "num_steps", "loaded_tokens", "loaded_batches", "stalled", "invalid", "x"],
)  # fmt: skip
OBJECTS = st.lists(st.tuples(NAMES, NUMBERS), max_size=8).map(
    lambda pairs: "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}"
)
SUMMARIES = st.lists(st.tuples(NAMES, NUMBERS), max_size=8).map(
    lambda pairs: "---\n" + "\n".join(f"{name}: {value}" for name, value in pairs)
)
CONTENT = st.one_of(
    st.binary(max_size=300),
    st.lists(OBJECTS, max_size=4).map(lambda lines: "\n".join(lines).encode()),
    SUMMARIES.map(str.encode),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"\xff" * 1000, b"\0" * 1000, b"9" * 100_000, b"\n" * 10_000]),
)


def laid(folder: Path, project: Project, left: Mapping[str, bytes]) -> Path:
    """The folder of a guard whose steps ended well, and whose run left these files."""
    guard, artifacts, root = folder / "guards" / "t-gpu0-0001.1.1", folder / "runs", folder / "run"
    for place in (guard, artifacts, root):
        place.mkdir(parents=True, exist_ok=True)
    answers = {"referee": guard / ANSWERS / "referee.json", "hidden": guard / ANSWERS / "referee-test.json"}
    (guard / ANSWERS).mkdir(exist_ok=True)
    places = {
        "r.json": root,
        **{path.name: path.parent for path in answers.values()},
        "train.log": folder,
        "referee.log": folder,
        **dict.fromkeys(GUARDS, guard),
    }
    for name in (*LEFT, *GUARDS):
        (places.get(name, artifacts) / name).unlink(missing_ok=True)
    names = ["trainer", *(["referee", "hidden"] if project.referee else [])]
    logs = {"trainer": "train.log", "referee": "referee.log", "hidden": "referee.log"}
    steps = [
        Step(name, ["x"], str(root), {}, str(folder / logs[name]), 100.0, answer=str(answers.get(name, "")))
        for name in names
    ]
    budget = 1.0 if project.referee else None
    spec = Spec("t-gpu0-0001.1", 1, steps, str(artifacts), str(root), budget=budget, start=60.0)
    spec.write(guard)
    done = tuple(StepResult(name, "x", 1.0, 2.0, exit=0, start=0.5) for name in names)
    (guard / RESULT).write_text(json.dumps(asdict(Result(spec.run, 1, done))))
    for name, content in left.items():
        (places.get(name, artifacts) / name).write_bytes(content)
    return guard


def taken(night: Night, run: Run) -> None:
    """The ledger stores the run, the judge judges it, and who looks at it later reads the same."""
    assert decode(encode(run)).reason == decode(encode(decode(encode(run)))).reason
    if run.metrics:
        assert math.isfinite(run.metrics.value) and run.metrics.value**4 >= 0
        assert decode(encode(run)).metrics == run.metrics or "\ud800" in str(run.metrics.values)
    work = night.measure("gpu0")
    night.clock.tick(10.0)
    ran = structs.replace(run, run=work.run, attempt=work.attempt, started=night.clock.now)
    night.call("record", "gpu0", night.fences["gpu0"], ran)
    night.board.briefing("gpu0")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("left")


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([PRINTED, FROM_FILE, REFEREED]),
    st.dictionaries(st.sampled_from(LEFT), CONTENT, min_size=1),
    st.sampled_from([b"---\nval_bpb: 0.5\nsize: 3\nnum_steps: 10\nloaded_tokens: 100\nloaded_batches: 10", b""]),
)
def test_no_bytes_in_any_file_raise(place: Path, project: Project, left: dict[str, bytes], printed: bytes) -> None:
    left = {"train.log": printed, **left}
    run = read_run(laid(place / "bytes", project, left), project)
    assert (run.metrics is None) != (run.failure is None) and "cannot be read" not in run.reason, run.reason
    progress = read_progress(place / "bytes/runs/heartbeat.jsonl", place / "bytes/train.log", 5.0, "starting", 1.0)
    assert progress.step is None or 0 <= progress.step <= 2**53
    assert math.isfinite(progress.seconds) and json.dumps(structs.asdict(progress))
    (place / "night").mkdir(exist_ok=True)
    (place / "night" / "ledger.sqlite").unlink(missing_ok=True)
    night = Night(place / "night" / "ledger.sqlite", agents=1, settings=json.dumps({"guards": dict(project.guards)}))
    try:
        night.baselines()
        night.draft("gpu0", 0)
        taken(night, run)
    finally:
        night.ledger.close()


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(GUARDS), CONTENT, min_size=1))
def test_nor_do_they_in_the_files_of_a_guard_where_a_run_reaches_those(place: Path, left: dict[str, bytes]) -> None:
    folder = laid(place / "guarded", PRINTED, {"train.log": b"---\nval_bpb: 0.5", **left})
    assert State.read(folder) is None or State.read(folder).pid > 1  # type: ignore[union-attr]
    try:
        run = read_run(folder, PRINTED)
    except UnreadableSpec:
        assert SPEC in left
    else:
        assert decode(encode(run)) == run


NUMBER_OF_400 = "9" * 400


@pytest.mark.parametrize(
    ("name", "content", "failure"),
    [
        ("referee.json", '{"val_bpb": Infinity}', Failure.NAN),
        ("referee.json", f'{{"val_bpb": {NUMBER_OF_400}}}', Failure.NAN),
        ("referee.json", '{"val_bpb": 1e200}', Failure.NAN),
        ("referee.json", '{"val_bpb": 1e-200}', Failure.CODE),
        ("referee.json", '{"val_bpb": true}', Failure.CODE),
        ("referee.json", '{"val_bpb": 1, "val_bpb": 0.5}', Failure.CODE),
        ("referee.json", "[" * 100_000, Failure.CODE),
        ("referee.json", '{"invalid": [[[[]]]]}', Failure.INVALID),
        ("referee.json", json.dumps({"invalid": "x" * 100_000}), Failure.INVALID),
    ],
)
def test_a_referees_number_is_one_or_a_failure(tmp_path: Path, name: str, content: str, failure: Failure) -> None:
    log = b"---\nnum_steps: 10\nloaded_tokens: 100\nloaded_batches: 10"
    run = read_run(laid(tmp_path, REFEREED, {"train.log": log, name: content.encode()}), REFEREED)
    assert run.failure is failure and len(run.reason) <= 300, run.reason


def test_what_is_measured_beside_the_metric_is_kept_as_far_as_it_can_be_reckoned_with(tmp_path: Path) -> None:
    values = '{"val_bpb": 0.5, "a": true, "b": %s, "c": "%s", "d": NaN, "e": [1], "size": 3}'
    many = "".join(f'"n{number}": {number}, ' for number in range(5000))
    left = (values % (NUMBER_OF_400, "x" * 10_000)).replace("{", "{" + many)
    log = f"---\npeak_vram_mb: {NUMBER_OF_400}\nnum_steps: 10\nloaded_tokens: 100\nloaded_batches: 10"
    files = {"train.log": log.encode(), "referee.json": left.encode()}
    run = read_run(laid(tmp_path, REFEREED, files), REFEREED)
    assert run.metrics and run.metrics.value == 0.5 and run.metrics.peak_vram_mb is None, run.reason
    kept = run.metrics.values
    assert (kept["a"], kept["b"], kept["d"], kept["size"]) == ("true", None, None, 3) and len(str(kept["c"])) == 2000
    assert len(kept) < 300 and kept["num_steps"] == 10 and decode(encode(run)) == run


def test_a_heartbeat_file_of_many_megabytes_is_read_in_moderation(tmp_path: Path) -> None:
    beats = b'{"step": 1}\n' * (24 * 2**20 // 12)
    run = read_run(laid(tmp_path, PRINTED, {"heartbeat.jsonl": beats, "train.log": b"---\nval_bpb: 1"}), PRINTED)
    assert run.metrics
    line = b'{"step": [' + b"1," * (32 * 2**20) + b"1]}"
    run = read_run(laid(tmp_path, PRINTED, {"heartbeat.jsonl": line, "train.log": b"---\nval_bpb: 1"}), PRINTED)
    assert run.metrics and run.trace == ()


def test_an_error_nobody_thought_of_is_a_failure_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OverflowError("who knows\nwhat")

    monkeypatch.setattr("swarm.execution.outcome.kept_heartbeats", fails)
    run = read_run(laid(tmp_path, PRINTED, {}), PRINTED)
    assert (run.failure, run.run, run.attempt) == (Failure.CODE, "t-gpu0-0001.1", 1)
    assert run.reason == "what it left cannot be read: OverflowError: who knows what"


def test_a_disk_that_fails_is_no_failure_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("swarm.execution.outcome.kept_heartbeats", fails)
    with pytest.raises(OSError, match="Input/output"):
        read_run(laid(tmp_path, PRINTED, {}), PRINTED)
