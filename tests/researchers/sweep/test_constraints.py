from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.researchers.sweep.constraints import is_valid, settle
from swarm.researchers.sweep.knobs import read_knobs
from swarm.researchers.sweep.playbook import RULES

SMALL = {"depth": 2, "width": 64, "head_dim": 32, "seq_len": 128, "device_batch_size": 16, "total_batch_size": 2048}
FOREIGN = {"TOTAL_BATCH_SIZE": 2**19, "DEVICE_BATCH_SIZE": 128, "WARMUP_RATIO": 0.0, "WARMDOWN_RATIO": 0.5}


def test_second_knobs_move_along() -> None:
    assert settle(SMALL, {"seq_len": 64}) == {"seq_len": 64, "device_batch_size": 32}
    assert settle(SMALL, {"seq_len": 256}) == {"seq_len": 256, "device_batch_size": 8}
    assert settle(SMALL, {"total_batch_size": 1024}) == {"total_batch_size": 1024, "device_batch_size": 8}
    assert settle(SMALL, {"total_batch_size": 4096}) == {"total_batch_size": 4096}
    assert settle(SMALL, {"width": 86}) == {"width": 96}
    assert settle(SMALL, {"width": 50}) == {"width": 32}
    assert settle(FOREIGN, {"TOTAL_BATCH_SIZE": 2**17}) == {"TOTAL_BATCH_SIZE": 2**17, "DEVICE_BATCH_SIZE": 64}


def test_what_cannot_be_built_or_does_nothing_is_refused() -> None:
    assert settle(SMALL, {"width": 64}) is None
    assert settle(SMALL, {"head_dim": 24}) is None
    assert settle(SMALL, {"device_batch_size": 32}) is None
    assert settle(SMALL, {"total_batch_size": 64}) is None
    assert settle(FOREIGN, {"WARMUP_RATIO": 0.6}) is None
    assert settle({"window_pattern": "L", "short_window": 0.5, "depth": 2}, {"short_window": 0.25}) is None
    assert settle({"window_pattern": "L", "depth": 2}, {"window_pattern": "SSL"}) is None
    assert settle({"window_pattern": "L", "depth": 3}, {"window_pattern": "SL"}) == {"window_pattern": "SL"}


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
def test_every_preset_is_valid(trainer: str, device: str) -> None:
    assert is_valid(read_knobs(trainer, device))


@given(data=st.data())
def test_any_walk_through_the_playbook_stays_valid(data: st.DataObject) -> None:
    knobs = {**SMALL, "window_pattern": "L", "short_window": 0.5, "warmup": 0.0, "warmdown": 0.3, "mlp_ratio": 4.0}
    for _ in range(6):
        name = data.draw(st.sampled_from(sorted(knobs)))
        choices = list(RULES[name].neighbours(knobs[name]))
        changes = settle(knobs, {name: data.draw(st.sampled_from(choices))}) if choices else None
        assert changes is None or name in changes
        after = {**knobs, **(changes or {})}
        assert {type(v) for v in after.values()} == {type(v) for v in knobs.values()}
        rows, rest = divmod(after["total_batch_size"], after["seq_len"])
        assert rest == 0 and rows % after["device_batch_size"] == 0
        assert after["width"] % after["head_dim"] == 0 and after["warmup"] + after["warmdown"] <= 1
        if changes and name != "total_batch_size":
            assert after["total_batch_size"] == knobs["total_batch_size"]
        knobs = after
