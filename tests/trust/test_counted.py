"""What a run says it did: edited train.pys that really train, under the real harness, and what is counted of them.

python -m pytest tests/trust/test_counted.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import prepare
from swarm.board.contention import steps_of
from swarm.execution.reading.progress import Heartbeat, read_heartbeats
from swarm.execution.reading.summary import Value, read_printed
from swarm.execution.validity import counter_check
from swarm.execution.validity.counter_check import find_miscount
from swarm.records import Metrics, Run
from tests.trust.edits import COUNTED, HONEST, LOOP, Change
from tests.trust.test_static_gate import told
from trainer.harness import BudgetSpent

LOOPS = {"batch", "short rows", "long rows", "smaller pieces of a batch", "trains on the richer half of the text"}
LOOPS |= {"looks at batches twice", "another loop around the same clock", "more warm-up steps", "gradient clipping"}
EXAGGERATED = Change("counts steps that it does not make", LOOP, f"{LOOP}        steps += 7\n")

Trained = tuple[tuple[Heartbeat, ...], dict[str, Value]]


@pytest.fixture
def trained(
    train_here: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[[ModuleType], Trained]:
    """Trains for a moment, in this process: the heartbeats and the summary."""
    monkeypatch.setattr(counter_check, "MOMENT", 0.1)  # what is too short for a night is long here

    def train(module: ModuleType) -> Trained:
        assert train_here(module) == 0
        printed = read_printed(capsys.readouterr().out, ["val_bpb"])
        return read_heartbeats(tmp_path / "run" / "heartbeat.jsonl"), dict(printed.values)

    return train


@pytest.mark.parametrize("edited", COUNTED, ids=lambda change: change.name, indirect=True)
def test_a_false_count_is_invalid_by_name(edited: ModuleType, request, trained: Callable[..., Trained]) -> None:
    change: Change = request.node.callspec.params["edited"]
    assert told(change.code) == "", "the gate sees it already"
    try:
        found = find_miscount(*trained(edited))
    except BudgetSpent:  # one step took all of it on a slow machine, and the clock itself refused what came after
        return
    assert found and found.counted == change.check and str(found).startswith(f"{change.check}: "), found


@pytest.mark.parametrize(
    "edited", [change for change in HONEST if change.name in LOOPS], ids=lambda change: change.name, indirect=True
)
def test_honest_loops_are_counted_and_pass(edited: ModuleType, trained: Callable[..., Trained]) -> None:
    heartbeats, printed = trained(edited)
    assert find_miscount(heartbeats, printed) is None
    assert heartbeats[-1].untimed == 1 and isinstance(printed["loaded_tokens"], int)
    assert printed["total_tokens_M"] == pytest.approx(printed["loaded_tokens"] / 1e6, abs=5e-4)


@pytest.mark.parametrize("edited", [EXAGGERATED], ids=lambda change: change.name, indirect=True)
def test_how_far_a_run_came_is_what_the_loader_counted(edited: ModuleType, trained: Callable[..., Trained]) -> None:
    """Nobody can tell it from an honest edit that looks at its batches more than once; and it reaches no judge."""
    _, printed = trained(edited)
    metrics = Metrics(1.0, audited=True, values=printed)
    assert steps_of(Run("r", 1, 0.0, 1.0, 1.0, metrics=metrics)) == prepare.TrainLoader.tokens_handed_out
    assert int(str(printed["num_steps"])) > int(str(printed["loaded_batches"])) / 8


def test_a_summary_of_its_own_is_told_and_another_programs_is_its_own_affair() -> None:
    ours = (Heartbeat(step=3, tokens=100, untimed=1),)
    assert str(find_miscount(ours, {"num_steps": 3})).startswith("tokens: its summary is not the one")
    assert find_miscount((Heartbeat(step=3, tokens=100),), {"num_steps": 2}) is None


@pytest.mark.parametrize(("batches", "learned"), [(1, True), (4, True), (50, False)])
def test_only_a_run_at_its_beginning_must_know_nothing(batches: int, learned: bool) -> None:
    first = Heartbeat(step=batches, loss=5.0, tokens=(1 + batches) * 64, untimed=1, untimed_tokens=64, ignorant=9.0)
    printed: dict[str, Value] = {"num_steps": 99, "loaded_tokens": 100 * 64, "loaded_batches": 100}
    assert str(find_miscount([first], printed)).startswith("warm-up: its first loss was 5") is learned


@pytest.mark.parametrize(("untimed", "later"), [(1, 8), (16, 50), (16, 4000)])
def test_what_a_loader_packs_ahead_is_no_training(untimed: int, later: int) -> None:
    first = Heartbeat(step=1, loss=9.0, tokens=(untimed + 1) * 64, untimed=untimed, untimed_tokens=(untimed + 3) * 64)
    printed: dict[str, Value] = {"num_steps": later, "loaded_tokens": (untimed + later) * 64}
    assert find_miscount([first], printed | {"loaded_batches": untimed + later}) is None
